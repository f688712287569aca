"""What commands share: the project that the user stands in, and arguments read from text."""

import os
import sys
from typing import Any, overload

import click
import msgspec

from orchestrator.actions import Outcome
from orchestrator.app import App
from orchestrator.cli.output import show_json
from orchestrator.errors import RequestRefusedError
from orchestrator.ids import RunKey
from orchestrator.queries import Queries
from orchestrator.settings import open_project
from orchestrator.spec.dag import Problem

#: Runs that a refusal names.
_RUNS_NAMED = 10


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


def shown_run(queries: Queries, dag_id: str, run: str | None) -> RunKey:
    """The run to show: of several with one date the newest, which is said. `NotFoundError`."""
    newest, *others = queries.run_keys(dag_id, run)
    if others:
        say(f"{len(others) + 1} runs have this date; this is the newest: {newest.run_id}")
    return newest


def changed_run(queries: Queries, dag_id: str, run: str | None) -> RunKey:
    """The one run to change. `RequestRefusedError` where a date names several, `NotFoundError`."""
    keys = queries.run_keys(dag_id, run)
    if len(keys) > 1:
        ids = ", ".join(key.run_id for key in keys[:_RUNS_NAMED])
        more = f" and {len(keys) - _RUNS_NAMED} more" if len(keys) > _RUNS_NAMED else ""
        raise RequestRefusedError(
            f"{len(keys)} runs of {dag_id} have the date {run}: {ids}{more}; nothing was changed",
            fix="name one by its run id",
        )
    return keys[0]


def on_terminal() -> bool:
    """Whether there is somebody to ask who sees what is printed."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def say(text: str) -> None:
    """A line for people, on stderr: stdout belongs to what was asked for."""
    click.echo(text, err=True)


def tell(outcome: Outcome, output: str | None, done: str) -> None:
    """What came of an action: its answer as JSON, or a sentence."""
    if output == "json":
        answered = outcome.answer.data if outcome.answer else {}
        show_json({"request_id": outcome.request_id, "answered": outcome.answer is not None, **answered})
    elif outcome.answer is None:
        say(f"queued as request {outcome.request_id}: no scheduler has answered. Is one running? `orchestrator up`")
    else:
        click.echo(done)
