"""`kill -9` of the scheduler between two looks of a sensor and during one: no look is lost or taken twice, they are
one try with one log, and nothing is left over (invariants I1, I4, I7)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_record import GONE, STARTED
from stage import Stage

from orchestrator.engines.docker.address import Address
from orchestrator.planning.rows import TryOutcome
from orchestrator.ports import Stream
from orchestrator.states import RunState

pytestmark = pytest.mark.engine


@pytest.fixture
def looking(tmp_path: Path, engine_address: Address, base_image: str) -> Iterator[Stage]:
    with Stage(tmp_path, "looking", "looking.py", engine_address, base_image) as stage:
        yield stage


def test_killed_between_two_looks_it_looks_again(looking: Stage) -> None:
    looking.begin()
    looking.record.wait(GONE, "victim")
    looking.scheduler.kill()
    looking.begin()
    second = looking.record.wait_number(STARTED, "victim", 2)
    looking.open_gate(second, 1)
    _is_whole(looking)


def test_killed_during_a_look_the_look_goes_on_and_another_one_follows(looking: Stage) -> None:
    looking.begin()
    second = looking.record.wait_number(STARTED, "victim", 2)
    looking.wait_gate(second, 1)
    looking.scheduler.kill()
    looking.open_gate(second, 1)
    looking.begin()
    _is_whole(looking)


def _is_whole(stage: Stage) -> None:
    ended = stage.wait_end()
    (attempt,) = ended.tries
    assert ended.run.state is RunState.SUCCESS
    assert (attempt.key.number, attempt.look, attempt.outcome) == (1, 3, TryOutcome.SUCCESS)
    assert ended.results == {"victim": {"looks": 3}}
    started = stage.record.containers(STARTED, "victim")
    assert (stage.runs / "victim").read_text().split() == [container[:12] for container in started]
    assert len(started) == 3
    said = stage.log(attempt.key)
    assert said[Stream.STDOUT] == b"".join(_look(number) for number in (1, 2, 3))
    assert attempt.log_complete
    for container in started:
        stage.record.wait_for(GONE, container)
    assert stage.leftovers.containers() == []
    assert stage.scheduler.stop() == 0


def _look(number: int) -> bytes:
    lines = "".join(f"look {number} line {line}\n" for line in range(1, 301))
    gate = "gate 1\n" if number == 2 else ""
    return f"{lines}{gate}no newline at the end of {number}".encode()
