"""`kill -9` of the scheduler again and again, at instants that a seed chooses, while a crowd of short containers
and a few long ones run: each try has one container that ran once, was adopted where it was, and ended as it ended;
results and logs are whole; nothing is left, nothing foreign is touched (invariants I1, I2, I4, I7, I13, I14).

A round is one life of the scheduler: it is killed while it starts, or some events of the engine later.
"""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from engine_record import CREATED, DIED, GONE, STARTED
from orphans import Orphans
from output_streams import wait_output
from stage import Stage

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, TRY_KIND, TRY_LABEL, ContainerId, new_deployment_id
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import Stream
from orchestrator.queries import RunView
from orchestrator.spec.container import ContainerFacts, ContainerSpec

pytestmark = pytest.mark.engine

#: Seconds of a start-up in which a kill may fall, and after an event.
_STARTING, _MOMENT = 1.5, 0.2
_GIVEN = hashlib.sha256(b"copied in before the start\n" * 3000).hexdigest()


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
        for number in range(long):
            container = stage.record.wait(STARTED, f"long{number}")
            wait_output(stage.engine, container, b"line 1 ")
            stage.engine.signal(container, "USR1")
        ended = stage.wait_end()
        for attempt in ended.tries:
            _ran_once(stage, attempt)
            _is_whole(stage, ended, attempt)
        assert len(ended.tries) == short + long
        assert stage.scheduler.stop() == 0
        orphans.wait_gone()
        _nothing_is_left(stage, ended)
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


# --- what always holds ----------------------------------------------------------------------------------


def _ran_once(stage: Stage, attempt: Try) -> None:
    """One container, started once, adopted where it was, and its exit is the outcome."""
    task_id = attempt.key.task.task_id
    code = _exit_code(task_id)
    assert attempt.key.number == 1, (task_id, attempt)
    assert attempt.exit is not None
    assert (attempt.exit.exit_code, attempt.outcome) == (code, TryOutcome.FAILED if code else TryOutcome.SUCCESS)
    assert stage.record.containers(STARTED, task_id) == [attempt.container_id], task_id
    assert stage.record.containers(DIED, task_id) == [attempt.container_id], task_id
    assert stage.record.containers(CREATED, task_id)[-1] == attempt.container_id, task_id
    assert stage.record.try_ids(task_id) == {attempt.try_id}, task_id


def _is_whole(stage: Stage, ended: RunView, attempt: Try) -> None:
    """What it handed on, and its log byte by byte."""
    task_id, container = attempt.key.task.task_id, str(attempt.container_id)[:12]
    said = stage.log(attempt.key)
    assert attempt.log_complete, task_id
    if task_id.startswith("long"):
        sums = {"out": _sum(said[Stream.STDOUT]), "err": _sum(said[Stream.STDERR])}
        assert ended.results[task_id] == {"container": container, **sums}, task_id
        assert said[Stream.STDOUT].endswith(b"ends here")
    else:
        assert said == _output(task_id), task_id
        assert ended.results.get(task_id) == (None if _exit_code(task_id) else {"container": container}), task_id


def _nothing_is_left(stage: Stage, ended: RunView) -> None:
    for attempt in ended.tries:
        for container in stage.record.containers(CREATED, attempt.key.task.task_id):
            stage.record.wait_for(GONE, container)
    copies = [each for each in stage.leftovers.containers() if not _is_copy(stage, each)]
    assert (copies, stage.leftovers.volumes()) == ([], [])


def _is_copy(stage: Stage, container: str) -> bool:
    return stage.engine.inspect(ContainerId(container)).name.startswith("copy-")


def _exit_code(task_id: str) -> int:
    number = int(task_id.removeprefix("short")) if task_id.startswith("short") else 0
    return 1 + number % 100 if number % 10 == 3 else 0


def _output(task_id: str) -> dict[Stream, bytes]:
    """What a short one writes."""
    given = f"{_GIVEN}  -\n" if task_id.endswith("1") else ""
    out = [f"{task_id} {part} out {line} für dich\n" for part in ("first", "second") for line in range(1, 201)]
    err = [f"{part} err {line}\n" for part in ("first", "second") for line in range(1, 101)]
    return {Stream.STDOUT: (given + "".join(out)).encode(), Stream.STDERR: "".join(err).encode()}


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
