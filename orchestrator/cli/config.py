"""`orchestrator config` and `version`."""

from importlib import metadata
from typing import Any

import click
import msgspec

from orchestrator.cli.output import output_option, show
from orchestrator.settings import Project, RootsSettings, Settings, open_project


@click.group()
def config() -> None:
    """Show every setting and where its value came from."""


@config.command("list")
@output_option
def list_settings(output: str | None) -> None:
    """Every setting, its value without a password, and its source (default, file, environment)."""
    project = open_project()
    show([*_places(project), *_settings(project), *_roots(project)], ["setting", "value", "source"], output)


def _places(project: Project) -> list[dict[str, Any]]:
    return [
        {"setting": "project", "value": str(project.root), "source": "the folder with dags/"},
        {"setting": "home", "value": str(project.home), "source": "ORCHESTRATOR_HOME, or .orchestrator in it"},
    ]


def _settings(project: Project) -> list[dict[str, Any]]:
    return [
        {
            "setting": f"{section.name}.{field.name}",
            "value": project.settings.shown(section.name, field.name),
            "source": project.sources.get(f"{section.name}.{field.name}", "default"),
        }
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
        if section.type is not RootsSettings
    ]


def _roots(project: Project) -> list[dict[str, Any]]:
    return [
        {"setting": f"roots.{name}", "value": path, "source": project.sources[f"roots.{name}"]}
        for name, path in project.settings.roots.paths.items()
    ]


@click.command()
def version() -> None:
    """The version of this program."""
    click.echo(metadata.version("orchestrator"))
