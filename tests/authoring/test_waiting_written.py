"""Operators for what is outside of a run, as DAG files write them: other runs to make or wait for, people."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest
from msgspec.structs import replace

from orchestrator import (
    DAG,
    ApprovalOperator,
    DockerOperator,
    ExternalTaskSensor,
    Param,
    TriggerDagRunOperator,
    dag,
)
from orchestrator.authoring import to_spec
from orchestrator.authoring.arguments import ApprovalArguments, ExternalArguments, TriggerArguments
from orchestrator.authoring.operators import Operator
from orchestrator.authoring.taken import APPROVAL, EXTERNAL, TRIGGER
from orchestrator.authoring.without_effect import IDLE_APPROVAL, IDLE_EXTERNAL, IDLE_WAIT
from orchestrator.errors import AuthoringError
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import RetryPolicy, TaskKind, TaskSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.states import RunState

WHERE = {"task_id", "dag", "task_group"}


def written(operator: type[Operator], **arguments: Any) -> TaskSpec:
    with DAG("d") as made:
        operator(task_id="t", **arguments)
    return to_spec(made, "d.py").task("t")


def control(operator: type[Operator], **arguments: Any) -> Control | None:
    return written(operator, **arguments).control


def refusal(operator: type[Operator], **arguments: Any) -> AuthoringError:
    with pytest.raises(AuthoringError) as refused:
        written(operator, **arguments)
    return refused.value


def test_the_signatures_name_just_what_is_read() -> None:
    assert get_type_hints(TriggerArguments).keys() == TRIGGER.keys() | IDLE_WAIT.keys() | WHERE
    assert get_type_hints(ExternalArguments).keys() == EXTERNAL.keys() | IDLE_EXTERNAL.keys() | WHERE
    assert get_type_hints(ApprovalArguments).keys() == APPROVAL.keys() | IDLE_APPROVAL.keys() | WHERE


def test_they_have_no_container() -> None:
    for operator, kind, arguments in (
        (TriggerDagRunOperator, TaskKind.TRIGGER, {"trigger_dag_id": "other"}),
        (ExternalTaskSensor, TaskKind.EXTERNAL, {"external_dag_id": "other"}),
        (ApprovalOperator, TaskKind.APPROVAL, {}),
    ):
        spec = written(operator, depends_on_past=True, **arguments)
        assert (spec.kind, spec.container, spec.operator) == (kind, None, operator.__name__)
        assert spec.depends_on_past


class TestTrigger:
    @pytest.mark.parametrize(
        ("arguments", "fields"),
        [
            ({}, {}),
            ({"conf": {"n": 1, "deep": [{"x": "{{ ds }}"}]}}, {"conf": {"n": 1, "deep": [{"x": "{{ ds }}"}]}}),
            ({"conf": None}, {}),
            ({"logical_date": datetime(2024, 5, 1, tzinfo=UTC)}, {"logical_date": "2024-05-01T00:00:00+00:00"}),
            ({"execution_date": "{{ ts }}"}, {"logical_date": "{{ ts }}"}),
            ({"trigger_run_id": "r"}, {"run_id": "r"}),
            ({"reset_dag_run": True}, {"reset": True}),
            ({"skip_when_already_exists": True}, {"skip_when_exists": True}),
            (
                {"wait_for_completion": True, "execution_timeout": 60},
                {"wait": True, "timeout": timedelta(minutes=1)},
            ),
            (
                {"allowed_states": ["success", "failed"], "failed_states": []},
                {"allowed_states": (RunState.SUCCESS, RunState.FAILED), "failed_states": ()},
            ),
        ],
    )
    def test_its_arguments(self, arguments: dict[str, Any], fields: dict[str, Any]) -> None:
        made = control(TriggerDagRunOperator, trigger_dag_id="other", **arguments)
        assert made == replace(Trigger(dag_id="other"), **fields)

    def test_results_and_params_in_its_conf_stay_values_and_have_it_wait(self) -> None:
        @dag
        def made(n: int = 3) -> None:
            first = DockerOperator(task_id="first", image="x:1")
            TriggerDagRunOperator(task_id="t", trigger_dag_id="o", conf={"r": first.output, "n": n})
            TriggerDagRunOperator(task_id="u", trigger_dag_id="o", conf=first.output["part"])

        spec = to_spec(made(), "d.py")
        assert [spec.task(name).upstream for name in "tu"] == [("first",), ("first",)]
        assert spec.task("t").control == Trigger(
            dag_id="o", conf={"r": '{{ result("first") | text }}', "n": "{{ params.n | text }}"}
        )

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"trigger_dag_id": None}, "trigger_dag_id"),
            ({}, "trigger_dag_id is missing"),
            ({"trigger_dag_id": "o", "conf": [1]}, "conf: expected a dict"),
            ({"trigger_dag_id": "o", "conf": {"x": object()}}, "which JSON cannot say"),
            ({"trigger_dag_id": "o", "allowed_states": ["done"]}, "none of the states in which runs end"),
            ({"trigger_dag_id": "o", "logical_date": datetime(2024, 5, 1)}, "has no timezone"),  # noqa: DTZ001 - the point
            (
                {"trigger_dag_id": "o", "reset_dag_run": True, "skip_when_already_exists": True},
                "exclude each other",
            ),
        ],
    )
    def test_what_cannot_be(self, arguments: dict[str, Any], words: str) -> None:
        assert words in refusal(TriggerDagRunOperator, **arguments).message


class TestExternal:
    @pytest.mark.parametrize(
        ("arguments", "fields"),
        [
            ({}, {}),
            ({"external_task_id": "a"}, {"task_ids": ("a",)}),
            ({"external_task_ids": ["a", "b"]}, {"task_ids": ("a", "b")}),
            ({"external_task_group_id": "g"}, {"group": "g"}),
            ({"external_task_id": "a", "failed_states": "upstream_failed"},
             {"task_ids": ("a",), "failed_states": ("upstream_failed",)}),
            ({"allowed_states": ["success", "failed"], "skipped_states": None},
             {"allowed_states": ("success", "failed")}),
            ({"execution_delta": timedelta(hours=1)}, {"delta": timedelta(hours=1)}),
            ({"execution_date_fn": "{{ macros.ds_add(ds, -1) }}"}, {"date": "{{ macros.ds_add(ds, -1) }}"}),
            ({"check_existence": True, "soft_fail": True, "timeout": 60},
             {"check_existence": True, "soft_fail": True, "timeout": timedelta(minutes=1)}),
        ],
    )  # fmt: skip
    def test_its_arguments(self, arguments: dict[str, Any], fields: dict[str, Any]) -> None:
        made = control(ExternalTaskSensor, external_dag_id="other", **arguments)
        assert made == replace(External(dag_id="other"), **fields)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"external_task_id": "a", "external_task_ids": ["b"]}, "say the same thing"),
            ({"external_task_id": "a", "external_task_group_id": "g"}, "exclude each other"),
            ({"execution_delta": 60, "execution_date_fn": "{{ ds }}"}, "exclude each other"),
            ({"execution_date_fn": lambda date: date}, "a function is not run here"),
            ({"failed_states": ["upstream_failed"]}, "no run is ever upstream_failed"),
            ({"external_task_id": "a", "allowed_states": ["running"]}, "none of the states in which tasks end"),
            ({"timeout": 0}, "timeout"),
        ],
    )
    def test_what_cannot_be(self, arguments: dict[str, Any], words: str) -> None:
        assert words in refusal(ExternalTaskSensor, external_dag_id="other", **arguments).message

    def test_how_it_would_look_has_no_effect_and_says_so(self) -> None:
        with DAG("d") as made:
            ExternalTaskSensor(task_id="t", external_dag_id="o", poke_interval=5, mode="reschedule", pool="p")
        who, never = "ExternalTaskSensor 't'", "it never looks: it is told when what it waits for has come"
        assert sorted(note.text for note in made.graph.notes) == [
            f"{who}: poke_interval and mode have no effect: {never}",
            f"{who}: pool has no effect: it takes no slot",
        ]


class TestApproval:
    def test_its_arguments(self) -> None:
        made = control(
            ApprovalOperator,
            prompt="Ship {{ ds }}?",
            params={"n": Param(1, type="integer"), "text": "{{ no template }}"},
            roles=["ops"],
            timeout=3600,
        )
        assert made == Approval(
            prompt="Ship {{ ds }}?",
            params={
                "n": ParamSpec(default=1, schema={"type": "integer"}),
                "text": ParamSpec(default="{{ no template }}"),
            },
            roles=("ops",),
            timeout=timedelta(hours=1),
        )

    def test_it_is_tried_again_where_its_prompt_cannot_be_rendered(self) -> None:
        assert written(ApprovalOperator, retries=1, retry_delay=3).retry == RetryPolicy(
            retries=1, delay=timedelta(seconds=3)
        )


def test_default_args_of_containers_are_passed_over() -> None:
    with DAG(
        "d", default_args={"image": "x:1", "retries": 2, "pool": "p", "timeout": 9, "soft_fail": True}
    ) as made:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="o")
        ExternalTaskSensor(task_id="e", external_dag_id="o")
    spec = to_spec(made, "d.py")
    assert spec.task("t").retry.retries == 2
    assert spec.task("e").control == External(dag_id="o", timeout=timedelta(seconds=9), soft_fail=True)
