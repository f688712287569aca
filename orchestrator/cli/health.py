"""`orchestrator health`: what a health check asks, many times an hour; so little else is imported here."""

import os
import sys

import click

from orchestrator.scheduler.local_socket import Following
from orchestrator.settings import open_project


@click.command()
def health() -> None:
    """Exit code 0 if the scheduler of this home runs and answers, 1 if not."""
    with Following.if_any(open_project().socket) as following:
        sys.exit(os.EX_OK if following else 1)
