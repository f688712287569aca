"""What commands share: the project that the user stands in, and arguments read from text."""

import os
from typing import Any, overload

import click
import msgspec

from orchestrator.app import App
from orchestrator.errors import RequestRefusedError
from orchestrator.settings import open_project
from orchestrator.spec.dag import Problem


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


@overload
def located(app: App, what: Problem) -> Problem: ...
@overload
def located(app: App, what: str) -> str: ...
def located(app: App, what: Problem | str) -> Problem | str:
    """A DAG file, or a problem of one, by its path from where the user stands, so that a click on it opens it."""
    if isinstance(what, Problem):
        return msgspec.structs.replace(what, file=located(app, what.file))
    return os.path.relpath(app.project.dags_folder / what)


def say(text: str) -> None:
    """A line for people, on stderr: stdout belongs to what was asked for."""
    click.echo(text, err=True)
