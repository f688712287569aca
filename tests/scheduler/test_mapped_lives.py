"""Mapped tasks and groups on a real engine, through a whole scheduler: elements and results arrive as they are."""

from pathlib import Path

import pytest
from real_runs import RealRuns

from orchestrator.states import RunState, TaskState

pytestmark = pytest.mark.engine

NASTY = "{{ ds }} {% raw %} $(id) `id` 'one' \"two\" \\n ; DROP TABLE x; --"
SIXTY = """
from orchestrator import DAG, task

@task(network_mode="none")
def numbers():
    return list(range(60))

@task(network_mode="none", map_index_template="number {{ element('n') }}")
def square(n, scale, ti=None):
    import os
    assert os.environ["ORCHESTRATOR_MAP_INDEX"] == str(n) and ti.map_index == n
    print("square of", n)
    return None if n == 7 else n * n * scale

@task(network_mode="none")
def total(squares):
    assert len(squares) == 59
    return sum(squares)

with DAG("d", max_active_tasks=16):
    total(square.partial(scale=2).expand(n=numbers()))
"""
DATA = """
from orchestrator import DAG, DockerOperator, task, task_group

@task
def give(text):
    return {"rows": [{"name": text}, {"name": "b"}], "calls": [["printf", "%s", text]]}

@task_group
def load(row):
    first = DockerOperator(task_id="first", environment={"NAME": row["name"]}, command=["printenv", "NAME"])
    second = DockerOperator(task_id="second", script=f"printf '%s' {first.output}")
    return second.output

@task
def gather(loaded, called, text):
    assert loaded == [text, "b"], loaded
    assert called == [text], called
    return "gathered"

with DAG("d", params={"text": ""}, default_args={"network_mode": "none"}):
    text = "{{ params.text }}"
    given = give("{{ params.text | text }}")
    loaded = load.expand(row=given["rows"])
    call = DockerOperator.partial(task_id="call").expand(command=given["calls"])
    none = DockerOperator.partial(task_id="none").expand(command=given["calls"].concat([]).zip([]))
    gather(loaded, call.output, "{{ params.text | text }}")
"""


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


def test_sixty_instances_and_what_gathers_their_results(real_runs: RealRuns) -> None:
    view = real_runs.run_file(SIXTY).view
    assert view.run.state is RunState.SUCCESS, [each.reason for each in view.tasks if each.reason]
    squares = [each for each in view.tasks if each.key.task_id == "square"]
    assert [(each.key.map_index, each.state) for each in squares] == [(n, TaskState.SUCCESS) for n in range(60)]
    assert squares[8].label == "number 8"
    assert view.results["square"] == [2 * n * n for n in range(60) if n != 7]
    assert view.results["total"] == sum(2 * n * n for n in range(60) if n != 7)


def test_elements_and_results_are_data_all_the_way(real_runs: RealRuns) -> None:
    real_runs.conf = {"text": NASTY}
    view = real_runs.run_file(DATA).view
    told = {(each.key.task_id, each.key.map_index): str(each.state) for each in view.tasks}
    assert view.run.state is RunState.SUCCESS, [each.reason for each in view.tasks if each.reason]
    assert told["none", -1] == "skipped"
    assert told["load.second", 1] == "success"
    assert view.results["gather"] == "gathered"
