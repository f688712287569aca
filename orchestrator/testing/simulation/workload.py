"""What a history is about: DAGs, what their containers do, and what every task must come to where nobody but the
machines around it makes trouble. The oracle is written from the rules, and knows nothing of the planner.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from orchestrator.ports import Stream
from orchestrator.spec.container import ContainerSpec
from orchestrator.spec.dag import ContainerTemplate, DagSpec, RetryPolicy, TaskSpec
from orchestrator.states import TaskState, TriggerRule
from orchestrator.testing.programs import Output, Program
from orchestrator.testing.simulation.dice import Dice

#: Rules whose outcome does not hang on who ends first.
_RULES = (TriggerRule.ALL_SUCCESS, TriggerRule.ALL_SUCCESS, TriggerRule.ALL_SUCCESS, TriggerRule.ALL_DONE)
_FAILS_WITH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one container does: lines after pauses, then a rest, then its end. Seconds."""

    output: tuple[tuple[float, Stream, bytes], ...]
    rest: float
    exit_code: int
    result: bytes | None  #: what its result file holds; None: it writes none
    deaf: bool  #: it does not heed TERM

    @property
    def handed_on(self) -> bytes | None:
        """What a success of it hands on: its result file, else its last line on stdout, as JSON."""
        lines = [data for _, stream, data in self.output if stream is Stream.STDOUT]
        if self.result is not None:
            return self.result
        return msgspec.json.encode(lines[-1].decode().rstrip("\n")) if lines else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the containers of one task do, and how often each instance of it fails first."""

    fails: int
    seconds: float
    writes_result: bool
    lines: int
    deaf: bool


@dataclass(slots=True)
class Limits:
    """What no instant may exceed."""

    parallelism: int
    pool: int
    launchers: int


class Workload:
    """Drawn from the seed. `resilient`: what is lost is run again as often as it takes."""

    def __init__(self, random: Dice) -> None:
        self._random = random
        self.resilient = random.happens(0.75)
        self.limits = Limits(
            parallelism=random.randint(1, 4), pool=random.randint(1, 4), launchers=random.randint(1, 3)
        )
        self.plans: dict[tuple[str, str], Plan] = {}
        self.dags = tuple(self._dag(f"d{number}") for number in range(random.choice((1, 1, 2))))
        self.works: dict[str, Work] = {}  #: by name of the container and how many had it before
        self.ended: Counter[tuple[str, str, str]] = Counter()  #: failures of its own, by task instance
        self.recorded: dict[tuple[str, str, str], int] = {}  #: those that count by its row

    # --- what is written --------------------------------------------------------------------------------

    def _dag(self, dag_id: str) -> DagSpec:
        random = self._random
        tasks: list[TaskSpec] = []
        for number in range(random.randint(1, 4)):
            before = [each.task_id for each in tasks]
            upstream = tuple(task_id for task_id in before if random.happens(0.5))
            tasks.append(self._task(dag_id, f"t{number}", upstream))
        return DagSpec(
            dag_id=dag_id,
            file=f"{dag_id}.py",
            tasks=tuple(tasks),
            max_active_runs=random.choice((1, 2, 16)),
            max_active_tasks=random.choice((1, 2, 3, 16)),
            paused_on_creation=False,
        )

    def _task(self, dag_id: str, task_id: str, upstream: tuple[str, ...]) -> TaskSpec:
        random = self._random
        retries = random.choice((0, 0, 1, 2))
        self.plans[dag_id, task_id] = Plan(
            fails=random.choice((0, 0, 0, 1, 2, 3)),
            seconds=random.choice((0.0, 0.0, 0.05, 0.5, 3.0, 20.0)),
            writes_result=random.happens(0.5),
            lines=random.choice((0, 1, 3, 8)),
            deaf=random.happens(0.2),
        )
        return TaskSpec(
            task_id=task_id,
            upstream=upstream,
            container=ContainerTemplate(image="base", cpus=random.choice((None, None, 1.0, 3.0))),
            trigger_rule=random.choice(_RULES),
            retry=RetryPolicy(
                retries=retries,
                delay=timedelta(seconds=random.choice((0, 0, 1, 3))),
                rerun_lost=True if self.resilient else random.choice((None, False, True)),
                infrastructure_retries=1000 if self.resilient else 2,
            ),
            execution_timeout=timedelta(seconds=200),
            stop_grace=timedelta(seconds=random.choice((0, 1, 4))),
            pool_slots=random.randint(1, self.limits.pool),
            max_active_tis_per_dag=random.choice((None, None, 1)),
            keep_failed=False,
        )

    # --- what containers do -----------------------------------------------------------------------------

    def program(self, spec: ContainerSpec) -> Program:
        """For the fake engine; what takes time is done by the simulated one."""
        work = self._draw(spec)
        self.works[spec.labels["orchestrator.try_id"]] = work
        files = {} if work.result is None or spec.result_path is None else {spec.result_path: work.result}
        at_once = work.rest == 0 and all(pause == 0 for pause, _, _ in work.output)
        return Program(
            output=tuple(Output(data=data, stream=stream) for _, stream, data in work.output) if at_once else (),
            files=files,
            exit_code=work.exit_code,
            stays=not at_once,
            deaf_to=frozenset({"TERM"}) if work.deaf else frozenset(),
        )

    def of(self, spec: ContainerSpec) -> Work:
        """What the container that was made last for this try does."""
        return self.works[spec.labels["orchestrator.try_id"]]

    def _draw(self, spec: ContainerSpec) -> Work:
        random, labels = self._random, spec.labels
        instance = labels["orchestrator.dag_id"], labels["orchestrator.run_id"], labels["orchestrator.task_id"]
        plan = self.plans[instance[0], instance[2]]
        name = f"{instance[2]} try {labels['orchestrator.try_number']} {random.getrandbits(32):08x}"
        pause = plan.seconds / (plan.lines + 1)
        output = tuple(
            (
                pause * random.random() * 2,
                Stream.STDERR if random.happens(0.2) else Stream.STDOUT,
                f"{name} line {line}\n".encode(),
            )
            for line in range(plan.lines)
        )
        return Work(
            output=output,
            rest=pause,
            exit_code=_FAILS_WITH if self.recorded.get(instance, 0) < plan.fails else 0,
            result=msgspec.json.encode({"of": name}) if plan.writes_result else None,
            deaf=plan.deaf,
        )

    # --- what must come of it ---------------------------------------------------------------------------

    def expected(self, dag: DagSpec) -> dict[str, tuple[TaskState, int]]:
        """State and spent failures of every task, by its rule and what its containers do."""
        states: dict[str, tuple[TaskState, int]] = {}
        for task in dag.tasks:
            above = {states[parent][0] for parent in task.upstream}
            if task.trigger_rule is TriggerRule.ALL_SUCCESS and above - {TaskState.SUCCESS}:
                states[task.task_id] = TaskState.UPSTREAM_FAILED, 0
                continue
            fails = self.plans[dag.dag_id, task.task_id].fails
            state = TaskState.SUCCESS if fails <= task.retry.retries else TaskState.FAILED
            states[task.task_id] = state, min(fails, task.retry.retries)
        return states
