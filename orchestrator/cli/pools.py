"""`orchestrator pools`: named numbers of slots that tasks share."""

import click

from orchestrator.cli.output import output_option, show
from orchestrator.cli.session import open_app, tell


@click.group()
def pools() -> None:
    """List, make and remove pools. A task takes slots of its `pool` while it runs."""


@pools.command("list")
@output_option
def list_pools(output: str | None) -> None:
    """Every pool: its slots, how many are taken, and by which DAGs it is named."""
    app = open_app()
    with app.queries() as queries:
        rows = [
            {"name": each.name, "slots": each.slots, "taken": each.taken, "used_by": list(each.used_by)}
            for each in queries.pools(app.project.settings.scheduling.default_pool_slots)
        ]
    show(rows, ["name", "slots", "taken", "used_by"], output)


@pools.command("set")
@click.argument("name")
@click.argument("slots", type=click.IntRange(0))
@output_option
def set_pool(name: str, slots: int, output: str | None) -> None:
    """Make a pool, or give it another number of slots. What runs is left alone."""
    with open_app().actions() as actions:
        tell(actions.set_pool(name, slots), output, f"{name} has {slots} slots")


@pools.command("delete")
@click.argument("name")
@output_option
def delete_pool(name: str, output: str | None) -> None:
    """Remove a pool that no task names any more."""
    with open_app().actions() as actions:
        tell(actions.drop_pool(name), output, f"{name} is gone")
