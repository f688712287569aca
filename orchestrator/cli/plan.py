"""What comes next: `orchestrator dags next` for one DAG, `orchestrator dags plan` for all."""

from datetime import datetime, timedelta
from typing import Any

import click

from orchestrator.cli.output import output_option, show
from orchestrator.cli.session import open_app, say
from orchestrator.queries import Coming
from orchestrator.spec.dag import ContinuousSchedule
from orchestrator.timetables import due_in_words, zone_named


def next_in_words(coming: Coming, now: datetime) -> str:
    """When the next scheduled run is due and what it stands for; or that it waits only for the last to end."""
    if isinstance(coming.spec.schedule, ContinuousSchedule):
        return "as soon as none of its runs is open"
    words = due_in_words(coming.interval, zone_named(coming.spec.timezone), now)
    return f"(paused) {words}" if coming.dag.paused else words


@click.command("next")
@click.argument("dag_id")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@output_option
def next_runs(dag_id: str, count: int, output: str | None) -> None:
    """When the next scheduled runs are due, and what they stand for."""
    app = open_app()
    now = app.clock.now()
    with app.queries() as queries:
        dag = queries.dag(dag_id, now).dag
        found = queries.coming(dag_id, now, count)
    rows = [_row(each, now) for each in found]
    show(rows, ["due", "start", "end", "in_words"], output, empty=f"{dag_id} has no next scheduled run")
    if dag.paused and rows:
        say(f"{dag_id} is paused: `orchestrator dags unpause {dag_id}`")


@click.command()
@click.option(
    "--hours", type=click.FloatRange(min=0), default=24.0, show_default=True, help="How far to look ahead."
)
@click.option(
    "-n", "count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many."
)
@click.option("--paused", is_flag=True, help="Also what paused DAGs would run.")
@output_option
def plan(hours: float, count: int, paused: bool, output: str | None) -> None:
    """The scheduled runs of all DAGs that are due or come next, in order."""
    app = open_app()
    now = app.clock.now()
    until = now + timedelta(hours=hours)
    with app.queries() as queries:
        found = queries.plan(now, until, count, paused=paused)
        left_out = 0 if paused else sum(view.dag.paused and view.dag.active for view in queries.dags(now))
    rows = [_row(each, now) for each in found]
    show(rows, ["dag_id", "due", "in_words"], output, empty=f"no scheduled run in the next {hours:g} hours")
    if left_out:
        which = "1 paused DAG is" if left_out == 1 else f"{left_out} paused DAGs are"
        say(f"{which} left out: `orchestrator dags plan --paused` shows what would run")


def _row(coming: Coming, now: datetime) -> dict[str, Any]:
    return {
        "dag_id": coming.dag.dag_id,
        "due": coming.interval.end,
        "start": coming.interval.start,
        "end": coming.interval.end,
        "paused": coming.dag.paused,
        "in_words": next_in_words(coming, now),
    }
