"""`orchestrator tasks`: what tasks there are, how they would run, and what they wrote."""

import sys
from shlex import quote
from typing import Any

import click
from rich.console import Console
from rich.tree import Tree

from orchestrator.cli.approvals import approve_task, waits_for_approval
from orchestrator.cli.artifacts import artifacts
from orchestrator.cli.dags import task_row, told_columns
from orchestrator.cli.explain import explain_task
from orchestrator.cli.folding import line_of
from orchestrator.cli.output import describe, output_option, show, show_json
from orchestrator.cli.render import render
from orchestrator.cli.reruns import clear_tasks, kill_tasks, mark_tasks
from orchestrator.cli.runs import task_rows, try_row
from orchestrator.cli.session import open_app, say, shown_run
from orchestrator.errors import NotFoundError
from orchestrator.ids import UNMAPPED, TaskKey, instance_named
from orchestrator.planning.rows import TaskInstance, Try, TryOutcome
from orchestrator.planning.units import Unit, units_of
from orchestrator.planning.verdicts import name_of
from orchestrator.ports import LogFlag, LogRecord, Stream
from orchestrator.queries import Queries, RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.scheduler.notices import LogGrew, TaskChanged, TryChanged
from orchestrator.spec.dag import DagSpec
from orchestrator.spec.mapping import Concat, FromResult, Literal, Source, Zip
from orchestrator.states import TaskState

#: States of a sensor that has not found what it waits for.
_LOOKING = (TaskState.UP_FOR_RESCHEDULE, TaskState.QUEUED, TaskState.STARTING, TaskState.RUNNING)


@click.group()
def tasks() -> None:
    """List, show and render tasks, read their logs. A RUN is a run id, a logical date, or left out."""


tasks.add_command(render)
tasks.add_command(artifacts)
tasks.add_command(explain_task)
tasks.add_command(clear_tasks)
tasks.add_command(mark_tasks)
tasks.add_command(kill_tasks)
tasks.add_command(approve_task)


@tasks.command("list")
@click.argument("dag_id")
@click.option("--tree", is_flag=True, help="Show what follows what.")
@output_option
def list_tasks(dag_id: str, tree: bool, output: str | None) -> None:
    """The tasks of a DAG, in the order in which they can run."""
    app = open_app()
    with app.queries() as queries:
        spec = queries.dag(dag_id, app.clock.now()).spec
        asking = [task.key for task in queries.waiting(dag_id) if waits_for_approval(task)]
    if tree:
        Console().print(_tree(spec))
        return
    looks = ["looks"] if any(task.sensor for task in spec.tasks) else []
    units = units_of(spec)
    rows = [{**task_row(task), "mapped": _mapped(units.get(task.task_id))} for task in spec.tasks]
    mapped = ["mapped"] if units else []
    does = ["does"] if any(task.control for task in spec.tasks) else []
    told = told_columns(spec.tasks)
    columns = ["task_id", "after", "image", *does, *mapped, *looks, *told, "trigger_rule", "retries", "pool"]
    show(rows, columns, output)
    for key in asking:
        named = f"{dag_id} {quote(name_of(key))} {key.run_id}"
        say(f"{name_of(key)} waits for approval: orchestrator tasks approve {named}")


def _mapped(unit: Unit | None) -> str:
    """What a task is mapped over, in words."""
    if unit is None:
        return ""
    axes = " x ".join(_source_words(axis.source) for axis in unit.map.axes)
    return f"{axes} (group {unit.name})" if unit.is_group else axes


def _source_words(source: Source) -> str:
    match source:
        case Literal():
            return f"{len(source.values)} elements"
        case FromResult():
            return f"{source.task_id}[{source.key!r}]" if source.key else source.task_id
        case Zip():
            return f"zip({', '.join(map(_source_words, source.sources))})"
        case Concat():
            return f"concat({', '.join(map(_source_words, source.sources))})"


def _tree(spec: DagSpec) -> Tree:
    """Each task below each of its parents."""
    root = Tree(spec.dag_id)
    children: dict[str, list[str]] = {}
    for task in spec.tasks:
        for parent in task.upstream:
            children.setdefault(parent, []).append(task.task_id)

    def grow(branch: Tree, task_id: str) -> None:
        twig = branch.add(task_id)
        for child in children.get(task_id, ()):
            grow(twig, child)

    for task in spec.tasks:
        if not task.upstream:
            grow(root, task.task_id)
    return root


@tasks.command("show")
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("run", required=False)
@click.option("--map-index", type=int, default=UNMAPPED)
@output_option
def show_task(dag_id: str, task_id: str, run: str | None, map_index: int, output: str | None) -> None:
    """A task in one run: its tries with their exit facts and phases, and its result. Of a mapped task TASK_ID[3] is
    one instance; without an index all are listed."""
    app = open_app()
    with app.queries() as queries:
        view = queries.run(shown_run(queries, dag_id, run))
        if instance_named(task_id, map_index)[1] == UNMAPPED and (rows := _instance_rows(view, task_id)):
            show(rows, ["task_id", "state", "tries", "started_at", "duration", "reason"], output)
            return
        key = queries.task_key(view.run.key, task_id, map_index)
        task = next(each for each in view.tasks if each.key == key)
        tries = queries.tries(key)
        result = queries.result(key)
    harvest = app.artifacts().harvest(tries[-1].key) if tries else None
    kept = harvest.artifacts if harvest else ()
    notes = harvest.sentences if harvest else ()
    if output == "json":
        files = {"artifacts": kept, "notes": notes}
        show_json({"task": task, "tries": [try_row(each) for each in tries], "result": result, **files})
        return
    reason = f"{task.reason.code}: {task.reason.text}" if task.reason else None
    told: dict[str, Any] = {
        "task": line_of(task).name,
        "run": key.run_id,
        "state": task.state,
        "reason": reason,
        "result": result,
        "looks": tries[-1].look if tries and tries[-1].look > 1 else None,
        "cache": tries[-1].note if tries and tries[-1].note else None,
        "next_look": task.due_at if task.state is TaskState.UP_FOR_RESCHEDULE else None,
    }
    told["artifacts"] = {each.path: f"{each.size} B" for each in kept} or None
    told["note"] = {f"{number}": note for number, note in enumerate(notes, 1)} or None
    describe(told)
    click.echo()
    columns = ["number", "outcome", "exit_code", "started_at", "ended_at", "container", "image_name", "reason"]
    show([try_row(each) for each in tries], columns, output, empty="no try yet")


def _instance_rows(view: RunView, task_id: str) -> list[dict[str, Any]]:
    """The instances of a mapped task; none where it is not mapped, or not expanded yet."""
    rows = [row for row in task_rows(view) if row["task_id"] == task_id and row["map_index"] != UNMAPPED]
    return [{**row, "task_id": f"{task_id}[{row['map_index']}] {row['label']}".rstrip()} for row in rows]


@tasks.command()
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("run", required=False)
@click.option("--try", "number", type=click.IntRange(1), help="Which try. Default: the newest.")
@click.option("--map-index", type=int, default=UNMAPPED)
@click.option("-f", "--follow", is_flag=True, help="Go on until the try has ended.")
def logs(dag_id: str, task_id: str, run: str | None, number: int | None, map_index: int, follow: bool) -> None:
    """What a try wrote, byte for byte: its stdout on stdout, its stderr on stderr. Exit code 1 where it cannot be
    followed to its end."""
    app = open_app()
    with app.queries() as queries, Following.if_any(app.socket) as following:
        key = _task_key(queries, dag_id, task_id, run, map_index)
        attempt = _attempt(queries, key, number, following if follow else None)
        task = next(each for each in queries.run(key.run).tasks if each.key == key)
        position = _write(queries, attempt, 0)
        if not follow or _is_over(attempt, task):
            return
        if following is None:
            say("no scheduler answers here: this is the log as far as it was written")
            return
        for notice in following.notices():
            match notice:
                case LogGrew() if notice.key == attempt.key:
                    position = _write(queries, attempt, position)
                case TaskChanged() if notice.task.key == key:
                    task = notice.task
                case TryChanged() if notice.attempt.key == attempt.key:
                    attempt = notice.attempt
                case _:
                    continue
            if _is_over(attempt, task):
                _write(queries, attempt, position)
                return
    say("the scheduler went away; the log goes on when it is back")
    sys.exit(1)


def _is_over(attempt: Try, task: TaskInstance) -> bool:
    """Whether nothing more comes to the log of a try. After a look of a sensor that found nothing another one
    follows, unless the task has gone on otherwise."""
    looks_again = task.tries == attempt.key.number and task.state in _LOOKING
    return attempt.removed_at is not None and not (attempt.outcome is TryOutcome.NOT_READY and looks_again)


def _attempt(queries: Queries, key: TaskKey, number: int | None, following: Following | None) -> Try:
    """The wanted try; with `following` one that is still to come is waited for."""
    try:
        return queries.attempt(key, number)
    except NotFoundError:
        ended = any(task.key == key and task.state.final for task in queries.run(key.run).tasks)
        if following is None or ended:
            raise
        say(f"{key.task_id} has no such try yet: waiting for it")
        for notice in following.notices():
            match notice:
                case TryChanged() if notice.attempt.key.task == key and number in (None, notice.attempt.key.number):
                    return notice.attempt
                case TaskChanged() if notice.task.key == key and notice.task.state.final:
                    break
                case _:
                    pass
        raise


def _write(queries: Queries, attempt: Try, position: int) -> int:
    for record in queries.log(attempt, position):
        _write_record(record)
        position = record.offset + len(record.data)
    sys.stdout.flush()
    sys.stderr.flush()
    return position


def _write_record(record: LogRecord) -> None:
    if LogFlag.SYSTEM in record.flags:
        say(f"[orchestrator] {record.data.decode()}")
        return
    target = sys.stdout if record.stream is Stream.STDOUT else sys.stderr
    target.flush()
    target.buffer.write(record.data)


def _task_key(queries: Queries, dag_id: str, task_id: str, run: str | None, map_index: int) -> TaskKey:
    key = shown_run(queries, dag_id, run)
    return queries.task_key(key, task_id, map_index)
