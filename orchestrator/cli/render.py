"""`orchestrator tasks render`: the container that a task would get, fully decided, without running it."""

import shlex
from typing import Any

import click
import msgspec

from orchestrator.cli.output import describe, show_json
from orchestrator.cli.session import open_app, read_conf, say
from orchestrator.engines.docker.command_line import docker_run
from orchestrator.errors import EngineUnavailableError, RequestRefusedError
from orchestrator.ids import UNMAPPED, instance_named
from orchestrator.rendering import render_task
from orchestrator.spec.container import ContainerSpec, InputFile, Mount
from orchestrator.spec.secrets import Sealed


@click.command()
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("date", required=False)
@click.option(
    "--map-index", type=int, default=UNMAPPED, help="Which instance of a mapped task; or write TASK_ID[3]."
)
@click.option("--conf", help="A JSON object for the run's `conf`.")
@click.option("--docker-run", "as_line", is_flag=True, help="Print the line for a shell that does the same.")
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain")
def render(
    dag_id: str, task_id: str, date: str | None, *, map_index: int, conf: str | None, as_line: bool, output: str
) -> None:
    """The final container of a task for a DATE, as its DAG file says it now; of one without, what it does.

    Conf, where none is given, and results of upstream tasks are those of the newest run of that interval. With
    --docker-run a task image that is missing is built, so that the line works: that needs the engine.
    Secrets are not looked up: the line takes them from variables of the shell, and ends where one is not set."""
    app = open_app()
    given = None if conf is None else read_conf(conf)
    task_id, map_index = instance_named(task_id, map_index)
    try:
        spec = render_task(
            app, dag_id, task_id, date=date, map_index=map_index, conf=given, build=as_line, warn=say
        )
    except EngineUnavailableError as error:
        if not as_line:
            raise
        raise EngineUnavailableError(
            f"--docker-run prints the image's id, which only an engine knows: {error.message}", fix=error.fix
        ) from error
    if output == "json" and not as_line:
        show_json(spec)
    elif not isinstance(spec, ContainerSpec):
        if as_line:
            text = f"{dag_id}.{task_id} runs no container, so no docker run does the same"
            raise RequestRefusedError(text, fix="leave --docker-run out")
        describe(msgspec.to_builtins(spec))
    elif as_line:
        click.echo(docker_run(spec, app.clock.now(), app.artifacts().path))
    else:
        describe(_fields(spec))


def _fields(spec: ContainerSpec) -> dict[str, Any]:
    """What a person wants to see: words as a shell would take them, mounts and files by their places."""
    return msgspec.structs.asdict(spec) | {
        "entrypoint": None if spec.entrypoint is None else shlex.join(spec.entrypoint) or "(none)",
        "command": None if spec.command is None else shlex.join(spec.command),
        "mounts": {mount.target: _mount_text(mount) for mount in spec.mounts},
        "files": {file.path: _file_text(file) for file in spec.files},
        "secret_environment": {name: _sealed_text(each) for name, each in spec.secret_environment.items()},
        "secret_files": {file.path: _sealed_text(file.content) for file in spec.secret_files},
        "tty": spec.tty or None,
        "init": spec.init or None,
        "read_only": spec.read_only or None,
        "keep_failed": spec.keep_failed or None,
        "privileged": spec.privileged or None,
        "sandbox": None if spec.sandbox else False,
    }


def _file_text(file: InputFile) -> str:
    if file.artifact is not None:
        return f"{file.artifact.path} of {file.artifact.attempt.task.task_id}"
    return "a folder" if file.data is None else f"{len(file.data)} bytes"


def _sealed_text(sealed: Sealed) -> str:
    return "".join(each if isinstance(each, str) else f"<{each}>" for each in sealed)


def _mount_text(mount: Mount) -> str:
    return " ".join(filter(None, (mount.type, mount.source, "(read only)" if mount.read_only else "")))
