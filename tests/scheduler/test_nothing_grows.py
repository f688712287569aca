"""However many tries have run, a scheduler holds no more than after the first few: no thread, no file handle,
nothing in memory that its services can still reach; and each try costs as many rows and as much of a log's index as
the one before (invariant I14). On the real engine: tests/chaos/test_nothing_grows_really.py."""

import contextlib
import gc
import itertools
import os
import sys
import threading
import types
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from scheduler_stage import RESULT, Stage, dag, retries, task
from sqlalchemy import func, select

from orchestrator.planning.events import Collected
from orchestrator.scheduler.image_gate import Wanted
from orchestrator.spec.artifacts import OutputRef
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.dag import ContainerTemplate, SensorSpec
from orchestrator.spec.secrets import SecretUse
from orchestrator.store import SqlStore, upgrade
from orchestrator.store.tables import METADATA
from orchestrator.testing.programs import Output, Program, says

#: Runs at one time, and tries of each run.
_AT_ONCE, _TRIES = 4, 13
_MIB = 1 << 20
#: Threads, or connections to the database, that may come late: they are started as they are needed, up to a limit.
_POOLED = 12
#: The newest of these are remembered on purpose, some thousand of each.
_REMEMBERED = (Collected, Wanted, ImageFacts)
_FOLLOWED = (
    dict,
    list,
    set,
    frozenset,
    tuple,
    deque,
    partial,
    types.MethodType,
    types.CellType,
    types.FunctionType,
)

DAG = dag(
    task("keeps", container=ContainerTemplate(image="base", outputs=("/out/*",))),
    task(
        "uses",
        "keeps",
        container=ContainerTemplate(image="base", inputs={"/in": OutputRef(task_id="keeps", path="/out/a")}),
    ),
    task("secret", container=ContainerTemplate(image="base", secrets=(SecretUse(id="db"),))),
    task("flaky", retry=retries(1)),
    task("look", sensor=SensorSpec(poke_interval=timedelta(milliseconds=1))),
    task("fails"),
    task("rendered", "flaky", container=ContainerTemplate(image="base", command="echo {{ run_id }}")),
    *(task(f"plain{number}") for number in range(5)),
)


class Held(NamedTuple):
    """What there is of everything at one time."""

    threads: int
    handles: int
    memory: int  #: bytes; what Python and the kernel keep for later is part of it
    objects: Counter[str]
    rows: Counter[str]
    index: int  #: bytes of all indexes of logs
    containers: int


def test_after_hundreds_of_tries_nothing_has_grown(tmp_path: Path) -> None:
    with _stage(tmp_path) as stage:
        first = _held_after(stage, tmp_path, 200)
        second = _held_after(stage, tmp_path, 200)
        _is_flat(first, second, _held_after(stage, tmp_path, 200, second))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_after_five_thousand_tries_nothing_has_grown(tmp_path: Path) -> None:
    with _stage(tmp_path) as stage:
        spans = [_held_after(stage, tmp_path, 1000)]
        while len(spans) < 5:
            spans.append(_held_after(stage, tmp_path, 1000, spans[-1]))
        print([(each.threads, each.handles, each.memory // _MIB) for each in spans])  # noqa: T201 - figures
        for first, second, third in zip(spans, spans[1:], spans[2:], strict=False):
            _is_flat(first, second, third)
        assert spans[-1].memory - spans[1].memory < 20 * _MIB


def _is_flat(first: Held, second: Held, third: Held) -> None:
    """Between the second and the third as many tries ran as between the first and the second."""
    assert _grown(third, second) == {}
    assert third.rows - second.rows == second.rows - first.rows
    assert third.index - second.index <= 1.5 * (second.index - first.index)
    assert third.containers == 0


def _grown(now: Held, before: Held) -> dict[str, int]:
    """What there is more of than before."""
    counted = {"threads": (now.threads, before.threads), "handles": (now.handles, before.handles)}
    more = {name: these - those for name, (these, those) in counted.items() if these - those > _POOLED}
    return more | dict(now.objects - before.objects)


# --- the play -------------------------------------------------------------------------------------------


class _FileStage(Stage):
    """One whose rows are in a file, so that they are not taken for memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store.close()
        upgrade(folder / "orchestrator.db")
        self.store = SqlStore.open(folder / "orchestrator.db")


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    stage = _FileStage(folder)
    found = itertools.cycle((75, 0))
    stage.secrets.keep("db", "correct horse battery")
    stage.script.programs = {
        "keeps": Program(files={"/out/a": b"kept"}, output=says("kept\n").output),
        "secret": says("it is correct horse battery\nsaid\n"),
        "flaky": [Program(exit_code=1), Program(files={RESULT: b'"well"'})],
        "look": lambda: Program(exit_code=next(found), output=says("looked\n").output),
        "fails": Program(exit_code=3, output=(Output(data=b"why it failed\n"),)),
        **{f"plain{number}": says("one\ntwo\n") for number in range(5)},
    }
    stage.begin()
    try:
        yield stage
    finally:
        stage.close()


def _held_after(stage: Stage, folder: Path, tries: int, before: Held | None = None) -> Held:
    """Have so many tries run, about; what there is then. What is only about to go is given time to: it is waited
    for that there is no more than before."""
    for _ in range(round(tries / _TRIES / _AT_ONCE)):
        runs = [stage.trigger(DAG) for _ in range(_AT_ONCE)]
        views = [stage.wait(run) for run in runs]
        assert {len(view.tries) for view in views} == {_TRIES}
        for remembering in (stage.heard.notices, stage.engine.calls._calls, stage.engine.board._happened):
            remembering.clear()  # what only the test keeps
    held = [_held(stage, folder)]

    def is_settled() -> bool:
        held.append(_held(stage, folder))
        return not _grown(held[-1], before or held[-2])

    with contextlib.suppress(AssertionError):  # who compares the two tells more
        stage.heard.wait_for(is_settled, "what goes to have gone")
    return held[-1]


def _held(stage: Stage, folder: Path) -> Held:
    gc.collect()
    return Held(
        threads=threading.active_count(),
        handles=len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,  # noqa: PTH208 - names only
        memory=_resident(),
        objects=_reachable(stage.scheduler, stage.scheduler._loop._world.answered),
        rows=_rows(stage.store),
        index=sum(path.stat().st_size for path in folder.glob("logs/**/*.idx")),
        containers=len(stage.engine.containers),
    )


def _reachable(root: object, *remembered: object) -> Counter[str]:
    """How many objects of each type lead from it over values and containers of ours, and how many things all these
    containers hold. What belongs to others (the store's and the engine's own) is not looked into."""
    counted: Counter[str] = Counter()
    seen = {id(each) for each in remembered}
    left = [root]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, (type, *_REMEMBERED)):
            continue
        seen.add(id(each))
        if isinstance(each, _FOLLOWED) or _is_ours(each):
            counted[type(each).__qualname__] += 1
            left += _within(each)
        if isinstance(each, (dict, list, set, deque)):
            counted["things held"] += sum(not isinstance(thing, _REMEMBERED) for thing in _things(each))
    return counted


def _is_ours(each: object) -> bool:
    module = type(each).__module__
    return module.startswith("orchestrator.") and not module.startswith(
        ("orchestrator.testing", "orchestrator.store")
    )


def _within(each: object) -> list[object]:
    if isinstance(each, types.FunctionType):  # not its module
        return [*(each.__closure__ or ()), *(each.__defaults__ or ())]
    return gc.get_referents(each)


def _things(each: object) -> Iterable[object]:
    return each.values() if isinstance(each, dict) else each if isinstance(each, Iterable) else ()


def _rows(store: SqlStore) -> Counter[str]:
    """How many rows each table has."""
    with store._reading() as connection:
        tables = METADATA.sorted_tables
        return Counter(
            {each.name: connection.scalar(select(func.count()).select_from(each)) or 0 for each in tables}
        )


def _resident() -> int:
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
