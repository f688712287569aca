"""What a small container tells of a real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.bootstrap.container_steps import ContainerSteps
from orchestrator.bootstrap.doctor_steps import doctor_steps
from orchestrator.bootstrap.steps import Check, Status, Step, run_steps
from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import DeploymentId
from orchestrator.images.calls import ImageApi
from orchestrator.images.resolve import ExternalImages
from orchestrator.settings import EngineSettings, ImagesSettings, Project, Settings

pytestmark = pytest.mark.engine


@pytest.fixture
def steps(engine_address: Address, base_image: str, engine_deployment: DeploymentId) -> Iterator[ContainerSteps]:
    """Steps whose containers must all be gone afterwards (`engine_deployment` sees to that)."""
    api = ImageApi(lambda: engine_address)
    yield ContainerSteps(api, ExternalImages(api, SystemClock()), base_image, engine_deployment)
    api.close()


def line(step: Step) -> Check:
    (check,) = run_steps([step], lambda _: None)
    return check


def test_limits_of_containers_hold(steps: ContainerSteps) -> None:
    check = line(steps.limits(()))
    assert (check.status, check.text) == (Status.OK, "memory limits of containers hold")


def test_the_engine_sees_our_data_roots_and_nothing_stays_in_them(steps: ContainerSteps, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    check = line(steps.roots({name: tmp_path / name for name in ("one", "two", "not there")}, ()))
    assert (check.status, check.text) == (Status.OK, f"the engine sees {tmp_path}/one, {tmp_path}/two")
    assert [list((tmp_path / name).iterdir()) for name in ("one", "two")] == [[], []]


@pytest.mark.parametrize("seen_there", ["/usr", "/nowhere/at/all", None])
def test_a_root_that_the_engine_sees_otherwise_is_told(
    steps: ContainerSteps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen_there: str | None
) -> None:
    """As with an engine on another machine, or around the scheduler's container: what is mounted is not what was
    written."""
    monkeypatch.setattr(steps, "_engine_path", lambda _: seen_there)
    check = line(steps.roots({"data": tmp_path}, ()))
    assert check.status is Status.WARN
    assert f"does not see the files of {tmp_path}" in check.text
    assert list(tmp_path.iterdir()) == []


def test_a_whole_examination_of_this_machine_finds_nothing_wrong(
    tmp_path: Path, engine_address: Address, base_image: str, engine_deployment: DeploymentId
) -> None:
    (tmp_path / "dags").mkdir()
    settings = Settings(engine=EngineSettings(address=engine_address.url), images=ImagesSettings(base=base_image))
    project = Project(root=tmp_path, home=tmp_path / "home", settings=settings, sources={}, engine_environment={})
    with doctor_steps(project, engine_deployment, SystemClock()) as steps:
        checks = list(run_steps(steps, lambda _: None, lambda check: check.name == "folders"))
    assert [check for check in checks if check.status is Status.FAIL] == []
    assert [check.name for check in checks] == [
        "folders", "disk", "engine", "room for tasks", "clock", "base image", "limits", "data roots", "task images",
    ]  # fmt: skip
