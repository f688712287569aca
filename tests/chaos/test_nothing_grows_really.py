"""The same as tests/scheduler/test_nothing_grows.py on the real engine, seen from outside: run after run, the
scheduler's process has no more threads, file handles and memory than before, and nothing stays on the engine
(invariant I14)."""

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from process_facts import ProcessFacts
from stage import Stage

from orchestrator.engines.docker.address import Address

pytestmark = pytest.mark.engine

_MIB = 1 << 20
#: Threads and connections that may come late: they are started as they are needed, up to a limit.
_POOLED = 12


class Size(NamedTuple):
    threads: int
    handles: int
    memory: int  #: MiB


def test_run_after_run_it_stays_as_large_as_it_was(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    sizes = _sizes(tmp_path, engine_address, base_image, runs=3, tries=14)
    _is_flat(sizes, memory=20)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_after_five_hundred_tries_it_is_as_large_as_after_a_hundred(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    sizes = _sizes(tmp_path, engine_address, base_image, runs=10, tries=50)
    print(*sizes, sep="\n")  # noqa: T201 - figures that are asked for
    _is_flat(sizes[1:], memory=10)


def _is_flat(sizes: list[Size], *, memory: int) -> None:
    first, *_, last = sizes
    assert last.threads - first.threads <= _POOLED, sizes
    assert last.handles - first.handles <= _POOLED, sizes
    assert last.memory - first.memory < memory, sizes


def _sizes(folder: Path, address: Address, image: str, *, runs: int, tries: int) -> list[Size]:
    """How large it is after each run of so many tries."""
    given = {"crowd.json": msgspec.json.encode({"short": tries, "long": 0}).decode()}
    sizes: list[Size] = []
    with Stage(folder, "crowd", "crowd.py", address, image, proxied=False, given=given) as stage:
        stage.begin()
        for number in range(runs):
            if number:
                stage._orchestrator("dags", "trigger", "crowd")
            assert len(stage.wait_end().tries) == tries
            process = ProcessFacts(stage.scheduler.pid)
            sizes.append(Size(process.threads, process.handles, process.memory // _MIB))
        assert (stage.leftovers.containers(), stage.leftovers.volumes()) == ([], [])
        assert stage.scheduler.stop() == 0
    return sizes
