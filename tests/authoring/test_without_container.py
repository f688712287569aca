"""Arguments of operators that run no container: each has its effect, or a warning that says why it has none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator import (
    DAG,
    ApprovalOperator,
    DockerOperator,
    DockerSensor,
    EmptyOperator,
    ExternalTaskSensor,
    LatestOnlyOperator,
    TaskGroup,
    TriggerDagRunOperator,
)
from orchestrator.authoring import to_spec
from orchestrator.authoring.operators import Operator
from orchestrator.authoring.without_effect import IDLE_APPROVAL, IDLE_EMPTY, IDLE_EXTERNAL, IDLE_WAIT
from orchestrator.errors import AuthoringError
from orchestrator.planning.blueprint import blueprint_of
from orchestrator.planning.rows import DagVersion
from orchestrator.spec.dag import RetryPolicy, TaskSpec, version_of

DAY = datetime(2024, 5, 1, tzinfo=UTC)
#: Every operator without container, with what it cannot do without, and what it takes without effect.
WITHOUT: list[tuple[type[Operator], dict[str, Any], Any]] = [
    (EmptyOperator, {}, IDLE_EMPTY),
    (LatestOnlyOperator, {}, IDLE_EMPTY),
    (TriggerDagRunOperator, {"trigger_dag_id": "o"}, IDLE_WAIT),
    (ExternalTaskSensor, {"external_dag_id": "o"}, IDLE_EXTERNAL),
    (ApprovalOperator, {}, IDLE_APPROVAL),
]
#: What Airflow's users give to any task.
OF_ANY_TASK = (
    "retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay", "pool", "pool_slots",
    "priority_weight", "weight_rule", "execution_timeout", "max_active_tis_per_dag", "max_active_tis_per_dagrun",
    "do_xcom_push", "params", "depends_on_past", "wait_for_downstream", "trigger_rule", "owner", "doc_md", "inlets",
    "outlets", "sla", "start_date", "end_date", "queue", "executor", "executor_config", "run_as_user", "email",
    "email_on_failure", "email_on_retry",
)  # fmt: skip


def written(operator: type[Operator], **arguments: Any) -> tuple[TaskSpec, list[str]]:
    with DAG("d") as made:
        operator(task_id="t", **arguments)
    return to_spec(made, "d.py").task("t"), [note.text for note in made.graph.notes]


@pytest.mark.parametrize(("operator", "needs", "idle"), WITHOUT, ids=lambda each: getattr(each, "__name__", ""))
def test_each_takes_what_any_task_takes_with_effect_or_with_a_warning(
    operator: type[Operator], needs: dict[str, Any], idle: Any
) -> None:
    assert [name for name in OF_ANY_TASK if name not in operator.takes and name not in idle] == []
    assert operator.takes.keys() & idle.keys() == set()
    for name, why in idle.items():
        spec, told = written(operator, **needs, **{name: 3})
        assert told == [f"{operator.__name__} 't': {name} has no effect: {why}"]
        assert spec == written(operator, **needs)[0].__replace__(line=spec.line)


@pytest.mark.parametrize(("operator", "needs", "idle"), WITHOUT, ids=lambda each: getattr(each, "__name__", ""))
def test_dates_and_weight_have_their_effect_everywhere(
    operator: type[Operator], needs: dict[str, Any], idle: Any
) -> None:
    spec, told = written(operator, **needs, start_date=DAY, end_date=DAY, priority_weight=7)
    assert (spec.start_date, spec.end_date, spec.priority_weight, told) == (DAY, DAY, 7, [])


@pytest.mark.parametrize(("operator", "needs", "idle"), WITHOUT[2:], ids=lambda each: getattr(each, "__name__", ""))
def test_those_that_wait_are_tried_again(operator: type[Operator], needs: dict[str, Any], idle: Any) -> None:
    spec, told = written(operator, **needs, retries=2, retry_delay=timedelta(seconds=3), retry_jitter=True)
    assert spec.retry == RetryPolicy(retries=2, delay=timedelta(seconds=3), jitter=True)
    assert told == []


def test_what_has_to_do_with_containers_is_refused() -> None:
    for operator, needs, _ in WITHOUT:
        for name in ("image", "infrastructure_retries", "concurrency_key", "stop_grace"):
            with pytest.raises(AuthoringError, match=f"takes no argument '{name}'"):
                written(operator, **needs, **{name: 1})


def test_its_weight_counts_for_the_tasks_before_it() -> None:
    with DAG("d") as made:
        DockerOperator(task_id="a", image="x:1") >> EmptyOperator(task_id="b", priority_weight=40)
    spec = to_spec(made, "d.py")
    version = DagVersion(version=version_of(spec), dag_id="d", spec=spec, created_at=DAY)
    assert blueprint_of(version).priority == {"a": 41, "b": 40}


def test_a_result_that_nobody_wants_is_not_kept() -> None:
    for operator, needs in ((TriggerDagRunOperator, {"trigger_dag_id": "o"}), (ApprovalOperator, {})):
        assert [written(operator, **needs, do_xcom_push=wish)[0].push_result for wish in (True, False)] == [
            True,
            False,
        ]


def test_defaults_for_tasks_with_containers_say_nothing_of_those_without() -> None:
    defaults = {"retries": 2, "pool": "p", "execution_timeout": 60, "params": {"x": 1}, "do_xcom_push": False}
    with DAG("d", default_args=defaults) as made:
        spec = EmptyOperator(task_id="t").spec
    assert (spec.retry, spec.pool, spec.params) == (RetryPolicy(), "default_pool", {})
    assert made.graph.notes == []


class TestSensorsHaveNoCache:
    def test_they_are_told_why(self) -> None:
        with pytest.raises(AuthoringError) as refused:
            written(DockerSensor, script="exit 75", cache=True)
        assert refused.value.message == "DockerSensor 't' takes no argument 'cache'"
        assert refused.value.fix == (
            "leave it out: each look sees what is there now; the task after it may have a cache"
        )

    def test_a_default_for_other_tasks_is_passed_over(self) -> None:
        with DAG("d", default_args={"cache": True}):
            spec = DockerSensor(task_id="t", script="exit 75").spec
        assert spec.container is not None
        assert spec.container.cache is None


class TestDatesOfTasks:
    def dates(self, task: TaskSpec) -> tuple[datetime | None, datetime | None]:
        return task.start_date, task.end_date

    def test_those_of_default_args_are_the_dags_where_it_has_no_others(self) -> None:
        with DAG("d", default_args={"start_date": DAY, "end_date": DAY}) as made:
            assert self.dates(EmptyOperator(task_id="t").spec) == (None, None)
        assert (made.spec.start_date, made.spec.end_date) == (DAY, DAY)

    def test_beside_others_of_the_dag_they_are_its_tasks(self) -> None:
        later = DAY + timedelta(days=3)
        with DAG("d", start_date=DAY, default_args={"start_date": later, "end_date": later}) as made:
            assert self.dates(EmptyOperator(task_id="t").spec) == (later, None)
        assert (made.spec.start_date, made.spec.end_date) == (DAY, later)

    def test_the_same_date_twice_is_the_dags_alone(self) -> None:
        with DAG("d", start_date=DAY, default_args={"start_date": DAY}):
            assert self.dates(EmptyOperator(task_id="t").spec) == (None, None)

    def test_a_group_may_have_defaults_of_its_own(self) -> None:
        with DAG("d", start_date=DAY), TaskGroup("g", default_args={"end_date": DAY}):
            assert self.dates(EmptyOperator(task_id="t").spec) == (None, DAY)
            assert self.dates(EmptyOperator(task_id="u", end_date=None).spec) == (None, None)

    def test_none_is_none(self) -> None:
        with DAG("d"):
            assert self.dates(DockerOperator(task_id="t", start_date=None, end_date=None).spec) == (None, None)

    def test_a_date_without_zone_is_refused_wherever_it_stands(self) -> None:
        naive = datetime(2024, 5, 1)  # noqa: DTZ001 - what it is about
        with pytest.raises(AuthoringError, match="end_date 2024-05-01T00:00:00 has no timezone") as refused:
            written(EmptyOperator, end_date=naive)
        assert (refused.value.rule, refused.value.dag_id, refused.value.task_id) == ("naive_date", "d", "t")
        with pytest.raises(AuthoringError, match="default_args: start_date 2024-05-01T00:00:00 has no timezone"):
            DAG("d", start_date=DAY, default_args={"start_date": naive})

    def test_a_teardown_has_none(self) -> None:
        with DAG("d") as made:
            EmptyOperator(task_id="t", start_date=DAY).as_teardown()
        with pytest.raises(AuthoringError, match="'t' is a teardown, which has no dates of its own"):
            to_spec(made, "d.py")
