"""`orchestrator backfill`: the runs of a range of logical dates."""

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from orchestrator.cli.output import describe, output_option, show, show_json
from orchestrator.cli.session import open_app, read_conf, say, tell
from orchestrator.planning.backfills import Asked, Step
from orchestrator.queries import BackfillView
from orchestrator.states import Reprocess


@click.group()
def backfill() -> None:
    """Make or clear the runs of a range of logical dates, a few at a time; DAGs that are paused as well."""


@backfill.command()
@click.argument("dag_id")
@click.option("--from", "start", metavar="DATE", required=True, help="The first logical date.")
@click.option("--to", "end", metavar="DATE", required=True, help="The last logical date, included.")
@click.option(
    "--reprocess",
    type=click.Choice([each.value for each in Reprocess]),
    default=Reprocess.NONE.value,
    show_default=True,
    help="Which intervals that have a run are cleared: none, those that failed, all.",
)
@click.option("--backwards", is_flag=True, help="The newest first.")
@click.option("--max-active-runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--conf", metavar="JSON", help="conf of every run.")
@click.option(
    "--as-run/--newest",
    "as_run",
    default=None,
    help="What is cleared runs with the version and images it had, or the newest. Default: the setting "
    "scheduling.rerun_with.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and with which version and images.")
@output_option
def create(
    dag_id: str,
    *,
    conf: str | None,
    reprocess: str,
    as_run: bool | None,
    dry_run: bool,
    output: str | None,
    **asked: Any,
) -> None:
    """Begin a backfill."""
    app = open_app()
    recorded = app.project.settings.scheduling.rerun_with == "recorded" if as_run is None else as_run
    words = {**asked, "reprocess": Reprocess(reprocess), "as_run": recorded}
    wanted = Asked(dag_id=dag_id, conf=read_conf(conf), **words)
    with app.queries() as queries:
        steps = queries.backfill_plan(wanted)
        for doubt in queries.backfill_doubts(wanted):
            say(f"warning: {doubt}")
    if dry_run:
        columns = ["logical_date", "does", "run_id", "version"]
        show([_planned(step) for step in steps], columns, output, empty="no interval lies in that range")
        if output != "json" and (images := _images(steps)):
            say(f"images: {', '.join(images)}")
        return
    with app.actions() as actions:
        outcome = actions.backfill(wanted)
    data = outcome.answer.data if outcome.answer else {}
    number = data.get("id")
    tell(outcome, output, f"backfill {number}: {data.get('runs')} runs; `orchestrator backfill show {number}`")


@backfill.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True)
@output_option
def list_backfills(limit: int, output: str | None) -> None:
    """Backfills, the newest first."""
    with open_app().queries() as queries:
        rows = [_row(view) for view in queries.backfills(limit)]
    show(rows, ["id", "dag_id", "state", "done", "total", "failed", "start", "end", "actor"], output)


@backfill.command("show")
@click.argument("number", type=int)
@output_option
def show_backfill(number: int, output: str | None) -> None:
    """How far a backfill is."""
    with open_app().queries() as queries:
        view = queries.backfill(number)
    if output == "json":
        show_json({**msgspec.to_builtins(view.backfill), **_row(view)})
    else:
        describe(_row(view))


@backfill.command()
@click.argument("number", type=int)
@output_option
def pause(number: int, output: str | None) -> None:
    """Begin no more runs of it for now; those that run go on."""
    with open_app().actions() as actions:
        tell(actions.change_backfill(number, "paused"), output, f"backfill {number} is paused")


@backfill.command()
@click.argument("number", type=int)
@output_option
def unpause(number: int, output: str | None) -> None:
    """Go on with it."""
    with open_app().actions() as actions:
        tell(actions.change_backfill(number, "running"), output, f"backfill {number} goes on")


@backfill.command()
@click.argument("number", type=int)
@output_option
def cancel(number: int, output: str | None) -> None:
    """Begin no more runs of it; those that run go on to their end."""
    with open_app().actions() as actions:
        tell(actions.change_backfill(number, "cancelled"), output, f"backfill {number} begins no more runs")


def _planned(step: Step) -> dict[str, Any]:
    return {
        "logical_date": step.interval.start,
        "interval_end": step.interval.end,
        "does": step.kind.value,
        "run_id": step.run.run_id if step.run else None,
        "version": step.version,
        "images": step.images,
    }


def _images(steps: Iterable[Step]) -> list[str]:
    """All that anything runs with, and what each name meant then or will mean."""
    named = {(name, pin) for step in steps for name, pin in step.images.items()}
    told = ((name, "as it is when a run begins" if pin is None else pin) for name, pin in named)
    return sorted(f"{name} ({what})" for name, what in told)


def _row(view: BackfillView) -> dict[str, Any]:
    filled = view.backfill
    return {
        "id": filled.id,
        "dag_id": filled.dag_id,
        "state": view.state,
        "start": filled.start,
        "end": filled.end,
        "total": filled.total,
        "done": view.done,
        "running": view.running,
        "failed": view.failed,
        "to_come": len(filled.pending),
        "reprocess": filled.reprocess.value,
        "backwards": filled.backwards,
        "max_active_runs": filled.max_active_runs,
        "as_run": filled.as_run,
        "actor": filled.actor,
        "created_at": filled.created_at,
        "ended_at": filled.ended_at,
        "cancelled_by": filled.cancelled_by,
    }
