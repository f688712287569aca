"""`orchestrator up`: everything on this machine."""

import click

from orchestrator.bootstrap.steps import Status
from orchestrator.cli.doctor import examine
from orchestrator.cli.session import open_app, say
from orchestrator.store.migrate import upgrade
from orchestrator.supervisor import become_supervisor


@click.command()
@click.option("--fix", is_flag=True, help="First repair what this machine lacks, as `doctor --fix` does.")
@click.option("--yes", is_flag=True, help="Do not ask before repairing.")
def up(fix: bool, yes: bool) -> None:
    """Run everything on this machine: the scheduler as a process of its own, started again when it dies.

    Ctrl-C stops it; containers that run are left running and adopted by the next `up`."""
    app = open_app()
    upgrade(app.database)
    checks = examine(app, fix=fix, yes=yes, only_trouble=not fix)
    if not fix and any(check.status is Status.FAIL for check in checks):
        say("what failed keeps tasks waiting. `orchestrator doctor --fix` repairs what can be repaired")
    say(f"project {app.project.root}, home {app.project.home}")
    say("watch a run in another terminal: orchestrator runs list; orchestrator runs watch DAG_ID")
    become_supervisor()
