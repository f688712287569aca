"""DAGs as good as random, of everything that planning knows: made from a `Random`, so that a seed names one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
from mapped_dags import each_of, mapped_group, over, result_of
from planning_sim import container, dag

from orchestrator.spec.dag import (
    BranchChoice,
    CronSchedule,
    DagSpec,
    GroupSpec,
    RetryPolicy,
    SensorSpec,
    ShortCircuitChoice,
    TaskKind,
    TaskSpec,
    Teardown,
)
from orchestrator.spec.mapping import MapSpec, Source, results_in
from orchestrator.states import TriggerRule

_DAILY = CronSchedule(expressions=("0 0 * * *",))
_FIRST = datetime(2026, 11, 1, tzinfo=UTC)


class Author:
    """Writes one version of a DAG. All its versions have the same limits of runs and tasks."""

    def __init__(self, random: Random, limits: tuple[int, int]) -> None:
        self.random = random
        self.max_active_runs, self.max_active_tasks = limits
        self.tasks: list[TaskSpec] = []
        self.groups: list[GroupSpec] = []

    def dag(self) -> DagSpec:
        """Tasks have names that other versions have too, for tasks of another kind."""
        for _ in range(self.random.randint(1, 6)):
            self._add(self.random.choices([self._plain, self._group, self._enclosed], [6, 1, 2])[0]())
        return dag(
            *self.tasks,
            groups=tuple(self.groups),
            schedule=_DAILY,
            start_date=_FIRST,
            end_date=_FIRST + timedelta(days=12),
            catchup=False,
            max_active_runs=self.max_active_runs,
            max_active_tasks=self.max_active_tasks,
            fail_fast=self._sometimes(0.2),
            dagrun_timeout=timedelta(minutes=5) if self._sometimes(0.2) else None,
        )

    def _add(self, tasks: Iterator[TaskSpec]) -> None:
        for task in tasks:
            self.tasks.append(task)

    def _plain(self) -> Iterator[TaskSpec]:
        task = self._task(f"t{len(self.tasks)}", self._some(self.tasks))
        yield self._mapped(task) if self._sometimes(0.35) else self._special(task)

    def _enclosed(self) -> Iterator[TaskSpec]:
        """A setup, tasks that use it, and a teardown."""
        number = len(self.tasks)
        up = self._task(f"t{number}", self._some(self.tasks), setup=True, trigger_rule=TriggerRule.ALL_SUCCESS)
        yield up
        users = []
        for place in range(self.random.randint(0, 2)):
            user = self._task(f"t{number + 1 + place}", (up.task_id,))
            users.append(user.task_id)
            yield self._mapped(user) if self._sometimes(0.3) else user
        down = Teardown(setups=(up.task_id,), fails_run=self._sometimes(0.3))
        yield self._task(f"t{number + 1 + len(users)}", (up.task_id, *users), teardown=down)

    def _group(self) -> Iterator[TaskSpec]:
        """A mapped group; its tasks depend on each other, and some on others."""
        number, inside = len(self.tasks), list[TaskSpec]()
        for place in range(self.random.randint(1, 3)):
            parents = self._some(inside) or self._some(self.tasks)
            inside.append(self._special(self._task(f"t{number + place}", parents)))
        if len(inside) > 2 and self._sometimes(0.5):
            first, *others = inside
            first = msgspec.structs.replace(first, setup=True, choice=None)
            parents = tuple(dict.fromkeys((f"t{number}", *inside[-1].upstream, inside[1].task_id)))
            down = self._task(others[-1].task_id, parents, teardown=Teardown(setups=(first.task_id,)))
            inside = [first, *others[:-1], down]
        group, members = mapped_group(f"g{number}", self._elements(), *inside)
        self.groups.append(group)
        yield from members

    def _task(self, task_id: str, upstream: tuple[str, ...], **arguments: Any) -> TaskSpec:
        rule = self.random.choice([TriggerRule.ALL_SUCCESS] * 8 + list(TriggerRule))
        given: dict[str, Any] = {
            "trigger_rule": rule,
            "retry": RetryPolicy(retries=self.random.choice([0, 0, 1]), delay=timedelta(seconds=30)),
            "skip_on_exit_code": (99,),
            "max_active_tis_per_dag": self.random.choice([None, None, None, 1]),
            "execution_timeout": timedelta(seconds=20) if self._sometimes(0.1) else None,
            "depends_on_past": self._sometimes(0.05),
        }
        if "teardown" not in arguments and self._sometimes(0.08):
            which = self.random.choice(["start_date", "end_date"])
            given[which] = _FIRST + timedelta(days=self.random.randint(0, 12))
        return container(task_id, *upstream, **(given | arguments))

    def _special(self, task: TaskSpec) -> TaskSpec:
        kind = self.random.choice(["", "", "empty", "branch", "short", "direct", "sensor", "latest"])
        match kind:
            case "empty" | "latest":
                made = TaskKind.EMPTY if kind == "empty" else TaskKind.LATEST_ONLY
                rule = task.trigger_rule
                return TaskSpec(task_id=task.task_id, kind=made, upstream=task.upstream, trigger_rule=rule)
            case "branch":
                return msgspec.structs.replace(task, choice=BranchChoice())
            case "short" | "direct":
                choice = ShortCircuitChoice(ignore_downstream_trigger_rules=kind == "short")
                return msgspec.structs.replace(task, choice=choice)
            case "sensor":
                wait = SensorSpec(timeout=timedelta(minutes=4), soft_fail=self._sometimes(0.5))
                return msgspec.structs.replace(task, sensor=wait)
            case _:
                return task

    def _mapped(self, task: TaskSpec) -> TaskSpec:
        elements = self._elements()
        sources = [result.task_id for result in results_in(elements)]
        upstream = tuple(dict.fromkeys((*task.upstream, *sources)))
        return msgspec.structs.replace(task, map=elements, upstream=upstream)

    def _elements(self) -> MapSpec:
        return over(*(self._source() for _ in range(self.random.choice([1, 1, 2]))), max_length=6)

    def _source(self) -> Source:
        known = [task.task_id for task in self.tasks if task.kind is TaskKind.CONTAINER and not task.choice]
        if known and self._sometimes(0.7):
            return result_of(self.random.choice(known))
        return each_of(*range(self.random.choice([0, 1, 2, 3])))

    def _some(self, tasks: list[TaskSpec]) -> tuple[str, ...]:
        number = min(len(tasks), self.random.choice([0, 1, 1, 2, 3]))
        return tuple(task.task_id for task in self.random.sample(tasks, number))

    def _sometimes(self, chance: float) -> bool:
        return self.random.random() < chance
