"""Mapped operators that run no container: what may differ among their instances, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import (
    DAG,
    ApprovalOperator,
    DockerOperator,
    EmptyOperator,
    ExternalTaskSensor,
    LatestOnlyOperator,
    TaskGroup,
    TriggerDagRunOperator,
    task_group,
)
from orchestrator.authoring import to_spec
from orchestrator.authoring.operators import Operator
from orchestrator.errors import AuthoringError
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.spec.dag import RetryPolicy, TaskSpec
from orchestrator.spec.mapping import Axis, FromResult, Literal, MapSpec

CONF = '{{ element("conf") | text }}'


def spec_of(made: DAG, task_id: str = "t") -> TaskSpec:
    return to_spec(made, "d.py").task(task_id)


def refusal(operator: Any, shared: dict[str, Any], **axes: Any) -> AuthoringError:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        operator.partial(task_id="t", **shared).expand(**axes)
    return refused.value


def test_a_run_for_each_conf() -> None:
    with DAG("d") as made:
        first = DockerOperator(task_id="first")
        task = TriggerDagRunOperator.partial(
            task_id="t", trigger_dag_id="o", retries=2, wait_for_completion=True, max_map_length=9
        ).expand(conf=[{"n": 1, "of": first.output}, {"day": "{{ ds }}"}])
        EmptyOperator(task_id="after") << task
    spec = spec_of(made)
    assert spec.control == Trigger(dag_id="o", conf=CONF, wait=True)
    assert spec.retry == RetryPolicy(retries=2)
    values = [{"n": 1, "of": '{{ result("first") | text }}'}, {"day": "{{ ds }}"}]
    assert spec.map == MapSpec(axes=(Axis(argument="conf", source=Literal(values=values)),), max_length=9)
    assert spec.upstream == ("first",)
    assert spec_of(made, "after").upstream == ("t",)


def test_confs_that_a_task_hands_on() -> None:
    with DAG("d") as made:
        first = DockerOperator(task_id="first")
        TriggerDagRunOperator.partial(task_id="t", trigger_dag_id="o").expand(conf=first.output["confs"])
    spec = spec_of(made)
    assert spec.upstream == ("first",)
    assert spec.map == MapSpec(axes=(Axis(argument="conf", source=FromResult(task_id="first", key="confs")),))


def test_several_arguments_are_each_combination_and_all_that_may_differ_is_known() -> None:
    day = datetime(2024, 5, 1, tzinfo=UTC)
    with DAG("d") as made:
        TriggerDagRunOperator.partial(task_id="t").expand(
            trigger_dag_id=["a", "b"], execution_date=[day, "{{ ts }}", None], trigger_run_id=["x", "y"]
        )
        ExternalTaskSensor.partial(task_id="u", external_dag_id="o").expand(external_task_id=["a", "b"])
        ApprovalOperator.partial(task_id="v").expand(prompt=["this?", "that, {{ ds }}?"])
    spec = spec_of(made)
    assert spec.control == Trigger(
        dag_id='{{ element("trigger_dag_id") | text }}',
        logical_date='{{ element("execution_date") | text }}',
        run_id='{{ element("trigger_run_id") | text }}',
    )
    assert spec.map is not None
    assert [axis.source for axis in spec.map.axes] == [
        Literal(values=["a", "b"]),
        Literal(values=["2024-05-01T00:00:00+00:00", "{{ ts }}", ""]),
        Literal(values=["x", "y"]),
    ]
    assert spec_of(made, "u").control == External(
        dag_id="o", task_ids=('{{ element("external_task_id") | text }}',)
    )
    assert spec_of(made, "v").control == Approval(prompt='{{ element("prompt") | text }}')


def test_dicts_of_several_arguments() -> None:
    with DAG("d") as made:
        TriggerDagRunOperator.partial(task_id="t").expand_kwargs(
            [{"trigger_dag_id": "a", "conf": {"n": 1}}, {"trigger_dag_id": "b", "run_id": "r"}]
        )
    spec = spec_of(made)
    assert spec.control == Trigger(
        dag_id='{{ element("trigger_dag_id") | text }}',
        conf='{{ element("conf", default="{}") | text }}',
        run_id='{{ element("run_id", default="\\"\\"") | text }}',
    )


def test_dicts_that_a_task_hands_on_may_hold_what_partial_does_not() -> None:
    with DAG("d") as made:
        first = DockerOperator(task_id="first")
        TriggerDagRunOperator.partial(task_id="t", trigger_dag_id="o").expand_kwargs(first.output)
    control = spec_of(made).control
    assert isinstance(control, Trigger)
    assert control.dag_id == "o"
    assert control.conf == '{{ element("conf", default="{}") | text }}'
    assert control.logical_date == '{{ element("logical_date", default="\\"\\"") | text }}'


def test_in_a_mapped_group_a_trigger_takes_the_groups_element() -> None:
    @task_group
    def each(shop: Any) -> None:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="o", conf={"shop": shop})

    with DAG("d") as made:
        each.expand(shop=["a", "b"])
    assert spec_of(made, "each.t").control == Trigger(dag_id="o", conf={"shop": '{{ element("shop") | text }}'})


@pytest.mark.parametrize("operator", [EmptyOperator, LatestOnlyOperator])
def test_what_has_nothing_that_could_differ_cannot_be_mapped(operator: type[Operator]) -> None:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        operator.partial(task_id="t")  # type: ignore[attr-defined]  # of both of these
    assert refused.value.message == (
        f"{operator.__name__} 't' cannot be mapped: there is nothing in which its instances could differ"
    )
    assert refused.value.fix


@pytest.mark.parametrize(
    ("shared", "axes", "said"),
    [
        ({"trigger_dag_id": "o"}, {"retries": [1]}, "'retries' cannot be expanded"),
        ({"trigger_dag_id": "o"}, {"cnof": [{}]}, "'cnof' cannot be expanded; did you mean 'conf'?"),
        (
            {"trigger_dag_id": "o"},
            {"trigger_dag_id": ["a"]},
            "it cannot be expanded over trigger_dag_id: it is given trigger_dag_id already",
        ),
        (
            {"trigger_dag_id": "o", "run_id": "r"},
            {"trigger_run_id": ["a"]},
            "it cannot be expanded over trigger_run_id: it is given run_id already",
        ),
        (
            {"trigger_dag_id": "o"},
            {"logical_date": ["a"], "execution_date": ["b"]},
            "it cannot be expanded over execution_date: it is given logical_date already",
        ),
        ({"trigger_dag_id": "o"}, {"conf": [3]}, "element 0: conf: expected a dict, got 3"),
        ({"trigger_dag_id": "o"}, {"conf": 3}, "conf: it cannot be expanded over 3"),
        ({"trigger_dag_id": "o"}, {}, "expand() names nothing"),
        ({"trigger_dag_id": "o", "max_map_length": 1}, {"conf": [{}, {}]}, "it would have 2 instances"),
        ({}, {"conf": [{}]}, "trigger_dag_id is missing"),
    ],
)
def test_what_cannot_be_expanded_is_told(shared: dict[str, Any], axes: dict[str, Any], said: str) -> None:
    refused = refusal(TriggerDagRunOperator, shared, **axes)
    assert refused.message.startswith("TriggerDagRunOperator 't'")
    assert said in refused.message
    assert refused.fix
    assert (refused.dag_id, refused.task_id) == ("d", "t")


def test_what_can_be_expanded_is_named() -> None:
    assert refusal(ApprovalOperator, {}, timeout=[1]).fix == (
        "of ApprovalOperator these can: prompt; the rest goes into .partial()"
    )


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ({"conf": {}}, "element 0 of expand_kwargs has no trigger_dag_id"),
        (3, "element 0 of expand_kwargs is 3"),
        ({"trigger_dag_id": "a", "pool": "p"}, "'pool' cannot be expanded"),
        ({"trigger_dag_id": "a", "run_id": "p", "trigger_run_id": "q"}, "it is given run_id already"),
    ],
)
def test_each_element_of_several_arguments_is_looked_at(element: Any, said: str) -> None:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        TriggerDagRunOperator.partial(task_id="t").expand_kwargs([element])
    assert said in refused.value.message


def test_there_is_no_map_inside_a_mapped_group() -> None:
    @task_group
    def each(shop: Any) -> None:
        TriggerDagRunOperator.partial(task_id="t", trigger_dag_id="o").expand(conf=[{}])

    with DAG("d"), pytest.raises(AuthoringError, match="no mapping inside a mapped group"):
        each.expand(shop=[1])


def test_ids_have_the_prefix_of_their_group() -> None:
    with DAG("d") as made, TaskGroup("g"):
        TriggerDagRunOperator.partial(task_id="t", trigger_dag_id="o").expand(conf=[{}])
    assert spec_of(made, "g.t").map is not None


def test_a_task_that_is_there_already_is_not_expanded() -> None:
    with DAG("d"):
        made = DockerOperator(task_id="t")
        with pytest.raises(AuthoringError, match="a task that is there already cannot be expanded") as refused:
            made.expand(command=["a"])
    assert refused.value.fix == "write DockerOperator.partial(task_id=..., ...).expand(command=...)"
    with pytest.raises(AuthoringError, match="TriggerDagRunOperator: a task that is there already"):
        TriggerDagRunOperator.expand_kwargs([{}])
