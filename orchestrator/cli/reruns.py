"""Changing what came to be: `clear`, `mark`, `kill` and `cancel`, of runs and of tasks. Each shows what it means to
change with `--dry-run`, by the same rules by which it is then done, and asks before it does on a terminal.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from orchestrator.actions import Outcome
from orchestrator.app import App
from orchestrator.cli.output import output_option, show
from orchestrator.cli.session import changed_run, on_terminal, open_app, say, tell
from orchestrator.planning.rows import RequestKind, TaskInstance
from orchestrator.planning.selection import Selection
from orchestrator.planning.verdicts import name_of
from orchestrator.queries import Queries, RunView
from orchestrator.selection_views import Meant
from orchestrator.states import TaskState
from orchestrator.timetables.zones import EARLIEST, LATEST

_F = TypeVar("_F", bound=Callable[..., Any])
_MARKS = click.Choice([TaskState.SUCCESS.value, TaskState.FAILED.value, TaskState.SKIPPED.value])


_YES = click.option(
    "--yes", is_flag=True, help="Do not ask. Only on a terminal is anybody asked: a script's commands act at once."
)


def _changing(command: _F) -> _F:
    """The options of every command here."""
    for option in (
        click.option("--from", "start", metavar="DATE", help="Runs from this logical date on (with --to)."),
        click.option("--to", "end", metavar="DATE", help="Runs up to this logical date, included."),
        click.option("--past", is_flag=True, help="RUN and all of earlier dates."),
        click.option("--future", is_flag=True, help="RUN and all of later dates."),
        click.option("--dry-run", is_flag=True, help="Only show what is meant."),
        _YES,
        output_option,
    ):
        command = option(command)
    return command


def _indexed(command: _F) -> _F:
    return click.option(
        "--map-index", "map_indexes", type=click.IntRange(0), multiple=True, help="Only these of a mapped task."
    )(command)


def _widened(command: _F) -> _F:
    for option in (
        click.option("--upstream", is_flag=True, help="What comes before as well."),
        click.option("--downstream", is_flag=True, help="What comes after as well."),
        click.option("--only-failed", is_flag=True, help="Only what failed, or did not run for that."),
    ):
        command = option(command)
    return command


_AS_RUN = click.option(
    "--as-run/--newest",
    "as_run",
    default=None,
    help="With the version and images it had, or the newest. Default: the setting scheduling.rerun_with.",
)


@click.command("clear")
@click.argument("dag_id")
@click.argument("run", required=False)
@click.option("--only-failed", is_flag=True, help="Only what failed, or did not run for that.")
@_AS_RUN
@_changing
def clear_runs(dag_id: str, run: str | None, *, as_run: bool | None, **options: Any) -> None:
    """Have a run (the newest), or the runs of a range, run again."""
    act = partial(_clear, as_run=as_run)
    _change(dag_id, run, options, act, "run again", RequestKind.CLEAR, as_run=as_run)


@click.command("clear")
@click.argument("dag_id")
@click.argument("tasks", metavar="TASK")
@click.argument("run", required=False)
@_indexed
@_widened
@_AS_RUN
@_changing
def clear_tasks(dag_id: str, run: str | None, *, as_run: bool | None, **options: Any) -> None:
    """Have tasks run again. TASK is a regular expression for whole ids, as in `load_.*`."""
    act = partial(_clear, as_run=as_run)
    _change(dag_id, run, options, act, "run again", RequestKind.CLEAR, as_run=as_run)


@click.command("mark")
@click.argument("dag_id")
@click.argument("run", required=False)
@click.option("--as", "state", type=_MARKS, required=True)
@_changing
def mark_runs(dag_id: str, run: str | None, *, state: str, **options: Any) -> None:
    """Have all tasks of a run be what you say they are."""
    _change(dag_id, run, options, lambda app, meant: _mark(app, meant, state), f"be {state}", RequestKind.MARK)


@click.command("mark")
@click.argument("dag_id")
@click.argument("tasks", metavar="TASK")
@click.argument("run", required=False)
@click.option("--as", "state", type=_MARKS, required=True)
@_indexed
@_widened
@_changing
def mark_tasks(dag_id: str, run: str | None, *, state: str, **options: Any) -> None:
    """Have tasks be what you say they are; one that runs is stopped first."""
    _change(dag_id, run, options, lambda app, meant: _mark(app, meant, state), f"be {state}", RequestKind.MARK)


@click.command("kill")
@click.argument("dag_id")
@click.argument("tasks", metavar="TASK")
@click.argument("run", required=False)
@_indexed
@_changing
def kill_tasks(dag_id: str, run: str | None, **options: Any) -> None:
    """Stop tasks, whatever they are doing: they fail, and are not tried again."""
    _change(dag_id, run, options, _kill, "be killed", RequestKind.KILL)


@click.command("cancel")
@click.argument("dag_id")
@click.argument("run", required=False)
@click.option("--no-teardown", is_flag=True, help="Do not even run the teardowns of what was set up.")
@click.option("--dry-run", is_flag=True, help="Only show what would become of each task that has not ended.")
@_YES
@output_option
def cancel_run(
    dag_id: str, run: str | None, *, no_teardown: bool, dry_run: bool, yes: bool, output: str | None
) -> None:
    """Stop a run: what runs in it is stopped, what was set up is taken down, and it ends as failed."""
    app = open_app()
    with app.queries() as queries:
        key = changed_run(queries, dag_id, run)
        view = queries.run(key) if dry_run else None
    if view is not None:
        rows = [_cancelled(view, task, teardowns=not no_teardown) for task in view.tasks if not task.state.final]
        show(
            rows,
            ["run_id", "task", "state", "does"],
            output,
            empty=f"nothing of it is open: it is {view.run.state}",
        )
        return
    if not yes and on_terminal():
        click.confirm(f"Shall {key.dag_id} {key.run_id} be stopped?", abort=True)
    with app.actions() as actions:
        outcome = actions.cancel(key.dag_id, key.run_id, teardowns=not no_teardown)
    tell(outcome, output, f"{key.dag_id} {key.run_id} is being stopped")


def _cancelled(view: RunView, task: TaskInstance, *, teardowns: bool) -> dict[str, Any]:
    """A task that has not ended, and what becomes of it where its run is cancelled."""
    spec = view.spec.task(task.key.task_id)
    if spec.teardown is not None and teardowns:
        does = "runs where there is something to take down"
    else:
        does = "is stopped" if task.state.holds_slot else "does not run"
    return {**_row(Meant(key=task.key, state=task.state)), "does": does}


def _change(
    dag_id: str,
    run: str | None,
    options: dict[str, Any],
    act: Callable[[App, Selection], Outcome],
    becomes: str,
    kind: RequestKind,
    *,
    as_run: bool | None = None,
) -> None:
    output, yes, dry_run = options.pop("output"), options.pop("yes"), options.pop("dry_run")
    app = open_app()
    selection = _selection(app, dag_id, run, options)
    with app.queries() as queries:
        meant = queries.meant(selection, kind)
        empty = "" if meant else queries.unmeant(selection, kind)
        version = _version_again(app, queries, dag_id, as_run) if kind is RequestKind.CLEAR and meant else ""
        kept = app.project.settings.retention.run_volumes
        doubts = queries.rerun_doubts(selection, kind, kept, app.clock.now())
    columns = ["run_id", "task", "state", *(["why"] if kind is RequestKind.CLEAR else [])]
    for doubt in doubts:
        say(f"warning: {doubt}")
    if version and (dry_run or on_terminal()):
        say(version)
    if dry_run:
        show([_row(each) for each in meant], columns, output, empty=empty)
        return
    if meant and not yes and on_terminal():
        show([_row(each) for each in meant], columns, None)
        click.confirm(f"Shall {_counted(meant)} {becomes}?", abort=True)
    tell(act(app, selection), output, f"{_counted(meant)} will {becomes}")


def _selection(app: App, dag_id: str, run: str | None, options: dict[str, Any]) -> Selection:
    start, end = options.pop("start"), options.pop("end")
    past, future = options.pop("past"), options.pop("future")
    if (start is None) != (end is None):
        raise click.UsageError("--from and --to belong together")
    if start is not None and (run is not None or past or future):
        raise click.UsageError("name a RUN, or a range by --from and --to")
    with app.queries() as queries:
        if start is not None:
            first, last = queries.dates(dag_id, start, end)
            return Selection(dag_id=dag_id, start=first, end=last, **options)
        key = changed_run(queries, dag_id, run)
        if not past and not future:
            return Selection(dag_id=dag_id, run_ids=(key.run_id,), **options)
        date = queries.run(key).run.interval.start
        return Selection(dag_id=dag_id, start=EARLIEST if past else date, end=LATEST if future else date, **options)


def _version_again(app: App, queries: Queries, dag_id: str, as_run: bool | None) -> str:
    """With which version and images what is cleared will run."""
    settings = app.project.settings
    if settings.scheduling.rerun_with == "recorded" if as_run is None else as_run:
        return "each run keeps the version of the DAG and the images that it had"
    view = queries.dag(dag_id, app.clock.now())
    names = {task.container.image or settings.default_image for task in view.spec.tasks if task.container}
    images = f", and what these images are now: {', '.join(sorted(names))}" if names else ""
    return f"runs that have ended take the newest version of the DAG, {view.dag.version}{images}"


def _row(meant: Meant) -> dict[str, Any]:
    return {
        "dag_id": meant.key.dag_id,
        "run_id": meant.key.run_id,
        "task": name_of(meant.key),
        "state": meant.state.value,
        "why": "tied to it" if meant.added else "named",
    }


def _counted(meant: tuple[Meant, ...]) -> str:
    runs = len({each.key.run for each in meant})
    tasks = f"{len(meant)} task{'s' if len(meant) != 1 else ''}"
    return f"{tasks} of {runs} runs" if runs > 1 else tasks


def _clear(app: App, selection: Selection, *, as_run: bool | None) -> Outcome:
    with app.actions() as actions:
        return actions.clear(selection, as_run=as_run)


def _mark(app: App, selection: Selection, state: str) -> Outcome:
    with app.actions() as actions:
        return actions.mark(selection, TaskState(state))


def _kill(app: App, selection: Selection) -> Outcome:
    with app.actions() as actions:
        return actions.kill(selection)
