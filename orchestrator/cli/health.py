"""`orchestrator health`: what a health check asks, many times an hour; so little else is imported here."""

import os
import sys
from pathlib import Path

import click

from orchestrator.scheduler.local_socket import Following
from orchestrator.settings import open_project


@click.command()
def health() -> None:
    """Exit code 0 if a scheduler of this home runs and answers, leading or standing by, 1 if not."""
    project = open_project()
    sys.exit(os.EX_OK if _answers(project.socket) or _answers(project.standby_socket) else 1)


def _answers(socket: Path) -> bool:
    with Following.if_any(socket) as following:
        return following is not None
