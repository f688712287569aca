"""`kill -9` of the scheduler again and again, at instants that a seed chooses, while a crowd of short containers
and a few long ones run: each try has one container that ran once, was adopted where it was, and ended as it ended;
results and logs are whole; nothing is left, nothing foreign is touched (invariants I1, I2, I4, I7, I13, I14).

A round is one life of the scheduler: it is killed while it starts, or some events of the engine later.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from crowd_record import check_crowd, check_nothing_left, end_long_ones
from engine_record import CREATED, DIED, GONE, STARTED
from orphans import Orphans
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, TRY_LABEL, ContainerId, new_deployment_id
from orchestrator.spec.container import ContainerFacts, ContainerSpec

pytestmark = pytest.mark.engine

#: Seconds of a start-up in which a kill may fall, and after an event.
_STARTING, _MOMENT = 1.5, 0.2


def test_whatever_kills_it_every_try_runs_once_and_nothing_is_lost(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    _play(tmp_path, engine_address, base_image, seed=1, rounds=6, short=40, long=2)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_ten_kills_among_two_hundred_containers(
    tmp_path: Path, engine_address: Address, base_image: str, seed: int
) -> None:
    """A hundred in all."""
    _play(tmp_path, engine_address, base_image, seed=seed, rounds=10, short=200, long=5)


def _play(folder: Path, address: Address, image: str, *, seed: int, rounds: int, short: int, long: int) -> None:
    given = {"crowd.json": msgspec.json.encode({"short": short, "long": long}).decode()}
    with (
        Stage(folder, "crowd", "crowd.py", address, image, proxied=False, given=given) as stage,
        _foreign(stage, image) as foreign,
        Orphans() as orphans,
    ):
        chance = random.Random(seed)  # noqa: S311 - where to kill, told by the seed
        for _ in range(rounds):
            _kill_somewhere(stage, chance, short=short, events=4 * short // rounds)
            orphans.wait_gone()
        stage.begin()
        while stage.record.count(DIED) < short:
            _wait_for_events(stage, short, 1)
        end_long_ones(stage, long)
        ended = stage.wait_end()
        check_crowd(stage, ended, short + long)
        assert stage.scheduler.stop() == 0
        orphans.wait_gone()
        check_nothing_left(stage, ended, lambda container: _is_copy(stage, container))
        assert [stage.engine.inspect(ContainerId(each.id)) for each in foreign] == foreign


# --- the play -------------------------------------------------------------------------------------------


def _kill_somewhere(stage: Stage, chance: random.Random, *, short: int, events: int) -> None:
    """One life: killed while it starts, or `events` events of the engine later at most."""
    scheduler = stage.spawn()
    if chance.random() < 1 / 3:
        _pass(chance.uniform(0, _STARTING))
        scheduler.kill(early=True)
        return
    scheduler.wait_running()
    _wait_for_events(stage, short, chance.randint(0, events))
    _pass(chance.uniform(0, _MOMENT))
    scheduler.kill()


def _wait_for_events(stage: Stage, short: int, number: int) -> None:
    """Until so many more have come, or all short ones have ended, after which there are none."""
    wanted = _happened(stage) + number
    stage.record.wait_until(
        lambda: _happened(stage) >= wanted or stage.record.count(DIED) >= short, f"{number} more events"
    )


def _happened(stage: Stage) -> int:
    return sum(stage.record.count(kind) for kind in (CREATED, STARTED, DIED, GONE))


def _pass(seconds: float) -> None:
    """Let time go by: where a kill falls is to depend on nothing that happens."""
    SystemClock().wait(threading.Event(), seconds)


@contextmanager
def _foreign(stage: Stage, image: str) -> Iterator[list[ContainerFacts]]:
    """Running containers that are not ours: a stranger, one that looks like a try of another deployment, and a copy
    of ours under a name of its own."""
    ours, other = stage.app.deployment(), new_deployment_id()
    labels = {KIND_LABEL: TRY_KIND, TRY_LABEL: "0" * 16, "orchestrator.task_id": "copied"}
    specs = {
        f"stranger-{other}": {},
        f"orc-{other}-crowd-short0-00000000-m-1": {**labels, DEPLOYMENT_LABEL: other},
        f"copy-{other}": {**labels, DEPLOYMENT_LABEL: ours},
    }
    made: list[ContainerId] = []
    try:
        for name, given in specs.items():
            spec = ContainerSpec(
                name=name, image=image, image_name=image, command=("sleep", "3600"), labels=given, network="none"
            )
            made.append(stage.engine.create(spec))
            stage.engine.start(made[-1])
        yield [stage.engine.inspect(container) for container in made]
    finally:
        for container in made:
            stage.engine.remove(container, force=True)


def _is_copy(stage: Stage, container: str) -> bool:
    return stage.engine.inspect(ContainerId(container)).name.startswith("copy-")
