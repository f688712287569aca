"""`orchestrator runs`: what ran, what runs, and watching it."""

import sys
from shlex import quote
from typing import Any

import click
import msgspec

from orchestrator.cli.assets import event_row
from orchestrator.cli.explain import explain_run
from orchestrator.cli.folding import Line, folded
from orchestrator.cli.live import watch_run
from orchestrator.cli.output import describe, output_option, show, show_json, words
from orchestrator.cli.reruns import cancel_run, clear_runs, mark_runs
from orchestrator.cli.session import open_app, say, shown_run
from orchestrator.errors import NotFoundError
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.explain import Explained
from orchestrator.planning.outcome import remarks_on
from orchestrator.planning.rows import Reason, Run, Stretch, TaskInstance, Try
from orchestrator.planning.verdicts import name_of
from orchestrator.ports import Page
from orchestrator.queries import Queries, RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.scheduler.notices import RunChanged
from orchestrator.states import FINAL_TASK_STATES, RunState, TaskState

#: Lines shown of the log of a task that failed.
_LAST_LINES = 5
#: Of so many tasks that failed.
_LAST_WORDS = 10
#: Of what has ended, or where no scheduler answers.
NOTHING = Explained()


@click.group()
def runs() -> None:
    """List, show, watch and change DAG runs. A RUN is a run id, a logical date, or left out: the newest run."""


runs.add_command(explain_run)
runs.add_command(clear_runs)
runs.add_command(mark_runs)
runs.add_command(cancel_run)


@runs.command("list")
@click.argument("dag_id", required=False)
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in RunState]))
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True)
@click.option("--before", help="Show the page after this run id (needs DAG_ID).")
@output_option
def list_runs(
    dag_id: str | None, states: tuple[str, ...], limit: int, before: str | None, output: str | None
) -> None:
    """Runs, newest first."""
    if before is not None and dag_id is None:
        raise click.UsageError("--before needs a DAG_ID")
    page = Page(limit=limit, before=RunKey(dag_id, before) if dag_id and before else None)
    app = open_app()
    with app.queries() as queries:
        found = queries.runs(dag_id, page, tuple(RunState(state) for state in states))
        if dag_id is not None and not found:
            queries.dag(dag_id, app.clock.now())  # says so where there is none
    columns = ["dag_id", "run_id", "state", "duration", "logical_date", "started_at", "actor", "reason"]
    show([run_row(run) for run in found], columns, output, empty="no runs yet")


@runs.command("late")
@click.argument("dag_id", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True)
@output_option
def late_runs(dag_id: str | None, limit: int, output: str | None) -> None:
    """Runs and tasks that were still open at their deadline, the latest deadline first."""
    with open_app().queries() as queries:
        found = queries.late(dag_id, limit)
    columns = ["dag_id", "run_id", "task_id", "deadline", "state", "ended_at"]
    show([_late_row(each) for each in found], columns, output, empty="nothing was late")


def _late_row(late: Run | TaskInstance) -> dict[str, Any]:
    """Of a run as a whole, no task is named."""
    return {
        "dag_id": late.key.dag_id,
        "run_id": late.key.run_id,
        "task_id": name_of(late.key) if isinstance(late, TaskInstance) else "",
        "deadline": late.deadline_missed_at,
        "state": late.state.value,
        "ended_at": late.ended_at,
    }


def run_row(run: Run, now: Explained = NOTHING) -> dict[str, Any]:
    """A run as a row; `now`: what hinders it."""
    reason = now.reason or run.reason
    return {
        "dag_id": run.key.dag_id,
        "run_id": run.key.run_id,
        "run_type": run.run_type.value,
        "state": run.state.value,
        "logical_date": run.interval.start,
        "interval_end": run.interval.end,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "duration": run.ended_at - run.started_at if run.ended_at and run.started_at else None,
        "actor": run.actor,
        "triggered_by": _spoken(run.triggered_by),
        "consumed": msgspec.to_builtins(run.consumed),
        "note": run.note,
        "conf": run.conf,
        "deadline_missed_at": run.deadline_missed_at,
        "reason": reason.text if reason else None,
    }


def _stretch(events: Stretch) -> str:
    """How many updates of an asset, and when they came."""
    if events.count == 1:
        return f"1 update, {words(events.last)}"
    return f"{events.count} updates, {words(events.first)} to {words(events.last)}"


def _spoken(task: TaskKey | None) -> str | None:
    """The task that had a run made."""
    return None if task is None else f"{task.dag_id} {task.run_id} {name_of(task)}"


@runs.command("show")
@click.argument("dag_id")
@click.argument("run", required=False)
@output_option
def show_run(dag_id: str, run: str | None, output: str | None) -> None:
    """One run: its tasks, their states, and why."""
    app = open_app()
    with app.queries() as queries, app.explanations() as explanations:
        view = queries.run(shown_run(queries, dag_id, run))
        now = NOTHING if view.run.state.final else explanations.glance(view.run.key)
        failed = [task.key for task in view.tasks if task.state is TaskState.FAILED and task.tries]
        consumed = [event_row(each) for each in queries.consumed(view.run)]
        last_words = {key: queries.last_lines(key, _LAST_LINES) for key in failed[:_LAST_WORDS]}
    if output == "json":
        told = {"asset_events": consumed, "tasks": task_rows(view, now), "results": view.results}
        show_json({**run_row(view.run, now), **told})
        return
    updates = {asset: _stretch(events) for asset, events in view.run.consumed.items()}
    describe({**run_row(view.run, now), "consumed": updates})
    click.echo()
    lines_of = [
        _line_row(line, now.tasks.get(name_of(line.key)) if line.key else None) for line in folded(view.tasks)
    ]
    show(lines_of, ["task_id", "state", "tries", "started_at", "duration", "reason"], output)
    for key, lines in last_words.items():
        name = name_of(key)
        say(f"{name} wrote last (all of it: orchestrator tasks logs {dag_id} {quote(name)} {key.run_id}):")
        for line in lines:
            say(f"    {line}")


def _line_row(line: Line, hindered: Reason | None) -> dict[str, Any]:
    reason = line.reason if hindered is None or line.state in FINAL_TASK_STATES else hindered
    return {
        "task_id": line.name,
        "state": line.state,
        "tries": line.tries,
        "started_at": line.started_at,
        "duration": line.ended_at - line.started_at if line.ended_at and line.started_at else None,
        "reason": f"{reason.code}: {reason.text}" if reason else None,
    }


def task_rows(view: RunView, now: Explained = NOTHING) -> list[dict[str, Any]]:
    """The task instances of a run, each with its tries; `now`: what hinders those that are open."""
    tries: dict[Any, list[Try]] = {}
    for attempt in view.tries:
        tries.setdefault(attempt.key.task, []).append(attempt)
    return [_task_row(task, tries.get(task.key, []), now.tasks.get(name_of(task.key))) for task in view.tasks]


def _task_row(task: TaskInstance, tries: list[Try], hindered: Reason | None) -> dict[str, Any]:
    reason = task.reason if task.state.final else hindered or task.reason
    duration = task.ended_at - task.started_at if task.ended_at and task.started_at else None
    return {
        "task_id": task.key.task_id,
        "map_index": task.key.map_index,
        "label": task.label,
        "state": task.state.value,
        "tries": task.tries,
        "queued_at": task.queued_at,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "deadline_missed_at": task.deadline_missed_at,
        "duration": duration,
        "reason": f"{reason.code}: {reason.text}" if reason else None,
        "attempts": [try_row(attempt) for attempt in tries],
    }


def try_row(attempt: Try) -> dict[str, Any]:
    """A try as a row; instants tell its phases."""
    return {
        "number": attempt.key.number,
        "look": attempt.look,
        "try_id": attempt.try_id,
        "container": attempt.spec.name,
        "container_id": attempt.container_id,
        "image": attempt.spec.image,
        "image_name": attempt.spec.image_name,
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "exit_code": attempt.exit.exit_code if attempt.exit else None,
        "oom_killed": attempt.exit.oom_killed if attempt.exit else None,
        "intended_at": attempt.intended_at,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "removed_at": attempt.removed_at,
        "adopted": attempt.adopted,
        "log_complete": attempt.log_complete,
        "reason": f"{attempt.reason.code}: {attempt.reason.text}" if attempt.reason else None,
        "note": "; ".join(remarks_on(attempt)) or None,
    }


@runs.command()
@click.argument("dag_id")
@click.argument("run", required=False)
def watch(dag_id: str, run: str | None) -> None:
    """Follow a run until it ends; where the DAG has none yet, its first. Exit code 0 if it succeeded, 1 if not."""
    app = open_app()
    with app.queries() as queries, Following.if_any(app.socket) as following:
        key = _run_or_first(queries, following, dag_id, run)
        state = watch_run(following, queries, key, app.clock)
    sys.exit(0 if state is RunState.SUCCESS else 1)


def _run_or_first(queries: Queries, following: Following | None, dag_id: str, run: str | None) -> RunKey:
    try:
        return shown_run(queries, dag_id, run)
    except NotFoundError as error:
        if following is None or run is not None or error.kind != "run":
            raise
        say(f"{dag_id} has no run yet: waiting for its first")
        for notice in following.notices():
            if isinstance(notice, RunChanged) and notice.run.key.dag_id == dag_id:
                return notice.run.key
        raise
