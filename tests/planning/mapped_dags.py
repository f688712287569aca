"""Mapped tasks for the planner's tests: how they are written, an engine whose tasks hand on what they are told to,
and what must come of it, by the words of the rules."""

import math
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
from planning_engine import FatefulEngine
from planning_sim import Leader, container, dag, exited, prepared, started
from test_rules import naive

from orchestrator.ids import RunKey, TaskKey, TryId
from orchestrator.planning.changes import Launch, Prepare
from orchestrator.planning.events import Event
from orchestrator.planning.rows import TaskInstance, Try
from orchestrator.planning.rules import Verdict
from orchestrator.planning.verdicts import name_of
from orchestrator.spec.dag import DagSpec, GroupSpec, TaskSpec
from orchestrator.spec.mapping import Axis, Concat, FromResult, Literal, MapSpec, Source, Zip, results_in
from orchestrator.states import TaskState

States = dict[str, dict[int, TaskState]]


def over(*sources: Source, **limits: Any) -> MapSpec:
    axes = tuple(Axis(argument=f"argument{place}", source=source) for place, source in enumerate(sources))
    return MapSpec(axes=axes, **limits)


def each_of(*elements: Any) -> Literal:
    return Literal(values=list(elements))


def result_of(task_id: str, key: str = "") -> FromResult:
    return FromResult(task_id=task_id, key=key)


def mapped(task_id: str, map_over: MapSpec, *upstream: str, **arguments: Any) -> TaskSpec:
    """A mapped task, which waits for what it is mapped over as authoring has it."""
    parents = dict.fromkeys((*upstream, *(result.task_id for result in results_in(map_over))))
    return container(task_id, *parents, map=map_over, **arguments)


def mapped_group(group_id: str, map_over: MapSpec, *tasks: TaskSpec) -> tuple[GroupSpec, tuple[TaskSpec, ...]]:
    """A mapped group and its tasks, the first of which wait for what it is mapped over."""
    members = {task.task_id for task in tasks}
    sources = [result.task_id for result in results_in(map_over)]
    inside = [
        msgspec.structs.replace(
            task,
            group=group_id,
            upstream=task.upstream
            if members & set(task.upstream)
            else tuple(dict.fromkeys((*task.upstream, *sources))),
        )
        for task in tasks
    ]
    return GroupSpec(group_id=group_id, map=map_over), tuple(inside)


class Exit(msgspec.Struct, frozen=True):
    """A try that ends with this code, in place of a result."""

    code: int


class OneRun:
    """One run of a DAG of these tasks, whose tries end when they are told to."""

    def __init__(self, *tasks: TaskSpec, groups: tuple[GroupSpec, ...] = (), **arguments: Any) -> None:
        self.leader = Leader()
        self.leader.parse(dag(*tasks, groups=groups, **arguments))
        self.key = self.leader.trigger()
        self._open: list[Launch] = []

    def end(self, **ends: Any) -> None:
        """End the open tries of these tasks, each with its result or `Exit`; a tuple holds one for each index."""
        self._open += self.leader.prepare_all()
        ending = [launch for launch in self._open if launch.attempt.key.task.task_id in ends]
        self._open = [launch for launch in self._open if launch not in ending]
        for launch in ending:
            key = launch.attempt.key.task
            end = ends[key.task_id]
            end = end[key.map_index] if isinstance(end, tuple) else end
            if isinstance(end, Exit):
                self.leader.exit(launch, end.code)
            else:
                self.leader.exit(launch, result=msgspec.json.encode(end))

    @property
    def states(self) -> States:
        """Of the instances that count, by task and index."""
        return states_of(self.leader, self.key)

    def of(self, task_id: str) -> list[str]:
        """The states of a task's instances, in order of their index."""
        return [state.value for _, state in sorted(self.states[task_id].items())]

    def running(self) -> list[str]:
        """The names of the instances whose tries are open."""
        self._open += self.leader.prepare_all()
        return sorted(name_of(launch.attempt.key.task) for launch in self._open)

    def forget(self, tries: Iterable[TryId]) -> None:
        """Tries that have ended otherwise."""
        ended = set(tries)
        self._open = [launch for launch in self._open if launch.attempt.try_id not in ended]

    def task(self, task_id: str, index: int = -1) -> TaskInstance:
        found: TaskInstance = self.leader.rows["tasks"][TaskKey(self.key.dag_id, self.key.run_id, task_id, index)]
        return found


def states_of(leader: Leader, run: RunKey) -> States:
    found: States = {}
    for key, task in leader.rows["tasks"].items():
        if key.run == run and task.state is not TaskState.REMOVED:
            found.setdefault(key.task_id, {})[key.map_index] = task.state
    return found


class Story(msgspec.Struct, frozen=True):
    """How every instance of a DAG's tasks ends, and with what result: as good as random, and always the same."""

    seed: int

    def end(self, task_id: str, index: int) -> Any:
        random = Random(f"{self.seed} {task_id} {index}")  # noqa: S311 - a story, no secret
        number = random.randint(0, 9)
        if number < 2:
            return Exit(1 if number else 99)
        return random.choice([None, 7, "text", {"a": 1}, *(list(range(n)) for n in (0, 1, 2, 3, 2, 3))])


class StoryEngine(FatefulEngine):
    """Has tries end as the story tells."""

    def __init__(self, leader: Leader, story: Story, random: Random) -> None:
        super().__init__(leader, {}, random)
        self.story = story

    def _preparation(self, effect: Prepare) -> Event:
        return prepared(effect)

    def _life(self, attempt: Try) -> list[Event]:
        end = self.story.end(attempt.key.task.task_id, attempt.key.task.map_index)
        if isinstance(end, Exit):
            return [started(attempt), exited(attempt, end.code)]
        return [started(attempt), exited(attempt, 0, result=msgspec.json.encode(end))]


class Naive:
    """How all instances of a DAG end by the words of the rules, worked out task by task."""

    def __init__(self, spec: DagSpec, story: Story) -> None:
        self.spec = spec
        self.story = story
        self.states: States = {}
        self.groups = {group.group_id: group for group in spec.groups}
        for task in spec.tasks:
            self.states[task.task_id] = self._task(task)

    def _task(self, task: TaskSpec) -> dict[int, TaskState]:
        group = self.groups[task.group] if task.group is not None else None
        over = group.map if group is not None else task.map
        if over is None:
            return {-1: self._instance(task, -1, None)}
        outlook = self._outlook(over)
        if group is None:
            verdict = naive(task.trigger_rule, self._parents(task, -1))
            outlook = outlook if verdict is Verdict.READY else TaskState(verdict.value)
        if isinstance(outlook, int):
            return {index: self._instance(task, index, None) for index in range(outlook)}
        return {-1: self._instance(task, -1, outlook) if group is not None else outlook}

    def _instance(self, task: TaskSpec, index: int, instead: TaskState | None) -> TaskState:
        verdict = naive(task.trigger_rule, self._parents(task, index))
        if verdict is not Verdict.READY:
            return TaskState(verdict.value)
        if instead is not None:
            return instead
        end = self.story.end(task.task_id, index)
        if isinstance(end, Exit):
            return TaskState.SKIPPED if end.code == 99 else TaskState.FAILED
        return TaskState.SUCCESS

    def _parents(self, task: TaskSpec, index: int) -> list[TaskState]:
        found = []
        for parent in task.upstream:
            together = task.group is not None and self.spec.task(parent).group == task.group
            states = self.states[parent]
            found += [states[index]] if together else list(states.values())
        return found

    def _outlook(self, over: MapSpec) -> int | TaskState:
        """The number of instances, or what becomes of what cannot be expanded."""
        ends = [self._source(result.task_id) for result in results_in(over)]
        if TaskState.FAILED in ends or TaskState.UPSTREAM_FAILED in ends:
            return TaskState.UPSTREAM_FAILED
        if TaskState.SKIPPED in ends:
            return TaskState.SKIPPED
        lists = [self._elements(axis.source) for axis in over.axes]
        if any(each is None for each in lists):
            return TaskState.FAILED
        count = math.prod(len(each) for each in lists if each is not None)
        if count > over.max_length:
            return TaskState.FAILED
        return count or TaskState.SKIPPED

    def _source(self, task_id: str) -> TaskState:
        states = self.states[task_id]
        return states.get(-1, TaskState.SUCCESS)

    def _elements(self, source: Source) -> list[Any] | None:
        match source:
            case Literal():
                return source.values
            case FromResult():
                return self._result(source.task_id)
            case Concat():
                parts = [self._elements(each) for each in source.sources]
                return None if None in parts else [each for part in parts for each in part or ()]
            case Zip():
                parts = [self._elements(each) for each in source.sources]
                if None in parts:
                    return None
                lengths = [len(part or ()) for part in parts]
                return [None] * (max(lengths) if source.filled else min(lengths))

    def _result(self, task_id: str) -> list[Any] | None:
        states = self.states[task_id]
        if -1 in states:
            value = self.story.end(task_id, -1)
            return list(value) if isinstance(value, list | dict) else None
        results = [self.story.end(task_id, index) for index, state in states.items() if state is TaskState.SUCCESS]
        return [each for each in results if each is not None]
