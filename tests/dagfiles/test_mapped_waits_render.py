"""Rendering instances of mapped tasks that run no container, through the real server."""

from typing import Any

import msgspec
import pytest
from authoring_project import facts_of

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import ContainerTemplate, TaskKind
from orchestrator.spec.mapping import Axis, FromResult, Literal, MapSpec, Source, placeholder

#: What a template would make of it, and a shell.
NASTY = "{{ ds }} {% if x %} $(id) 'quoted' \n"
#: Of a mapped trigger: what stands in its fields, as authoring has it.
SEVERAL = Trigger(
    dag_id=placeholder("trigger_dag_id"),
    conf=placeholder("conf", default="{}"),
    run_id=placeholder("run_id", default='""'),
    logical_date=placeholder("logical_date", default='""'),
)


def facts(control: Control, source: Source, index: int, argument: str | None) -> RenderFacts:
    made = facts_of(ContainerTemplate())
    over = MapSpec(axes=(Axis(argument=argument, source=source),))
    spec = msgspec.structs.replace(made.spec, kind=TaskKind.TRIGGER, container=None, control=control, map=over)
    key = TaskKey(made.task.dag_id, made.task.run_id, made.task.task_id, index)
    return msgspec.structs.replace(made, task=key, spec=spec, map=over, mapped={spec.task_id: spec.task_id})


def rendered(
    authoring: AuthoringServer,
    control: Control,
    source: Source,
    index: int,
    name: str | None,
    given: Any = None,
) -> Control | Reason:
    def nothing(_run: RunKey, _task: str, _place: int | None) -> tuple[bytes, ...]:
        return ()

    told = msgspec.json.encode(given)
    return authoring.render_control(facts(control, source, index, name), lambda _: told, instances=nothing)


def test_elements_that_stand_in_the_file_are_templates(authoring: AuthoringServer) -> None:
    values = Literal(values=[{"day": "{{ ds }}"}, {"deep": [{"city": "{{ params.city }}"}]}])
    control = Trigger(dag_id="o", conf=placeholder("conf"))
    assert [rendered(authoring, control, values, index, "conf") for index in (0, 1)] == [
        Trigger(dag_id="o", conf={"day": "2013-01-31"}),
        Trigger(dag_id="o", conf={"deep": [{"city": "New York"}]}),
    ]


def test_elements_that_a_task_handed_on_are_data(authoring: AuthoringServer) -> None:
    given = [{"n": 1}, {"text": NASTY, "n": None}]
    control = Trigger(dag_id="o", conf=placeholder("conf"))
    assert rendered(authoring, control, FromResult(task_id="list"), 1, "conf", given) == Trigger(
        dag_id="o", conf={"text": NASTY, "n": None}
    )


def test_what_an_element_of_several_arguments_leaves_out_is_as_if_it_were_not_written(
    authoring: AuthoringServer,
) -> None:
    given = [{"trigger_dag_id": "a", "run_id": "r"}, {"trigger_dag_id": "b", "conf": {"x": NASTY}}]
    found = [rendered(authoring, SEVERAL, FromResult(task_id="list"), index, None, given) for index in (0, 1)]
    assert found == [Trigger(dag_id="a", run_id="r"), Trigger(dag_id="b", conf={"x": NASTY})]


def test_waits_and_questions_have_elements_too(authoring: AuthoringServer) -> None:
    tasks = Literal(values=["a_{{ ds_nodash }}", ""])
    control = External(dag_id="o", task_ids=(placeholder("external_task_id"),))
    assert [rendered(authoring, control, tasks, index, "external_task_id") for index in (0, 1)] == [
        External(dag_id="o", task_ids=("a_20130131",)),
        External(dag_id="o"),
    ]
    asked = rendered(
        authoring, Approval(prompt=placeholder("prompt")), FromResult(task_id="x"), 0, "prompt", [NASTY]
    )
    assert asked == Approval(prompt=NASTY)


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ({"trigger_dag_id": "a", "cnof": {}}, "an element has 'cnof'; did you mean 'conf'?"),
        ({"trigger_dag_id": "a", "wait_for_completion": True}, "an element has 'wait_for_completion'"),
        ({"conf": {}}, "this task is not mapped over 'trigger_dag_id'"),
        ("text", "this task is not mapped over 'trigger_dag_id'"),
    ],
)
def test_an_element_that_cannot_be_is_told(authoring: AuthoringServer, element: Any, said: str) -> None:
    refused = rendered(authoring, SEVERAL, FromResult(task_id="list"), 0, None, [element])
    assert isinstance(refused, Reason)
    assert said in refused.text


def test_an_element_that_is_no_object_is_told_where_all_has_a_default(authoring: AuthoringServer) -> None:
    control = msgspec.structs.replace(SEVERAL, dag_id="o")
    refused = rendered(authoring, control, FromResult(task_id="list"), 0, None, ["text"])
    assert isinstance(refused, Reason)
    assert "expand_kwargs: an element is 'text'" in refused.text
