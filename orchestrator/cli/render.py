"""`orchestrator tasks render`: the container that a task would get, fully decided, without running it."""

from typing import Any

import click
import msgspec

from orchestrator.cli.output import show_json
from orchestrator.cli.session import open_app, read_conf, say
from orchestrator.engines.docker.command_line import docker_run
from orchestrator.rendering import render_task
from orchestrator.spec.container import ContainerSpec


@click.command()
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("date", required=False)
@click.option("--conf", help="A JSON object for the run's `conf`.")
@click.option("--docker-run", "as_line", is_flag=True, help="Print the line for a shell that does the same.")
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain")
def render(dag_id: str, task_id: str, date: str | None, conf: str | None, as_line: bool, output: str) -> None:
    """The final container of a task for a DATE, as its DAG file says it now.

    Results of upstream tasks are those of the newest run of that interval. With --docker-run a task image that
    is missing is built, so that the line works."""
    app = open_app()
    spec = render_task(app, dag_id, task_id, date=date, conf=read_conf(conf), build=as_line, warn=say)
    if as_line:
        click.echo(docker_run(spec, app.clock.now()))
    elif output == "json":
        show_json(spec)
    else:
        for name, value in _fields(spec).items():
            click.echo(f"{name:>14}  {value}")


def _fields(spec: ContainerSpec) -> dict[str, Any]:
    fields = msgspec.to_builtins(spec)
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
