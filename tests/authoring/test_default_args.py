"""`default_args`: which operators they reach, what comes over them, and what no operator knows."""

from typing import Any

import pytest

from orchestrator import DAG, DockerOperator, EmptyOperator, TaskGroup
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate, PullPolicy, RetryPolicy


def test_default_args_reach_the_operators_that_take_them() -> None:
    with DAG("d", default_args={"retries": 2, "owner": "ann", "image": "x"}):
        task = DockerOperator(task_id="a", retries=0).spec
        empty = EmptyOperator(task_id="b").spec
    assert (task.retry.retries, task.owner, task.container) == (0, "ann", ContainerTemplate(image="x"))
    assert (empty.owner, empty.retry) == ("ann", RetryPolicy())


def test_what_is_written_beats_a_default_of_another_name() -> None:
    with DAG("d", default_args={"volumes": ["one:/d"], "force_pull": True}):
        task = DockerOperator(task_id="a", mounts=["two:/d"], pull="never").spec
    assert task.container is not None
    assert [mount.source for mount in task.container.mounts] == ["two"]
    assert task.pull is PullPolicy.NEVER


def test_a_groups_default_args_come_over_those_around() -> None:
    with (
        DAG("d", default_args={"network": "a", "retries": 1}),
        TaskGroup("g", default_args={"network_mode": "b"}),
    ):
        task = DockerOperator(task_id="a").spec
    assert task.container is not None
    assert (task.container.network, task.retry.retries) == ("b", 1)


def test_a_written_script_replaces_a_default_command_and_the_other_way_round() -> None:
    with DAG("d", default_args={"command": "x"}):
        one = DockerOperator(task_id="a", script="y").spec.container
    with DAG("d", default_args={"script": "y"}):
        other = DockerOperator(task_id="a", command="x").spec.container
    assert (one, other) == (ContainerTemplate(script="y"), ContainerTemplate(command="x"))


@pytest.mark.parametrize(
    "construct",
    [
        lambda: DAG("d", default_args={"retrys": 1}),
        lambda: TaskGroup("g", dag=DAG("d"), default_args={"retrys": 1}),
    ],
)
def test_a_default_that_no_operator_knows_is_refused(construct: Any) -> None:
    with pytest.raises(AuthoringError) as refused:
        construct()
    assert refused.value.rule == "unknown_argument"
    assert "default_args: no operator takes 'retrys'; did you mean 'retries'?" in refused.value.message


def test_default_args_are_a_dict() -> None:
    with pytest.raises(AuthoringError, match="default_args is"):
        DAG("d", default_args=["retries"])  # type: ignore[arg-type]  # what a user might try


def test_a_wrong_default_is_told_with_the_task_that_takes_it() -> None:
    with (
        DAG("d", default_args={"retries": "2"}),
        pytest.raises(AuthoringError, match="DockerOperator 'a': retries"),
    ):
        DockerOperator(task_id="a")


def test_a_default_without_effect_is_warned_of_once() -> None:
    with DAG("d", default_args={"queue": "x"}, sla_miss_callback=print) as made:
        EmptyOperator(task_id="a")
        DockerOperator(task_id="b")
    assert sorted(note.text.split(":")[1] for note in made.graph.notes) == [
        " default_args",
        " sla_miss_callback has no effect",
    ]
