"""Limits as the engine lives them: from its own events, what ran at every instant of a random workload."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from scheduler_stage import Stage, dag, staged, task

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Pool, RequestKind
from orchestrator.settings import SchedulingSettings
from orchestrator.spec.container import EngineEvent, EngineEventKind
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.states import RunState
from orchestrator.testing.programs import Program

PARALLELISM, IN_DAG, IN_POOL, RUNS_OF_DAG = 7, 5, 3, 2
#: Of each of three DAGs so many runs, each with so many tasks.
RUNS, TASKS = 3, 14
#: Of the fake engine.
CORES, MEMORY = 4, 8 * 1024**3


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        made.settings = made.with_settings(scheduling=SchedulingSettings(parallelism=PARALLELISM))
        made.begin()
        request = made.ask(RequestKind.SET_POOL, name="narrow", slots=IN_POOL)
        made.heard.wait_for(lambda: made.store.answer(request.id) is not None, "the pool")
        assert made.store.pools() == (Pool(name="narrow", slots=IN_POOL),)
        yield made


def workload(random: Random, dag_id: str) -> DagSpec:
    """Tasks that depend on up to two earlier ones, each with a few limits."""
    tasks: list[TaskSpec] = []
    for number in range(TASKS):
        before = random.sample(tasks, k=min(len(tasks), random.randint(0, 2)))
        container = ContainerTemplate(
            image="base",
            cpus=random.choice([None, 0.5, 1, 2, 4]),
            mem_limit=random.choice([None, "512m", "3g"]),
            concurrency_key=random.choice([None, None, None, "warehouse"]),
        )
        pool = {"pool": "narrow", "pool_slots": random.randint(1, 2)} if random.random() < 0.4 else {}
        cap = {"max_active_tis_per_dag": 1} if random.random() < 0.3 else {}
        tasks.append(task(f"t{number}", *(each.task_id for each in before), container=container, **pool, **cap))
    limits = {"max_active_tasks": IN_DAG, "max_active_runs": RUNS_OF_DAG}
    return msgspec.structs.replace(dag(*tasks, dag_id=dag_id), **limits)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_limit_is_exceeded_at_any_instant_and_everybody_gets_a_turn(stage: Stage, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a workload, not a secret
    dags = {dag_id: workload(random, dag_id) for dag_id in ("d", "e", "f")}
    for name in {each.task_id for spec in dags.values() for each in spec.tasks}:
        stage.script.programs[name] = Program(stays=True)
    runs = [stage.trigger(spec) for spec in dags.values() for _ in range(RUNS)]
    for _ in range(len(runs) * TASKS):
        stage.heard.wait_for(lambda: bool(_running(stage)), "anything to run")
        stage.engine.finish(random.choice(_running(stage)))
    assert {stage.wait(run).run.state for run in runs} == {RunState.SUCCESS}
    seen = _check(stage, dags, runs)
    assert len(seen) == len(runs) * TASKS
    assert all(count == 1 for count in stage.starts().values())


def _running(stage: Stage) -> list[str]:
    """Names of the containers that run, in order."""
    return sorted(each.spec.name for each in stage.engine.containers if each.runs)


def _check(stage: Stage, dags: dict[str, DagSpec], runs: list[RunKey]) -> set[TaskKey]:
    """Go through the engine's history, and add up what runs after each start."""
    going: dict[TaskKey, TaskSpec] = {}
    seen = set()
    for event in stage.engine.board.happened:
        key = _key(event)
        if event.kind is EngineEventKind.DIE:
            del going[key]
        elif event.kind is EngineEventKind.START:
            going[key] = dags[key.dag_id].task(key.task_id)
            seen.add(key)
            _add_up(going)
    assert going == {}
    assert {key.run for key in seen} == set(runs)
    return seen


def _add_up(going: dict[TaskKey, TaskSpec]) -> None:
    containers = [spec.container for spec in going.values() if spec.container is not None]
    assert len(going) <= PARALLELISM
    assert max(Counter(key.dag_id for key in going).values()) <= IN_DAG
    assert max(Counter(run.dag_id for run in {key.run for key in going}).values()) <= RUNS_OF_DAG
    alone = [(key.dag_id, key.task_id) for key, spec in going.items() if spec.max_active_tis_per_dag is not None]
    assert len(alone) == len(set(alone))
    assert sum(spec.pool_slots for spec in going.values() if spec.pool == "narrow") <= IN_POOL
    assert sum(float(each.cpus or 0) for each in containers) <= CORES
    assert sum(_BYTES[each.mem_limit] for each in containers) <= MEMORY
    assert sum(each.concurrency_key is not None for each in containers) <= 1


_BYTES = {None: 0, "512m": 512 * 1024**2, "3g": 3 * 1024**3}


def _key(event: EngineEvent) -> TaskKey:
    labels = event.labels
    return TaskKey(labels["orchestrator.dag_id"], labels["orchestrator.run_id"], labels["orchestrator.task_id"])
