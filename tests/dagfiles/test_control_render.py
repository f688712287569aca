"""What a task without a container is to do, rendered by the real server: the conf it hands on stays data."""

from typing import Any

import msgspec
from authoring_project import facts_of

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import ContainerTemplate, TaskKind
from orchestrator.spec.params import ParamSpec

#: What a template would make of it, and a shell.
NASTY = "{{ ds }} {% if x %} $(id) 'quoted' \0"
HANDLE = '{{ result("before") | text }}'


def facts(control: Control) -> RenderFacts:
    made = facts_of(ContainerTemplate())
    spec = msgspec.structs.replace(made.spec, kind=TaskKind.TRIGGER, container=None, control=control)
    return msgspec.structs.replace(made, spec=spec)


def rendered(authoring: AuthoringServer, control: Control, result: Any = None) -> Control | Reason:
    return authoring.render_control(facts(control), lambda _: msgspec.json.encode(result))


def test_every_text_is_a_template(authoring: AuthoringServer) -> None:
    run = facts(Approval()).run
    day = run.interval.start.date().isoformat()
    assert rendered(
        authoring, Trigger(dag_id="o_{{ ds }}", run_id="r-{{ ds }}", conf={"deep": [{"d": "{{ ds }}"}]})
    ) == (Trigger(dag_id=f"o_{day}", run_id=f"r-{day}", conf={"deep": [{"d": day}]}))
    assert rendered(authoring, External(dag_id="o", task_ids=("{{ ds }}",), date="{{ ds }}")) == External(
        dag_id="o", task_ids=(day,), date=day
    )


def test_results_in_conf_are_what_they_are(authoring: AuthoringServer) -> None:
    value = {"n": [1, None, 2.5], "text": NASTY}
    said = rendered(authoring, Trigger(dag_id="o", conf={"all": HANDLE, "within": f"<{HANDLE}>"}), value)
    assert isinstance(said, Trigger)
    assert said.conf["all"] == value
    assert msgspec.json.decode(said.conf["within"].strip("<>")) == value
    assert rendered(authoring, Trigger(dag_id="o", conf=HANDLE), value) == Trigger(dag_id="o", conf=value)


def test_params_that_a_person_may_set_are_no_templates(authoring: AuthoringServer) -> None:
    params = {"text": ParamSpec(default="{{ ds }}")}
    said = rendered(authoring, Approval(prompt="{{ run_id }}?", params=params))
    assert said == Approval(prompt=f"{facts(Approval()).run.key.run_id}?", params=params)


def test_what_cannot_be_rendered_names_its_field(authoring: AuthoringServer) -> None:
    said = rendered(authoring, Trigger(dag_id="o", conf={"n": "{{ nothing }}"}))
    assert isinstance(said, Reason)
    assert "conf.n" in said.text


def test_a_secret_in_conf_is_refused(authoring: AuthoringServer) -> None:
    said = rendered(authoring, Trigger(dag_id="o", conf={"n": "{{ conn.pg.password }}"}))
    assert isinstance(said, Reason)
