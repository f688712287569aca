"""What the engine is asked on the way from an exit to the next start."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from engine_proxy import Sighting, Step
from engine_record import DIED, STARTED
from stage import Stage

from orchestrator.states import RunState

pytestmark = pytest.mark.engine

_LINKS = [f"link{number}" for number in range(1, 7)]


def test_no_container_is_listed_or_inspected_between_an_exit_and_the_next_start(
    chain: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.begin()
    ended = chain.wait_end()
    assert ended.run.state is RunState.SUCCESS
    for before, after in pairwise(ended.tries):
        assert before.ended_at is not None
        assert after.started_at is not None
        assert before.ended_at < after.started_at
    assert ended.results == {link: number for number, link in enumerate(_LINKS, 1)}
    seen = chain.proxy.seen
    ways = [seen[_exit(seen, before) : _start(seen, after)] for before, after in pairwise(_LINKS)]
    with capsys.disabled():
        sys.stdout.write(_counts(ways))
    for way in ways:
        assert way, "the next task started before the exit of the one before was seen"
        assert [call for call in _calls(way) if _asks_about_containers(call)] == []
    assert chain.leftovers.containers() == chain.leftovers.volumes() == []
    for link in _LINKS:
        assert len(chain.record.containers(STARTED, link)) == len(chain.record.containers(DIED, link)) == 1
    assert chain.scheduler.stop() == 0


def _exit(seen: tuple[Sighting, ...], link: str) -> int:
    return _place(seen, lambda it: it.step is Step.EVENT and it.action == "die" and f"-{link}-" in it.container)


def _start(seen: tuple[Sighting, ...], link: str) -> int:
    return _place(
        seen,
        lambda it: it.step is Step.ASKED and it.request.path.endswith("/start") and f"-{link}-" in it.container,
    )


def _place(seen: tuple[Sighting, ...], wanted: Callable[[Sighting], bool]) -> int:
    return next(place for place, sighting in enumerate(seen) if wanted(sighting))


def _calls(way: tuple[Sighting, ...]) -> list[str]:
    return [sighting.request.call for sighting in way if sighting.step is Step.ASKED]


def _asks_about_containers(call: str) -> bool:
    return re.fullmatch(r"GET /containers/(<id>/)?json", call) is not None


def _counts(ways: list[tuple[Sighting, ...]]) -> str:
    """For people: how often what was asked, on all the ways together."""
    counted = Counter(call for way in ways for call in _calls(way))
    lines = [f"{count:4} {call}" for call, count in sorted(counted.items())]
    return "\n".join([f"\ncalls from exit to start, {len(ways)} times:", *lines, ""])
