"""Branches, short circuits, latest-only tasks, setups and teardowns as DAG files write them."""

import pytest

from orchestrator import (
    DAG,
    BranchDockerOperator,
    DockerOperator,
    EmptyOperator,
    LatestOnlyOperator,
    ShortCircuitDockerOperator,
    TaskGroup,
)
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import BranchChoice, DagSpec, ShortCircuitChoice, TaskKind, Teardown


def edges(spec: DagSpec) -> set[str]:
    return {f"{up} {task.task_id}" for task in spec.tasks for up in task.upstream}


def test_a_branch_is_a_container_that_chooses() -> None:
    with DAG("d") as dag:
        BranchDockerOperator(task_id="pick", image="tools", command="choose")
    task = to_spec(dag, "d.py").task("pick")
    assert task.choice == BranchChoice()
    assert (task.kind, task.operator) == (TaskKind.CONTAINER, "BranchDockerOperator")
    assert task.skip_on_exit_code == (99,)


@pytest.mark.parametrize("every", [True, False])
def test_a_short_circuit_says_how_far_it_reaches(*, every: bool) -> None:
    with DAG("d") as dag:
        ShortCircuitDockerOperator(
            task_id="check", image="tools", ignore_downstream_trigger_rules=every, skip_on_exit_code=3
        )
    task = to_spec(dag, "d.py").task("check")
    assert task.choice == ShortCircuitChoice(ignore_downstream_trigger_rules=every)
    assert task.skip_on_exit_code == (3,)


def test_default_args_may_say_how_far_all_short_circuits_reach() -> None:
    with DAG("d", default_args={"ignore_downstream_trigger_rules": False}) as dag:
        ShortCircuitDockerOperator(task_id="check")
        DockerOperator(task_id="work")
    assert to_spec(dag, "d.py").task("check").choice == ShortCircuitChoice(ignore_downstream_trigger_rules=False)


def test_a_latest_only_task_runs_no_container() -> None:
    with DAG("d") as dag:
        LatestOnlyOperator(task_id="latest")
    task = to_spec(dag, "d.py").task("latest")
    assert (task.kind, task.container) == (TaskKind.LATEST_ONLY, None)


def test_a_dag_may_end_a_run_early() -> None:
    dag = DAG("d", fail_fast=True, dagrun_timeout=60, max_consecutive_failed_dag_runs=3)
    spec = to_spec(dag, "d.py")
    assert spec.fail_fast
    assert spec.dagrun_timeout is not None
    assert spec.dagrun_timeout.total_seconds() == 60
    assert spec.max_consecutive_failed_dag_runs == 3


class TestSetups:
    def test_a_teardown_follows_its_setups_and_knows_them(self) -> None:
        with DAG("d") as dag:
            create = DockerOperator(task_id="create")
            work = DockerOperator(task_id="work")
            create >> work >> DockerOperator(task_id="drop").as_teardown(setups=create)
        spec = to_spec(dag, "d.py")
        assert edges(spec) == {"create work", "work drop", "create drop"}
        assert spec.task("create").setup
        assert spec.task("drop").teardown == Teardown(setups=("create",))

    def test_an_edge_from_a_setup_is_enough(self) -> None:
        with DAG("d") as dag:
            create = DockerOperator(task_id="create").as_setup()
            drop = DockerOperator(task_id="drop").as_teardown(on_failure_fail_dagrun=True)
            create >> DockerOperator(task_id="work") >> drop
            create >> drop
        assert to_spec(dag, "d.py").task("drop").teardown == Teardown(setups=("create",), fails_run=True)

    def test_what_stands_inside_with_is_put_between(self) -> None:
        with DAG("d") as dag:
            one, other = DockerOperator(task_id="one"), DockerOperator(task_id="other")
            with DockerOperator(task_id="drop").as_teardown(setups=[one, other]):
                first = EmptyOperator(task_id="first")
                first >> EmptyOperator(task_id="last")
        assert edges(to_spec(dag, "d.py")) == {
            "one drop",
            "other drop",
            "one first",
            "other first",
            "first last",
            "last drop",
        }

    def test_what_comes_after_a_group_does_not_wait_for_its_teardowns(self) -> None:
        with DAG("d") as dag:
            with TaskGroup("g") as group:
                create = DockerOperator(task_id="create")
                drop = DockerOperator(task_id="drop").as_teardown(setups=create)
                create >> DockerOperator(task_id="work") >> drop
            after = EmptyOperator(task_id="after")
            group >> after
        assert "g.work after" in edges(to_spec(dag, "d.py"))
        assert "g.drop after" not in edges(to_spec(dag, "d.py"))
        with dag:
            drop >> after
        assert "g.drop after" in edges(to_spec(dag, "d.py"))

    def test_a_group_of_nothing_but_a_teardown_is_waited_for(self) -> None:
        with DAG("d") as dag:
            create = DockerOperator(task_id="create")
            with TaskGroup("g") as group:
                DockerOperator(task_id="drop").as_teardown(setups=create)
            group >> EmptyOperator(task_id="after")
        assert "g.drop after" in edges(to_spec(dag, "d.py"))

    def test_only_a_task_can_be_a_setup(self) -> None:
        with DAG("d"):
            with TaskGroup("g") as group:
                EmptyOperator(task_id="a")
            with pytest.raises(AuthoringError, match="cannot be a setup"):
                DockerOperator(task_id="drop").as_teardown(setups=group)

    def test_only_a_teardown_has_a_scope(self) -> None:
        with DAG("d"), pytest.raises(AuthoringError, match="only a teardown"), EmptyOperator(task_id="a"):
            pass
