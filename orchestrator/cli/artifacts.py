"""`orchestrator tasks artifacts`: what is kept of the files of a try, one of them by itself, what nothing keeps."""

import difflib
import shutil
from typing import IO

import click

from orchestrator.app import App
from orchestrator.cli.output import output_option, show
from orchestrator.cli.session import open_app, say, shown_run
from orchestrator.errors import NoSuchContainerError, NotFoundError
from orchestrator.ids import UNMAPPED, ContainerId
from orchestrator.planning.rows import Try
from orchestrator.scheduler.lost_output import lost_files
from orchestrator.spec.artifacts import ArtifactId, Harvest


@click.command()
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("run", required=False)
@click.option("--try", "number", type=click.IntRange(1), help="Which try. Default: the newest.")
@click.option("--map-index", type=int, default=UNMAPPED)
@click.option("--get", "path", help="Write the content of the artifact at this path.")
@click.option(
    "-o", "--to", "target", type=click.File("wb"), default="-", help="Where --get writes. Default: stdout."
)
@click.option("--unkept", is_flag=True, help="Ask the engine what its container wrote so far that nothing keeps.")
@output_option
def artifacts(
    *,
    dag_id: str,
    task_id: str,
    run: str | None,
    number: int | None,
    map_index: int,
    path: str | None,
    target: IO[bytes],
    unkept: bool,
    output: str | None,
) -> None:
    """What is kept of the files that a try wrote: those which its outputs= name."""
    app = open_app()
    with app.queries() as queries:
        key = queries.task_key(shown_run(queries, dag_id, run), task_id, map_index)
        attempt = queries.attempt(key, number)
    if unkept:
        _show_unkept(app, attempt, output)
        return
    harvest = app.artifacts().harvest(attempt.key)
    if path is not None:
        with app.artifacts().open(_named(attempt, harvest, path)) as content:
            shutil.copyfileobj(content, target)
        return
    kept = harvest.artifacts if harvest else ()
    rows = [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in kept]
    show(rows, ["path", "size"], output, empty=_nothing(attempt, harvest))
    for note in harvest.sentences if harvest else ():
        say(f"note: {note}")


def _nothing(attempt: Try, harvest: Harvest | None) -> str:
    """Why there are no artifacts."""
    if not attempt.spec.outputs:
        return f"nothing is kept of {attempt.key.task.task_id}: it has no outputs="
    if harvest is None and attempt.removed_at is None:
        return "nothing is kept yet: its outputs are copied when it has ended"
    return "nothing is kept"


def _named(attempt: Try, harvest: Harvest | None, path: str) -> ArtifactId:
    paths = [artifact.path for artifact in harvest.artifacts] if harvest else []
    if path in paths:
        return ArtifactId(attempt=attempt.key, path=path)
    near = difflib.get_close_matches(path, paths, n=1)
    task = attempt.key.task
    raise NotFoundError(
        "artifact",
        path,
        nearest=near[0] if near else None,
        fix=f"`orchestrator tasks artifacts {task.dag_id} {task.task_id}` lists them",
    )


def _show_unkept(app: App, attempt: Try, output: str | None) -> None:
    """Of a container that runs, or is kept."""
    engine = app.engine()
    try:
        found = lost_files(engine, attempt.container_id or ContainerId(attempt.spec.name), attempt.spec)
    except NoSuchContainerError as gone:
        raise NotFoundError(
            "container",
            attempt.spec.name,
            fix="it goes when its try has ended; of a failed one the notes of `tasks artifacts` tell,"
            " and keep_failed=True keeps it for an hour",
        ) from gone
    finally:
        engine.close()
    rows = [{"path": file.path, "size": file.size} for file in found.files]
    show(rows, ["path", "size"], output, empty="it wrote nothing so far that neither mount nor outputs= would keep")
    if found.more:
        say(f"and {found.more} more files")
