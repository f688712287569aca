"""What killed foreground runs leave is removed; nothing else is touched (invariant I13)."""

import os
import subprocess

import pytest

from orchestrator.clock import SystemClock
from orchestrator.engines.owners import identity, own_identity
from orchestrator.ids import ContainerId, DeploymentId
from orchestrator.leftovers import sweep_trials
from orchestrator.spec.container import ContainerSpec
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
    engine: FakeEngine, name: str, owner: str, *, deployment: str = "0123abcdt77", kind: str = "try"
) -> str:
    labels = {"orchestrator.deployment": deployment, "orchestrator.kind": kind, "orchestrator.owner": owner}
    return engine.create(ContainerSpec(name=name, image="i", image_name="i", labels=labels))


def left(engine: FakeEngine) -> list[str]:
    return [each.id for each in engine.containers]


def test_containers_of_a_dead_owner_are_removed_running_or_not(engine: FakeEngine) -> None:
    owner = dead()
    container(engine, "one", owner)
    engine.start(ContainerId(container(engine, "two", owner)))
    assert sweep_trials(engine, _HOME) == 2
    assert left(engine) == []


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
