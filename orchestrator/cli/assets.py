"""`orchestrator assets`: what tasks produce and DAGs wait for."""

from typing import Any

import click
import msgspec

from orchestrator.asset_views import AssetView, EventView, Waiter
from orchestrator.cli.output import describe, output_option, show, show_json
from orchestrator.cli.session import open_app, tell
from orchestrator.errors import RequestRefusedError
from orchestrator.planning.verdicts import name_of


@click.group()
def assets() -> None:
    """List and show assets, and tell of updates. A task with `outlets` updates assets; a DAG may wait for some."""


@assets.command("list")
@output_option
def list_assets(output: str | None) -> None:
    """Every asset that a DAG names: who produces it, who waits for it, and when it was last updated."""
    with open_app().queries() as queries:
        rows = [_row(view) for view in queries.assets()]
    show(rows, ["name", "producers", "waiting_dags", "last_update"], output, empty="no DAG names an asset")


@assets.command("show")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many events.")
@output_option
def show_asset(name: str, limit: int, output: str | None) -> None:
    """One asset: who has to do with it, what those that wait still lack, and its newest events."""
    with open_app().queries() as queries:
        view, events = queries.asset(name), queries.asset_events(name, limit)
    rows = [event_row(each) for each in events]
    if output == "json":
        show_json({**_row(view), "events": rows})
        return
    waiting = {each.dag_id: _waits(each) for each in view.waiters}
    describe({**_row(view), "waiting_dags": waiting, "waits": None})
    click.echo()
    show(rows, ["at", "source", "actor", "extra"], output, empty="it was never updated")


@assets.command("emit")
@click.argument("name")
@click.option("--extra", metavar="JSON", help="What DAGs that wait for it are to know of the update.")
@output_option
def emit(name: str, extra: str | None, output: str | None) -> None:
    """Tell that an asset was updated by something outside. DAGs that wait for it count it at once."""
    told = _extra(extra)
    with open_app().actions() as actions:
        tell(actions.emit(name, told), output, f"{name} was updated")


def event_row(view: EventView) -> dict[str, Any]:
    """An update as a row; `source` is the task that did it, if one did."""
    event, source = view.event, view.event.source
    return {
        "asset": event.asset,
        "at": event.at,
        "source": None if source is None else f"{source.dag_id} {source.run_id} {name_of(source)}",
        "actor": event.actor,
        "extra": view.extra,
    }


def _extra(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        fix = """write it like --extra '{"rows": 3}', and a text like --extra '"text"'"""
        raise RequestRefusedError(f"--extra is not JSON: {error}", fix=fix) from error


def _row(view: AssetView) -> dict[str, Any]:
    return {
        "name": view.asset.name,
        "uri": view.asset.uri,
        "group": view.asset.group,
        "extra": view.asset.extra,
        "producers": list(view.producers),
        "readers": list(view.readers),
        "waiting_dags": [each.dag_id for each in view.waiters],
        "waits": msgspec.to_builtins(view.waiters),
        "last_update": view.last.at if view.last else None,
    }


def _waits(waiter: Waiter) -> str:
    state = "" if waiter.active else " (inactive)"
    state += " (paused)" if waiter.paused else ""
    lacks = f", lacks {waiter.lacks}" if waiter.lacks else ""
    return f"{waiter.gathered} not consumed{lacks}{state}"
