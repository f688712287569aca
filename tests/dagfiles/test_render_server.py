"""Rendering through the real server."""

import json
from datetime import UTC, datetime

from authoring_project import START, facts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate


def test_a_template_is_rendered_with_the_facts_and_results_of_its_try(authoring: AuthoringServer) -> None:
    asked: list[TaskKey] = []

    def result(key: TaskKey) -> bytes | None:
        asked.append(key)
        return b'{"rows": 842}'

    container = ContainerTemplate(
        image="flights",
        command=["rank", "{{ ds }}", "{{ ti.xcom_pull('join').rows }}"],
        environment={"CITY": "{{ params.city }}"},
        mounts=(Mount(type=MountType.ROOT, source="flights", target="/{{ run_id }}"),),
    )
    facts = facts_of(container, conf={"city": "Newark"}, next_start=datetime(2013, 2, 1, tzinfo=UTC))
    said = authoring.render(facts, result)
    assert said == ContainerTemplate(
        image="flights",
        command=["rank", "2013-01-31", "842"],
        environment={"CITY": "Newark"},
        mounts=(Mount(type=MountType.ROOT, source="flights", target="/manual__1"),),
    )
    assert asked == [TaskKey("flights", "manual__1", "join")]


def test_what_cannot_be_rendered_is_told_with_file_line_task_and_field(authoring: AuthoringServer) -> None:
    said = authoring.render(facts_of(ContainerTemplate(environment={"DAY": "{{ dss }}"})), lambda _: None)
    assert isinstance(said, Reason)
    assert said.text == "flights.py:12: rank: environment.DAY: 'dss' is undefined; did you mean 'ds'?"


def test_the_fix_is_told_with_the_reason(authoring: AuthoringServer) -> None:
    said = authoring.render(facts_of(ContainerTemplate(command="{{ macros.datetime.now() }}")), lambda _: None)
    assert isinstance(said, Reason)
    assert "(fix: use logical_date" in said.text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_comes_through_as_data(authoring: AuthoringServer, value: object) -> None:
    container = ContainerTemplate(inputs={"/conf.json": "{{ dag_run.conf.x | tojson }}"})
    said = authoring.render(facts_of(container, conf={"x": value}), lambda _: None)
    if isinstance(said, Reason):  # the one thing a container cannot take
        assert "\0" in str(value) or "\\x00" in repr(value), said
        return
    assert json.loads(said.inputs["/conf.json"]) == value


def test_the_day_before_start_is_a_day(authoring: AuthoringServer) -> None:
    said = authoring.render(facts_of(ContainerTemplate(command="{{ yesterday_ds }}")), lambda _: None)
    assert isinstance(said, ContainerTemplate)
    assert said.command == f"{START.year}-01-30"
