"""The rules over parsed DAGs, one by one."""

import ast
from typing import Any

import msgspec
import pytest

from orchestrator.dagfiles.checks.every import check
from orchestrator.dagfiles.checks.source import check_source
from orchestrator.spec.dag import ContainerTemplate, CronSchedule, DagSpec, Problem, Severity, TaskSpec
from orchestrator.spec.functions import Call
from orchestrator.spec.handles import Handle
from orchestrator.spec.mapping import Axis, FromResult, Literal, MapSpec, Source, Zip
from orchestrator.spec.params import ParamSpec
from orchestrator.states import TriggerRule


def task(task_id: str = "one", upstream: tuple[str, ...] = (), **container: Any) -> TaskSpec:
    rest = {name: container.pop(name) for name in ("trigger_rule", "params") if name in container}
    container.setdefault("image", "tool:1")
    rest["params"] = params_of(rest.get("params", {}))
    return TaskSpec(task_id=task_id, upstream=upstream, container=ContainerTemplate(**container), line=7, **rest)


def params_of(defaults: dict[str, Any]) -> dict[str, ParamSpec]:
    return {
        name: each if isinstance(each, ParamSpec) else ParamSpec(default=each) for name, each in defaults.items()
    }


def problems(*tasks: TaskSpec, source: str = "", **dag: Any) -> list[Problem]:
    dag["params"] = params_of(dag.get("params", {}))
    spec = DagSpec(dag_id="d", file="d.py", line=3, tasks=tasks, **dag)
    return [*check(spec, frozenset({"flights"})), *check_source(ast.parse(source), "d.py", "d")]


def only(*tasks: TaskSpec, **rest: Any) -> Problem:
    (problem,) = problems(*tasks, **rest)
    assert problem.fix
    assert problem.dag_id == "d"
    return problem


def test_a_sound_dag_has_no_problems() -> None:
    sound = (
        task("a", image="flights", script='echo "{{ params.day }}" | cat', params={"day": 1}),
        task("b", ("a",), command="run '{{ ds }}' --n={{ macros.ds_add(ds, 1) }}", environment={"N": "${ds} {x}"}),
        task("c", ("b",), command=["run", "{{ ti.xcom_pull('a') }}", "a | b"], image="x@sha256:0"),
        task(
            "d",
            ("c",),
            command=["sh", "-c", "echo {{ ds }} > a"],
            image="{{ params.image }}",
            params={"image": "a"},
        ),
    )
    assert problems(*sound, source="start_date = datetime(2024, 1, 1)") == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"result_schema": {"type": "int"}}, "is no JSON schema: $.type 'int'"),
        ({"result_schema": {}, "push_result": False}, "do_xcom_push=False keeps none"),
    ],
)
def test_a_result_schema_that_cannot_be_met(fields: dict[str, Any], words: str) -> None:
    problem = only(msgspec.structs.replace(task(), **fields))
    assert (problem.rule, problem.line, problem.severity) == ("result_schema", 7, Severity.ERROR)
    assert words in problem.text
    assert problems(msgspec.structs.replace(task(), result_schema={"type": "integer"})) == []


def test_an_output_that_is_not_kept() -> None:
    keeps = task("a", outputs=("/out/*.csv", "/in/deep/file"))

    def takes(path: str, after: tuple[str, ...] = ("a",)) -> TaskSpec:
        return task("b", after, inputs={"/i": f"{{{{ output('a', '{path}') }}}}"})

    for path in ("/out/x.csv", "/in/deep/file", "/in/deep", "/in"):
        assert problems(keeps, takes(path)) == []
    problem = only(keeps, takes("/out/x.json"))
    assert (problem.rule, problem.severity) == ("output_not_kept", Severity.WARNING)
    assert problem.text == "inputs./i: 'a' does not keep /out/x.json"
    assert problems(task("a", outputs=("{{ ds }}",)), takes("/x")) == []
    assert only(keeps, takes("/out/x.csv", ())).rule == "pull_not_upstream"


def test_a_schedule_that_cannot_be() -> None:
    problem = only(schedule=CronSchedule(expressions=("61 * * * *",)))
    assert (problem.rule, problem.line, problem.severity) == ("bad_schedule", 3, Severity.ERROR)


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("{{ ds", "template_syntax", "environment.A: unexpected end"),
        ("{{ ds | dss }}", "template_syntax", "'dss'"),
        ("{{ dss }}", "template_name", "did you mean 'ds'?"),
        ("{{ params.dya }}", "template_name", "did you mean 'day'?"),
        ("{{ conf.x }}", "template_name", "it is dag_run.conf"),
    ],
)
def test_templates_that_cannot_be_rendered_are_errors(text: str, rule: str, words: str) -> None:
    problem = only(task(environment={"A": text}, params={"day": 1}))
    assert (problem.rule, problem.line, problem.severity) == (rule, 7, Severity.ERROR)
    assert problem.task_id == "one"
    assert words in problem.text


@pytest.mark.parametrize(
    ("param", "words"),
    [
        (ParamSpec(default="all", schema={"type": "integer"}), "params.top is 'all', which is no integer"),
        (ParamSpec(default=None, schema={"type": "integer"}), "params.top is None, which is no integer"),
        (ParamSpec(schema={"type": "integer"}), "params.top has no default"),
    ],
)
def test_a_scheduled_dag_needs_defaults_that_fit(param: ParamSpec, words: str) -> None:
    daily = CronSchedule(expressions=("0 0 * * *",))
    for problem in (only(params={"top": param}, schedule=daily), only(task(params={"top": param}), schedule=daily)):
        assert (problem.rule, problem.severity) == ("param", Severity.ERROR)
        assert words in problem.text


def test_a_dag_that_is_only_asked_for_may_leave_params_open() -> None:
    schema = {"type": "integer"}
    assert problems(params={"a": ParamSpec(schema=schema), "b": ParamSpec(default=None, schema=schema)}) == []
    assert only(params={"a": ParamSpec(default="x", schema=schema)}).rule == "param"


def test_macros_of_the_dag_are_known_names_and_none_of_ours() -> None:
    assert problems(task(command=["{{ bucket }}"]), macros={"bucket": "s3://x"}) == []
    assert only(macros={"ds": 1}).rule == "macro_name"
    assert "did you mean 'bucket'" in only(task(command=["{{ bucke }}"]), macros={"bucket": 1}).text


def test_arguments_of_functions_are_templates_like_any_other() -> None:
    problem = only(task(call=Call(kwargs={"day": "{{ dss }}"})))
    assert (problem.rule, problem.text) == (
        "template_name",
        "call.kwargs.day: 'dss' is undefined; did you mean 'ds'?",
    )
    pulled = only(task(call=Call(args=[Handle(task_id="two").text])), task("two"))
    assert pulled.rule == "pull_not_upstream"


def test_params_of_the_dag_and_of_the_task_are_both_known() -> None:
    assert problems(task(command=["{{ params.a }}{{ params.b }}"], params={"a": 1}), params={"b": 1}) == []


def test_single_braces_around_a_name() -> None:
    problem = only(task(environment={"A": "{ds} ${ds} {{ {'ds': 1}.ds }} {other}"}))
    assert (problem.rule, problem.severity) == ("single_brace", Severity.WARNING)
    assert "{{ ds }}" in problem.fix


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("cat a | wc", "|"),
        ("cat a > b", ">"),
        ("cat a>b", ">"),
        ("a && b", "&&"),
        ("a; b", ";"),
        ("echo $HOME", "$"),
        ('echo "$(date)"', "$"),
        ("python run.py < {{ ds }}", "<"),
    ],
)
def test_shell_syntax_without_a_shell(command: str, sign: str) -> None:
    problem = only(task(command=command))
    assert problem.rule == "shell_syntax"
    assert repr(sign) in problem.text
    assert "script=" in problem.fix


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'a | b'",
        "/bin/bash -c 'a > b'",
        "python -c 'print(1); print(2)'",
        'python -c "print(1); print(2)"',
        "awk '{ print $1 }' a",
        "run --x={{ 1 if ds > ts else 2 }}",
        "run a#b",
        r"run \$HOME",
        ["a", "|", "b"],
        "it's unbalanced",
    ],
)
def test_what_only_looks_like_shell_syntax(command: str | list[str]) -> None:
    assert problems(task(command=command)) == []


@pytest.mark.parametrize(
    "container",
    [
        {"command": "run {{ dag_run.conf.x }}"},
        {"command": ["sh", "-c", "run {{ ti.xcom_pull(ds) }}"]},
        {"command": ["bash", "-e", "-xc", "run {{ dag_run.conf.x }}"]},
    ],
)
def test_data_in_text_that_is_split_or_run(container: dict[str, Any]) -> None:
    assert only(task(**container)).rule == "data_in_command"


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["run", "{{ dag_run.conf.x }}"]},
        {"script": "run {{ dag_run.conf.x }}"},
        {"command": "run", "environment": {"A": "{{ dag_run.conf.x }}"}},
    ],
)
def test_data_that_stays_data(container: dict[str, Any]) -> None:
    assert problems(task(**container)) == []


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("python", "has no tag"),
        ("registry.example:5000/python", "has no tag"),
        ("python:latest", "moves"),
        ("flihgts", "has no tag"),
    ],
)
def test_images_that_move(image: str, words: str) -> None:
    problem = only(task(image=image))
    assert problem.rule == "image_tag"
    assert words in problem.text
    assert ("'flights'" in problem.fix) == (image == "flihgts")


@pytest.mark.parametrize("name", ["log_opts_max_size", "log_opts_max_file"])
def test_a_log_of_which_the_engine_may_throw_parts_away(name: str) -> None:
    problem = only(task(**{name: "3"}))
    assert (problem.rule, problem.severity) == ("log_rotation", Severity.WARNING)
    assert name in problem.text


def test_a_result_of_a_task_that_is_not_upstream() -> None:
    a, b = task("a"), task("b", command=["{{ ti.xcom_pull(task_ids='a') }}"])
    problem = only(a, b)
    assert (problem.rule, problem.task_id, problem.fix) == ("pull_not_upstream", "b", "add the edge a >> b")
    c = task("c", ("b2",), command=["{{ ti.xcom_pull('a') }}"])
    assert problems(a, task("b2", ("a",)), c) == []


def test_a_result_of_a_task_that_is_not_there() -> None:
    problem = only(task("fetch"), task("b", ("fetch",), command=["{{ ti.xcom_pull('fetsh') }}"]))
    assert "did you mean 'fetch'?" in problem.text


def test_a_last_task_that_hides_failures() -> None:
    last = task("b", ("a",), trigger_rule=TriggerRule.ALL_DONE)
    assert only(task("a"), last).rule == "all_done_leaf"
    assert problems(task("a"), last, task("c", ("b",))) == []


@pytest.mark.parametrize("value", ["datetime.now(UTC)", "days_ago(2)", "pendulum.today('UTC').add(days=-1)"])
def test_a_start_date_that_moves(value: str) -> None:
    problem = only(source=f"\nDAG('d', start_date={value})")
    assert (problem.rule, problem.line, problem.severity) == ("moving_start_date", 2, Severity.WARNING)


def mapped(source: Source, argument: str | None = "command", **rest: Any) -> TaskSpec:
    axis = Axis(argument=argument, source=source)
    return msgspec.structs.replace(task("many", **rest), map=MapSpec(axes=(axis,)))


def test_elements_in_the_file_are_looked_at_as_what_they_become() -> None:
    problem = only(mapped(Literal(values=["echo {{ dss }}", "echo {{ dss }}"])))
    assert (problem.rule, problem.text.partition(":")[0]) == ("template_name", "command")
    assert only(mapped(Literal(values=["a {ds}"]))).rule == "single_brace"
    inner = Zip(sources=(Literal(values=["{{ dss }}"]), FromResult(task_id="many")))
    assert only(mapped(inner)).text.startswith("element.command[0]:")


@pytest.mark.parametrize(
    ("asks", "rule"),
    [
        (task(command=["x", "{{ element('name') }}"]), "element_name"),
        (mapped(Literal(values=["x"]), environment={"N": "{{ element('comand') }}"}), "element_name"),
        (mapped(Literal(values=["x"]), environment={"N": "{{ element('command') }}"}), None),
        (mapped(FromResult(task_id="many"), None, environment={"N": "{{ element('any') }}"}), None),
    ],
)
def test_only_what_a_task_is_mapped_over_has_elements(asks: TaskSpec, rule: str | None) -> None:
    assert [problem.rule for problem in problems(asks)] == ([] if rule is None else [rule])
