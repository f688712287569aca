"""`orchestrator dags explain`, `runs explain`, `tasks explain`: why it does not run, was skipped or failed."""

from collections.abc import Iterable, Sequence

import click
import msgspec

from orchestrator.cli.output import describe, output_option, show, show_json
from orchestrator.cli.session import open_app, shown_run
from orchestrator.explanations import Explanation, TaskWord
from orchestrator.ids import UNMAPPED, instance_name

#: Tasks of one row that are named.
_NAMED = 3


@click.command("explain")
@click.argument("dag_id")
@output_option
def explain_dag(dag_id: str, output: str | None) -> None:
    """Why no run of a DAG begins, and what to do."""
    with open_app().explanations() as explanations:
        _tell(explanations.dag(dag_id), output)


@click.command("explain")
@click.argument("dag_id")
@click.argument("run", required=False)
@output_option
def explain_run(dag_id: str, run: str | None, output: str | None) -> None:
    """Why a run waits or failed, task by task, and what to do."""
    app = open_app()
    with app.queries() as queries, app.explanations() as explanations:
        _tell(explanations.run(shown_run(queries, dag_id, run)), output)


@click.command("explain")
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("run", required=False)
@click.option("--map-index", type=int, default=UNMAPPED)
@output_option
def explain_task(dag_id: str, task_id: str, run: str | None, map_index: int, output: str | None) -> None:
    """Why a task waits, was skipped or failed, and what to do."""
    app = open_app()
    with app.queries() as queries, app.explanations() as explanations:
        _tell(explanations.task(shown_run(queries, dag_id, run), task_id, map_index), output)


def _tell(told: Explanation, output: str | None) -> None:
    if output == "json":
        show_json(msgspec.structs.asdict(told))
        return
    root = told.behind
    describe(
        {
            "dag": told.dag_id,
            "run": told.run_id,
            "task": told.task_id,
            "state": told.state,
            "reason": told.reason and told.reason.code,
            "why": told.text,
            "behind_it": root
            and f"{instance_name(root.task_id, root.map_index)}: {root.reason.code}: {root.reason.text}",
            "next": told.next_step,
            "note": {f"{number}": note for number, note in enumerate(told.notes, 1)} if told.notes else None,
        }
    )
    if told.tasks:
        click.echo()
        show(_rows(told.tasks), ["task_id", "state", "reason"], output)


def _rows(words: Iterable[TaskWord]) -> list[dict[str, str]]:
    """A row for each reason, with all tasks in one state that have it: hundreds may wait for the same."""
    same: dict[tuple[str, str], list[str]] = {}
    for word in words:
        same.setdefault((word.state.value, f"{word.reason.code}: {word.reason.text}"), []).append(word.task_id)
    return [{"task_id": _names(names), "state": state, "reason": why} for (state, why), names in same.items()]


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
