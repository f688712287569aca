"""`orchestrator containers`: what of this deployment is on the engine, and what the next look would do about it."""

import click

from orchestrator.cli.output import output_option, show
from orchestrator.cli.session import open_app
from orchestrator.ids import TRY_LABEL, TryId
from orchestrator.scheduler.upkeep import upkeep_of


@click.command()
@output_option
def containers(output: str | None) -> None:
    """Every container of ours on the engine, and what the scheduler's next look does with it: follow, collect, make
    anew, keep, remove, or leave (no row knows it). Changes nothing."""
    app = open_app()
    engine = app.engine()
    try:
        listed = engine.list_ours(app.deployment())
    finally:
        engine.close()
    with app.store() as store:
        now = app.clock.now()
        rows = [
            {
                "container": facts.id[:12],
                "name": facts.name,
                "state": facts.state.value,
                "next": upkeep_of(facts, store.attempt(TryId(facts.labels.get(TRY_LABEL, ""))), now).value,
            }
            for facts in listed
        ]
    show(rows, ["container", "name", "state", "next"], output)
