"""What commands share: the project that the user stands in, and arguments read from text."""

from typing import Any

import click
import msgspec

from orchestrator.app import App
from orchestrator.errors import RequestRefusedError
from orchestrator.settings import open_project


def open_app() -> App:
    """The app of the project here or above. `NoProjectError`, `SettingsError`."""
    return App(open_project())


def read_conf(text: str | None) -> dict[str, Any]:
    """`--conf` as a JSON object; RequestRefusedError where it is none."""
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise RequestRefusedError(
            f"--conf is not a JSON object: {error}", fix="""write it like --conf '{"key": "value"}'"""
        ) from error


def say(text: str) -> None:
    """A line for people, on stderr: stdout belongs to what was asked for."""
    click.echo(text, err=True)
