"""Sensors that look again, and everybody else, where both wait for the same limit: neither keeps the other out."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from planning_sim import SETTINGS, Leader, container, dag, prepared

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Change, Collect, Launch, PinImages, Prepare
from orchestrator.planning.decide import decide
from orchestrator.planning.events import Collected, EngineSized, Event, ImagesPinned
from orchestrator.planning.rows import Pool
from orchestrator.spec.container import EngineCapacity, Share
from orchestrator.spec.dag import SensorSpec, TaskSpec, WeightRule
from orchestrator.states import RunState

SECOND = timedelta(seconds=1)
ENGINE = EngineCapacity(cpus=2, memory=2**32, version="20.10", api_version="1.41", architecture="amd64", os="linux")
#: Each limit that sensors and others may both wait for, two at a time (a key: one), as arguments of tasks, DAG,
#: settings, and containers.
LIMITS: Mapping[str, Mapping[str, Any]] = {
    "pool": {"task": {"pool": "two"}},
    "max_active_tasks": {"dag": {"max_active_tasks": 2}},
    "parallelism": {"settings": {"parallelism": 2}},
    "engine": {"share": Share(cpus=1)},
    "concurrency_key": {"share": Share(key="k")},
}


#: By then everybody has had a turn many times over.
_TOO_LONG = 500


class Quick(Leader):
    """What rows alone would tell is compared elsewhere; limits are looked at after every turn."""

    def turn(self, *events: Event) -> tuple[Change, ...]:
        changes = decide(self.world, events, self.now, self._ids, self.settings)
        for change in changes:
            self._write(change)
        self.world.apply(changes)
        self._check_limits()
        return changes


class Busy:
    """Containers that take a second each, and sensors that find nothing and are due again at once."""

    def __init__(self, limit: str, *tasks: TaskSpec, seed: int = 1) -> None:
        wanted = LIMITS[limit]
        self.random = Random(seed)  # noqa: S311 - a workload, not a secret
        self.share = wanted.get("share", Share())
        settings = msgspec.structs.replace(SETTINGS, **wanted.get("settings", {}))
        self.leader = Quick(settings, pools=[Pool(name="two", slots=2)])
        limited = [msgspec.structs.replace(task, **wanted.get("task", {})) for task in tasks]
        self.leader.turn(EngineSized(capacity=ENGINE))
        self.leader.parse(dag(*limited, **({"max_active_tasks": 99} | wanted.get("dag", {}))))
        self.run: RunKey = self.leader.trigger()
        self.running: list[Launch] = []
        self.order: list[str] = []
        self.passed: Counter[str] = (
            Counter()
        )  #: how many of the other kind went before each while it waited, at most
        self._since: Counter[str] = Counter()
        self._steps = 0
        self._prepare()

    def step(self, found: tuple[str, ...] = ()) -> None:
        """One that runs ends: a sensor with nothing, but for those that `found` it."""
        self._steps += 1
        assert self._steps < _TOO_LONG
        ended = self.running.pop(self.random.randrange(len(self.running)))
        task_id = ended.attempt.key.task.task_id
        self.leader.now += SECOND
        waited, before = [*self.waits("w"), *self.waits("s")], len(self.order)
        self.leader.exit(ended, 75 if task_id.startswith("s") and task_id not in found else 0)
        collected = [
            Collected(try_id=each.attempt.try_id, at=self.leader.now) for each in self.leader.take(Collect)
        ]
        self.leader.turn(*collected)
        self._begun()
        self._count(waited, self.order[before:])
        self.leader.wait(1)
        self._prepare()

    def waits(self, kind: str) -> list[str]:
        """Those of a kind (the first letter) that are ready and wait."""
        return sorted(key.task_id for key, _ in self.leader.world.ready.items() if key.task_id.startswith(kind))

    def _prepare(self) -> None:
        for pin in self.leader.take(PinImages):
            self.leader.turn(ImagesPinned(run=pin.run, pins={"tools": "tools:1"}))
        answers = [prepared(effect) for effect in self.leader.take(Prepare)]
        spec = [msgspec.structs.replace(each.spec, share=self.share) for each in answers]
        both = zip(answers, spec, strict=True)
        self.leader.turn(*(msgspec.structs.replace(each, spec=spec) for each, spec in both))
        self._begun()

    def _count(self, waited: list[str], began: list[str]) -> None:
        for each in waited:
            ahead = began[: began.index(each)] if each in began else began
            self._since[each] += sum(other[0] != each[0] for other in ahead)
            self.passed[each] = max(self.passed[each], self._since[each])
            if each in began:
                del self._since[each]

    def _begun(self) -> None:
        launches = self.leader.take(Launch)
        self.running += launches
        self.order += [launch.attempt.key.task.task_id for launch in launches]


def sensors(number: int, **arguments: Any) -> list[TaskSpec]:
    looks = SensorSpec(poke_interval=SECOND, timeout=timedelta(days=7))
    return [container(f"s{each}", sensor=looks, **arguments) for each in range(number)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("priority", [1, 9])
def test_of_forty_waiting_sensors_one_look_at_most_goes_before_a_task(limit: str, priority: int) -> None:
    last = {"weight_rule": WeightRule.ABSOLUTE, "priority_weight": 0}
    chain = [container(f"w{each}", *([f"w{each - 1}"] if each else []), **last) for each in range(5)]
    busy = Busy(limit, *sensors(40, priority_weight=priority), *chain)
    while "w0" not in busy.order:
        busy.step()
    while "w4" not in busy.order:
        busy.step()
    assert busy.leader.run(busy.run).state is RunState.RUNNING  # the sensors look on
    assert max(busy.passed[f"w{number}"] for number in range(1, 5)) <= 1


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("priority", [1, 9])
def test_however_many_wait_one_at_most_goes_before_a_sensor_that_looks_again(limit: str, priority: int) -> None:
    crowd = [container(f"w{number}", priority_weight=priority) for number in range(24)]
    busy = Busy(limit, *sensors(1, priority_weight=10), *crowd)
    while busy.waits("w"):
        busy.step()
    assert busy.order.count("s0") > 5
    assert busy.passed["s0"] <= 1


@pytest.mark.parametrize("limit", LIMITS)
def test_of_many_sensors_each_looks_as_often_as_the_others(limit: str) -> None:
    busy = Busy(limit, *sensors(12))
    while len(set(busy.order)) < 12:
        busy.step()
    busy.order.clear()
    for _ in range(50):
        busy.step()
    looks = Counter(busy.order)
    assert len(looks) == 12
    assert max(looks.values()) - min(looks.values()) <= 2


def test_a_sensor_of_greater_priority_looks_more_often_and_none_waits_for_ever() -> None:
    important = [
        msgspec.structs.replace(each, task_id=f"s_{each.task_id}") for each in sensors(6, priority_weight=2**40)
    ]
    busy = Busy("pool", *sensors(6), *important)
    for _ in range(150):
        busy.step()
    looks = Counter(busy.order)
    assert min(looks[f"s_s{number}"] for number in range(6)) > 2 * max(looks[f"s{number}"] for number in range(6))
    busy.leader.now += timedelta(hours=1)
    before = len(busy.order)
    for _ in range(12):
        busy.step()
    assert set(busy.order[before:]) > {f"s{number}" for number in range(6)}


@pytest.mark.parametrize("large", ["w", "s"])
def test_who_needs_the_whole_pool_gets_it_beside_sensors_that_look_for_ever(large: str) -> None:
    whole = container("w0", pool_slots=2) if large == "w" else sensors(1, pool_slots=2)[0]
    small = [msgspec.structs.replace(each, task_id=f"s_{each.task_id}") for each in sensors(20)]
    busy = Busy("pool", *small, whole)
    for _ in range(250):
        busy.step()
    assert busy.order.count(whole.task_id) >= (1 if large == "w" else 3)


def test_a_large_sensor_is_let_in_beside_an_endless_crowd() -> None:
    crowd = [container(f"w{number}") for number in range(130)]
    busy = Busy("pool", *sensors(1, pool_slots=2, priority_weight=10), *crowd)
    while len(busy.waits("w")) > 4:
        busy.step()
    assert busy.order.count("s0") >= 2
