"""`orchestrator images`: the task images of this project."""

import sys
import threading

import click

from orchestrator.app import App
from orchestrator.cli.output import output_option, show, show_json
from orchestrator.cli.session import open_app, say
from orchestrator.planning.rows import Reason


@click.group()
def images() -> None:
    """List and build task images (task-images/NAME/Dockerfile)."""


@images.command("list")
@output_option
def list_images(output: str | None) -> None:
    """Every task image: its content's tag, and whether the engine has it."""
    app = open_app()
    statuses = app.images(app.deployment()).status()
    users = _users(app)
    rows = [
        {
            "name": each.name,
            "tag": each.tag,
            "built": each.built,
            "stale": each.stale,
            "size_mb": None if each.size is None else round(each.size / 1_000_000),
            "bases": list(each.bases),
            "used_by": users.get(each.name, []),
            "problem": each.problem,
        }
        for each in statuses
    ]
    columns = ["name", "tag", "built", "stale", "size_mb", "bases", "used_by", "problem"]
    show(rows, columns, output, empty=f"no task images: put one into {app.project.images_folder}/NAME/Dockerfile")


def _users(app: App) -> dict[str, list[str]]:
    """Image name -> active DAGs that use it, as far as a database knows DAGs."""
    users: dict[str, list[str]] = {}
    if app.database.exists():
        with app.queries() as queries:
            for view in (each for each in queries.dags(app.clock.now()) if each.dag.active):
                for name in {task.container.image for task in view.spec.tasks if task.container}:
                    users.setdefault(name or app.project.settings.default_image, []).append(view.dag.dag_id)
    return users


@images.command()
@click.argument("names", nargs=-1)
@click.option("--output", type=click.Choice(["plain", "json"]), default="plain")
def build(names: tuple[str, ...], output: str) -> None:
    """Build what is missing or changed, bases first, several at a time. Exit code 1 if one failed."""
    app = open_app()
    printing = threading.Lock()

    def progress(name: str, reason: Reason) -> None:
        with printing:
            say(f"{name}: {reason.text}")

    outcomes = app.images(app.deployment(), app.record_image).build(names, progress=progress)
    if output == "json":
        show_json(outcomes)
    else:
        for outcome in outcomes:
            how = outcome.error or ("built" if outcome.record else "is there already")
            click.echo(f"{outcome.name}: {outcome.tag} {how}".replace("  ", " "))
    sys.exit(1 if any(outcome.error for outcome in outcomes) else 0)
