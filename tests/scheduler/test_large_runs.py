"""Runs of a size that people may well ask for, by a whole scheduler over a fake engine and the real store: in a
time that would not do if a turn cost more than what happens in it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from scheduler_stage import RESULT, Stage, dag, staged, task

from orchestrator.queries import RunView
from orchestrator.settings import SchedulingSettings, TasksSettings
from orchestrator.spec.dag import DagSpec, GroupSpec, TaskSpec
from orchestrator.spec.mapping import Axis, FromResult, MapSpec
from orchestrator.states import RunState, TaskState
from orchestrator.testing.programs import Program

#: Seconds that one of these runs may take; on two busy cores they took 9 and 11.
PATIENCE = 120.0


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Stage]:
    """A stage with room for many tasks at one time."""
    with staged(tmp_path) as stage:
        stage.settings = stage.with_settings(
            tasks=TasksSettings(default_image="base"), scheduling=SchedulingSettings(parallelism=32)
        )
        yield stage


def played(stage: Stage, spec: DagSpec) -> RunView:
    stage.begin()
    run = stage.trigger(spec)

    def is_over() -> bool:
        found = stage.store.run(run)
        return found is not None and found.state.final

    stage.heard.wait_for(is_over, "its end", patience=PATIENCE)
    return stage.view(run)


def test_a_thousand_instances_and_what_gathers_their_results(roomy: Stage) -> None:
    elements = msgspec.json.encode(list(range(1000)))
    roomy.script.programs = {
        "list": Program(files={RESULT: elements}),
        "square": Program(files={RESULT: b"7"}),
    }
    square = MapSpec(axes=(Axis(argument="command", source=FromResult(task_id="list")),))
    again = MapSpec(axes=(Axis(argument="command", source=FromResult(task_id="square")),))
    tasks = [
        task("list"),
        task("square", "list", map=square),
        task("again", "square", map=again),
        task("sum", "again"),
    ]
    view = played(roomy, msgspec.structs.replace(dag(*tasks), max_active_tasks=32))
    states = Counter((each.key.task_id, each.state) for each in view.tasks)
    ok = TaskState.SUCCESS
    assert states == {("list", ok): 1, ("square", ok): 1000, ("again", ok): 1000, ("sum", ok): 1}
    assert view.results["square"] == [7] * 1000


def test_two_thousand_tasks_in_two_hundred_groups(roomy: Stage) -> None:
    tasks: list[TaskSpec] = []
    for group in range(200):
        before = [f"g{group - 1}.t9"] if group % 10 else []
        for place in range(10):
            tasks.append(task(f"g{group}.t{place}", *before, group=f"g{group}"))
            before = [f"g{group}.t{place}"]
    groups = tuple(GroupSpec(group_id=f"g{group}") for group in range(200))
    spec = msgspec.structs.replace(dag(*tasks), groups=groups, max_active_tasks=32)
    view = played(roomy, spec)
    assert view.run.state is RunState.SUCCESS
    assert Counter(each.state for each in view.tasks) == {TaskState.SUCCESS: 2000}
