"""The command `orchestrator`: thin faces of actions and queries, one file for each noun. A noun's file is loaded
when it is used, so that `--help` stays quick."""

import errno
import importlib
import os
import sys
import threading
from typing import NoReturn

import click

from orchestrator.errors import OrchestratorError

#: Command -> where it lives, and what `--help` says of it.
_COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("orchestrator.cli.up:up", "Run everything on this machine: the scheduler, kept alive."),
    "scheduler": ("orchestrator.cli.scheduler:scheduler", "Run the scheduler alone, in the foreground; who leads."),
    "health": ("orchestrator.cli.health:health", "Tell by the exit code whether the scheduler runs and answers."),
    "doctor": ("orchestrator.cli.doctor:doctor", "Check this machine; with --fix, repair what can be repaired."),
    "dags": ("orchestrator.cli.dags:dags", "List, check, test, trigger and pause DAGs."),
    "runs": ("orchestrator.cli.runs:runs", "List, show, watch, clear, mark and cancel DAG runs."),
    "tasks": ("orchestrator.cli.tasks:tasks", "List, show, render, clear, mark and kill tasks, read their logs."),
    "backfill": ("orchestrator.cli.backfill:backfill", "Make or clear the runs of a range of dates."),
    "images": ("orchestrator.cli.images:images", "List and build task images."),
    "containers": (
        "orchestrator.cli.containers:containers",
        "Show what of ours is on the engine, and what the scheduler's next look does with it.",
    ),
    "pools": ("orchestrator.cli.pools:pools", "List, make and remove pools."),
    "assets": ("orchestrator.cli.assets:assets", "List and show assets, and tell of updates."),
    "policy": ("orchestrator.cli.policy:policy", "Show what DAGs ask for and the site's policy does not allow."),
    "db": ("orchestrator.cli.database:db", "Look after the database."),
    "config": ("orchestrator.cli.config:config", "Show every setting and where its value came from."),
    "version": ("orchestrator.cli.config:version", "Show the version."),
}

_CLOSED = "make it readable and writable for your user; with ORCHESTRATOR_HOME all state is kept elsewhere"
_FULL = "free some space on that disk; with ORCHESTRATOR_HOME all state is kept elsewhere"
#: What to do about what the machine says of a file.
_FIXES = {
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}

#: Exit codes: a wrong call is click's 2; 130 is a shell's own for Ctrl-C.
FAILED = 1
INTERRUPTED = 130


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="orchestrator", message="%(version)s")
def cli() -> None:
    """A containerized-task orchestrator: DAGs of Docker containers, on time, exactly once."""


def main() -> None:
    """Entry point: errors of ours become one message on stderr and exit code 1, Ctrl-C becomes 130."""
    try:
        code = _called()
    except SystemExit as end:  # a command's own
        code = end.code if isinstance(end.code, int) else os.EX_OK
    _leave(code)


def _called() -> int:
    try:
        return int(cli(standalone_mode=False) or os.EX_OK)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except OrchestratorError as error:
        _tell(error.message, error.fix)
    except OSError as error:  # a full disk, a folder that is not ours
        _tell(f"the machine refuses: {error}", _FIXES.get(error.errno or 0, "`orchestrator doctor` looks around"))
    return FAILED


def _tell(message: str, fix: str) -> None:
    click.secho(f"error: {message}", fg="red", err=True)
    if fix:
        click.echo(f"  fix: {fix}", err=True)


def _leave(code: int) -> NoReturn:
    """End now: a thread that still waits for an engine (a pull, a build) does not hold the exit, since the engine
    ends such work itself when the connection goes; and output that nobody reads any more is let go quietly."""
    unread = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            unread = True
    if unread or threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)
