"""What killed foreground runs leave is removed; nothing else is touched (invariant I13)."""

import os
import subprocess

import pytest

from orchestrator.clock import SystemClock
from orchestrator.engines.owners import identity, own_identity
from orchestrator.ids import (
    ContainerId,
    DeploymentId,
    RunKey,
    TaskKey,
    TryId,
    TryKey,
    container_name,
    helper_name,
    run_volume_name,
)
from orchestrator.leftovers import sweep_trials
from orchestrator.spec.container import ContainerSpec, Mount
from orchestrator.testing.fake_engine import FakeEngine
from orchestrator.testing.programs import Program

_HOME = DeploymentId("0123abcd")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(SystemClock(), lambda _: Program(stays=True))


def dead() -> str:
    """The identity of a process that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        found = identity(process.pid)
        process.kill()
    return found


def container(
    engine: FakeEngine,
    task_id: str,
    owner: str,
    *,
    deployment: str = "0123abcdt77",
    kind: str = "try",
    first: str = "",
    name: str = "",
    mounts: tuple[Mount, ...] = (),
) -> str:
    """A container of a foreground run, under the name that its labels give it unless another one is given."""
    key = TryKey(TaskKey("d", "r", task_id), 1)
    labels = {
        "orchestrator.deployment": deployment,
        "orchestrator.kind": kind,
        "orchestrator.owner": owner,
        "orchestrator.dag_id": "d",
        "orchestrator.run_id": "r",
        "orchestrator.task_id": task_id,
        "orchestrator.map_index": "-1",
        "orchestrator.try_number": "1",
    }
    name = name or container_name(DeploymentId(deployment), key, first=first)
    return engine.create(ContainerSpec(name=name, image="i", image_name="i", labels=labels, mounts=mounts))


def volume(name: str, owner: str, *, kind: str = "run-volume") -> Mount:
    labels = {
        "orchestrator.deployment": "0123abcdt77",
        "orchestrator.kind": kind,
        "orchestrator.owner": owner,
        "orchestrator.dag_id": "d",
        "orchestrator.run_id": "r",
    }
    return Mount(source=name, target="/v", labels=labels)


def left(engine: FakeEngine) -> list[str]:
    return [each.id for each in engine.containers]


def test_containers_of_a_dead_owner_are_removed_running_or_not(engine: FakeEngine) -> None:
    owner = dead()
    container(engine, "one", owner)
    container(engine, "named", owner, first="my-own")
    engine.start(ContainerId(container(engine, "two", owner)))
    assert sweep_trials(engine, _HOME) == 3
    assert left(engine) == []


def test_a_copy_that_inherited_the_labels_is_left_alone(engine: FakeEngine) -> None:
    """As one run from an image that was made of a foreground run's container: its owner is dead too."""
    owner = dead()
    copies = [container(engine, "one", owner, name="quirky_newton"), container(engine, "one", owner, name="x-1")]
    assert sweep_trials(engine, _HOME) == 0
    assert left(engine) == copies


def test_what_served_a_try_of_a_dead_owner_is_removed_by_its_name(engine: FakeEngine) -> None:
    labels = {
        "orchestrator.deployment": "0123abcdt77",
        "orchestrator.kind": "promotion",
        "orchestrator.owner": dead(),
        "orchestrator.serves": "1" * 16,
    }
    for name in (helper_name(DeploymentId("0123abcdt77"), "promote", TryId("1" * 16)), "copy"):
        engine.create(ContainerSpec(name=name, image="i", image_name="i", labels=labels))
    assert sweep_trials(engine, _HOME) == 1
    assert [each.spec.name for each in engine.containers] == ["copy"]


def test_volumes_of_a_dead_run_are_removed_by_their_names(engine: FakeEngine) -> None:
    owner = dead()
    run = run_volume_name(DeploymentId("0123abcdt77"), RunKey("d", "r"))
    for mount in (volume(run, owner), volume("f" * 64, owner, kind="try"), volume("mine", owner)):
        engine.remove(ContainerId(container(engine, "one", owner, mounts=(mount,))))
    sweep_trials(engine, _HOME)
    assert [each.name for each in engine.list_owned_volumes("orchestrator.owner")] == ["mine"]


def test_nothing_else_is_touched(engine: FakeEngine) -> None:
    owner = dead()
    kept = [
        container(engine, "alive", own_identity()),
        container(engine, "other-home", owner, deployment="ffffffffdt77"),
        container(engine, "deployment", owner, deployment="0123abcd"),
        container(engine, "kind", owner, kind="build"),
        container(engine, "unreadable", "who knows"),
    ]
    assert sweep_trials(engine, _HOME) == 0
    assert left(engine) == kept


def test_a_reused_pid_is_not_taken_for_its_former_owner() -> None:
    boot, pid, started = own_identity().split(":")
    assert int(pid) == os.getpid()
    assert identity(os.getpid()) == own_identity() != f"{boot}:{pid}:{int(started) - 1}"
