"""`orchestrator scheduler`: one scheduler in the foreground, as leader or as standby; and who there is."""

import os
import sys
import threading
from typing import Any, NoReturn

import click

from orchestrator import oplog
from orchestrator.app import App
from orchestrator.cli.output import describe, output_option, show_json
from orchestrator.cli.session import open_app, say
from orchestrator.errors import FencedError, SchedulerRunningError, SchemaError
from orchestrator.ports import Leading
from orchestrator.pulses import Pulse
from orchestrator.scheduler.local_socket import Following
from orchestrator.store.migrate import upgrade
from orchestrator.supervisor import HOPELESS, on_stop_signals, scheduler_command


@click.group(invoke_without_command=True)
@click.option("--upgrade", "upgrade_first", is_flag=True, help="First bring the database up to this program.")
@click.pass_context
def scheduler(context: click.Context, upgrade_first: bool) -> None:
    """Run the scheduler alone, in the foreground. TERM stops it in order; its containers keep running.

    Over PostgreSQL any number of them may run: one leads, the others stand by and go on within seconds when it
    dies."""
    if context.invoked_subcommand is not None:
        return
    app = open_app()
    oplog.configure()
    if upgrade_first:
        upgrade(app.database)
    sys.exit(_run(app))


@scheduler.command()
@output_option
def status(output: str | None) -> None:
    """Who leads and since when, and who stands by, as the database says."""
    app = open_app()
    with app.queries() as queries, Following.if_any(app.socket) as here:
        leading = queries.leading()
    if output == "json":
        show_json(_fields(leading, here=here is not None))
        return
    describe(
        {
            "leader": _leader(leading, here=here is not None),
            "epoch": leading.epoch,
            "since": leading.taken_at,
            "standbys": {each.owner: f"since {each.since:%Y-%m-%d %H:%M:%S} UTC" for each in leading.standbys},
        }
    )


def _run(app: App) -> int:
    stop = threading.Event()
    on_stop_signals(stop.set)
    try:
        with app.scheduler(stop) as running:
            if running is None:
                return os.EX_OK
            on_stop_signals(running.quit)
            if not stop.is_set():
                running.run()
    except FencedError as error:
        if app.has_standbys:
            say(f"{error.message}; this one stands by from now on")
            _begin_anew(app)
        say(f"error: {error}")
        return HOPELESS
    except (SchedulerRunningError, SchemaError) as error:
        say(f"error: {error}")
        return HOPELESS
    return os.EX_OK


def _begin_anew(app: App) -> NoReturn:
    """As the same process with nothing of what it was: no thread, buffer or connection that could still act."""
    if app.project.heartbeat is not None:  # its next word is out until it has opened the database again
        Pulse(app.project.heartbeat, 0)()
    for descriptor in (app.project.nursery, app.project.heartbeat):
        if descriptor is not None:
            os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    program, *arguments = scheduler_command()
    os.execv(program, [program, *arguments])  # noqa: S606 - our own interpreter, no shell


def _leads(leading: Leading, *, here: bool) -> bool:
    """Whether anybody does: where a lock decides, only the one who holds it can tell."""
    return here if leading.left is None else leading.left.total_seconds() > 0


def _leader(leading: Leading, *, here: bool) -> str:
    if not leading.owner:
        return "nobody yet"
    if not _leads(leading, here=here):
        return f"nobody; {leading.owner} did"
    return f"{leading.owner}, at this home" if here else leading.owner


def _fields(leading: Leading, *, here: bool) -> dict[str, Any]:
    leads = _leads(leading, here=here)
    return {
        "leader": leading.owner if leads else None,
        "epoch": leading.epoch,
        "since": leading.taken_at,
        "seconds_left": None if leading.left is None else leading.left.total_seconds(),
        "at_this_home": here,
        "standbys": [
            {"owner": each.owner, "since": each.since, "seen_at": each.seen_at} for each in leading.standbys
        ],
    }
