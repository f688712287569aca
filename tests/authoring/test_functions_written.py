"""Python functions as tasks: what travels of them, what calls are, and what cannot be."""

import json as outer_json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from types import FunctionType
from typing import Any

import pytest

from orchestrator import DAG, DockerOperator, EmptyOperator, TaskGroup, task
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import BranchChoice, ShortCircuitChoice, TaskSpec
from orchestrator.spec.functions import FILLED_NAMES, Function, placed

OUTER = 3


@task.docker(image="x:1", retries=2, env_file=None)
def sample(count: Any, ds: Any = None, *, names: Any = (), **context: Any) -> Any:
    """Count.

    Twice."""
    text = """
  as it stands
"""
    return [count, ds, names, context, text]


@task
def plain() -> int:
    return 1


def specs(dag: DAG) -> dict[str, TaskSpec]:
    return {each.task_id: each for each in to_spec(dag, "d.py").tasks}


def called(call: Callable[[], object]) -> TaskSpec:
    with DAG("d") as dag:
        call()
    (spec,) = specs(dag).values()
    return spec


def function_of(spec: TaskSpec) -> Function:
    assert spec.function is not None
    return spec.function


def kwargs_of(spec: TaskSpec) -> dict[str, Any]:
    assert spec.container is not None
    assert spec.container.call is not None
    return spec.container.call.kwargs


def refusal(function: Any, **arguments: Any) -> AuthoringError:
    with pytest.raises(AuthoringError) as refused, DAG("d"):
        task.docker(**arguments)(function)()
    return refused.value


def test_a_call_defines_a_task_named_like_the_function() -> None:
    spec = called(lambda: sample(1))
    assert (spec.task_id, spec.operator, spec.doc_md) == ("sample", "@task.docker", "Count.\n\nTwice.")
    assert (spec.retry.retries, spec.skip_on_exit_code) == (2, (99,))
    assert spec.container is not None
    assert (spec.container.image, spec.container.command, spec.container.script) == ("x:1", None, None)


def test_the_source_travels_without_decorators_in_the_lines_where_it_stood() -> None:
    function = function_of(called(lambda: sample(1)))
    lines = placed(function).splitlines()
    assert not any(lines[: function.line - 1])
    assert (
        lines[function.line - 1]
        == "def sample(count: Any, ds: Any = None, *, names: Any = (), **context: Any) -> Any:"
    )
    assert lines[-1] == "    return [count, ds, names, context, text]"
    assert function.file == "tests/authoring/test_functions_written.py"


def test_a_function_inside_another_keeps_its_indentation() -> None:
    @task.docker(image="x:1")
    def inner() -> str:
        return """
kept"""

    text = placed(function_of(called(inner)))
    module: dict[str, Any] = {}
    exec(compile(text, "x", "exec"), module)  # noqa: S102 - what a container does
    assert module["inner"]() == "\nkept"
    assert "if True:\n    def inner() -> str:\n" in text


def test_bare_and_called_decorators_mean_the_same() -> None:
    for decorated in (task(lambda_free), task()(lambda_free), task.docker(lambda_free), task.docker()(lambda_free)):
        assert called(decorated).task_id == "lambda_free"


def lambda_free() -> int:
    return 1


def test_parameters_with_names_of_the_context_are_filled() -> None:
    @task
    def some(ds: Any, params: Any = None, *, run_id: Any, ti: Any = None, city: Any = "x") -> Any:
        return ds, params, run_id, ti, city

    spec = called(some)
    assert function_of(spec).filled == ("ds", "params", "run_id", "ti")
    assert kwargs_of(spec)["ds"] == "{{ ds | text }}"


def test_who_gives_a_value_is_heard_before_the_context() -> None:
    @task
    def some(ds: Any = None, params: Any = None, ts: Any = "mine") -> Any:
        return ds, params, ts

    spec = called(lambda: some("2000-01-01", params={"a": 1}))
    assert function_of(spec).filled == ()
    assert spec.container is not None
    assert spec.container.call is not None
    assert spec.container.call.args == ["2000-01-01", {"a": 1}]


def test_a_function_with_context_gets_every_name() -> None:
    spec = called(lambda: sample(1, names=["a"], ts="mine"))
    filled = function_of(spec).filled
    assert set(filled) == set(FILLED_NAMES) - {"ts"}
    assert kwargs_of(spec)["ts"] == "mine"


def test_arguments_of_the_decorator_come_before_and_below_those_of_the_call() -> None:
    @task.docker(op_args=[1], op_kwargs={"b": 2, "c": 3}, templates_dict={"day": "{{ ds }}"})
    def some(a: Any, b: Any, c: Any, templates_dict: Any = None) -> Any:
        return a, b, c, templates_dict

    spec = called(lambda: some(c=4))
    assert spec.container is not None
    assert spec.container.call is not None
    assert spec.container.call.args == [1, 2, 4, {"day": "{{ ds }}"}]


def test_results_in_any_depth_are_arguments_and_edges() -> None:
    with DAG("d") as dag:
        first, second = plain(), plain()
        operator = DockerOperator(task_id="op", image="x:1")
        end = sample([first, (second["rows"], 7)], names={"op": operator.output, "text": "{{ ds }}"})
        end >> EmptyOperator(task_id="done")
    made = specs(dag)
    assert made["sample"].upstream == ("plain", "plain__1", "op")
    assert made["done"].upstream == ("sample",)
    call = made["sample"].container.call  # type: ignore[union-attr] # it has one
    assert call is not None
    assert call.args[0] == ['{{ result("plain") | text }}', ['{{ result("plain__1", "rows") | text }}', 7]]
    assert call.kwargs["names"] == {"op": '{{ result("op") | text }}', "text": "{{ ds }}"}


def test_calls_in_groups_are_named_after_them() -> None:
    with DAG("d") as dag, TaskGroup("g"):
        plain(), plain()
    assert specs(dag).keys() == {"g.plain", "g.plain__1"}


def test_another_task_of_the_same_function_is_made_by_override() -> None:
    spec = called(sample.override(task_id="again", retries=5, op_kwargs={"count": 2}))
    assert (spec.task_id, spec.retry.retries) == ("again", 5)
    assert spec.container is not None
    assert spec.container.call is not None
    assert spec.container.call.args == [2]


def test_default_args_hold_for_functions_but_for_what_is_the_functions_own() -> None:
    with DAG("d", default_args={"retries": 4, "command": "x", "skip_on_exit_code": 3}) as dag:
        plain()
    spec = specs(dag)["plain"]
    assert (spec.retry.retries, spec.skip_on_exit_code) == (4, (3,))
    assert spec.container is not None
    assert spec.container.command is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("command", "the function is what the container runs"),
        ("script", "the function is what the container runs"),
        ("xcom", "what the function returns is the result"),
        ("retrieve_output_path", "what the function returns is the result"),
    ],
)
def test_what_the_function_takes_the_place_of_is_refused(name: str, why: str) -> None:
    refused = refusal(lambda_free, **{name: "x"})
    assert (refused.rule, refused.fix) == ("unknown_argument", f"leave it out: {why}")


def test_functions_may_choose_what_runs_after_them() -> None:
    @task.branch(image="x:1")
    def where(ds: Any = None) -> Any:
        return "left" if ds else None

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def whether() -> Any:
        return True

    with DAG("d") as dag:
        where() >> EmptyOperator(task_id="left")
        whether()
    made = specs(dag)
    assert (made["where"].operator, made["where"].choice) == ("@task.branch", BranchChoice())
    assert function_of(made["where"]).filled == ("ds",)
    assert made["whether"].choice == ShortCircuitChoice(ignore_downstream_trigger_rules=False)
    assert made["left"].upstream == ("where",)


def test_functions_may_be_setups_and_teardowns() -> None:
    @task
    def begin() -> Any:
        return "db"

    @task
    def end() -> Any:
        return None

    with DAG("d") as dag:
        with end().as_teardown(setups=begin()):
            plain()
        sample(1).as_setup()
    made = specs(dag)
    assert (made["begin"].setup, made["sample"].setup) == (True, True)
    assert made["end"].teardown is not None
    assert made["end"].teardown.setups == ("begin",)
    assert made["plain"].upstream == ("begin",)


def test_an_unknown_argument_names_the_nearest() -> None:
    assert "@task.docker 'lambda_free' takes no argument 'imag'; did you mean 'image'?" in str(
        refusal(lambda_free, imag="x")
    )


def uses_a_value() -> Any:
    return OUTER


def uses_a_module() -> Any:
    return outer_json.dumps(1)


def uses_a_default(x: Any = OUTER) -> Any:
    return x


def uses_it_deep() -> Any:
    class Inner:
        size = OUTER

    return [size for size in range(3) if size > OUTER], Inner


def uses_a_helper() -> Any:
    return lambda_free()


@pytest.mark.parametrize(
    ("function", "name", "fix"),
    [
        (uses_a_value, "OUTER", "pass OUTER as an argument"),
        (uses_a_module, "outer_json", "import json inside the function"),
        (uses_a_default, "OUTER", "pass OUTER as an argument"),
        (uses_it_deep, "OUTER", "pass OUTER as an argument"),
        (uses_a_helper, "lambda_free", "define it or import it inside the function"),
    ],
)
def test_a_function_that_uses_what_stands_around_it_is_refused(function: Any, name: str, fix: str) -> None:
    refused = refusal(function)
    assert refused.rule == "bad_function"
    assert re.search(rf"line \d+ uses {name}, which is defined outside the function", refused.message)
    assert fix in refused.fix


def test_a_variable_of_an_enclosing_function_is_refused() -> None:
    here = 3

    def inner() -> Any:
        return here

    assert "uses here, which is defined outside" in refusal(inner).message


def test_what_a_function_defines_itself_it_may_use() -> None:
    @task
    def whole(n: datetime, size: int = 3) -> "re.Pattern":
        import math  # noqa: PLC0415 - as functions that travel do
        from os import path as where  # noqa: PLC0415 - see above

        class Inner:
            size = 3
            double = size * 2

        def again(x: Any) -> Any:
            return whole(x) if x else Inner.double

        global counter  # noqa: PLW0603 - a name that is global to the function alone
        counter = math.floor(n)
        return [each + 1 for each in range(counter)], again, where, sorted, __name__

    assert function_of(called(lambda: whole(1))).name == "whole"


async def waits() -> Any:
    return 1


def yields() -> Any:
    yield 1


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapped() -> Any:
        return function()

    return wrapped


@wrapping
def decorated_twice() -> Any:
    return 1


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 1, "a lambda cannot be a task"),
        (waits, "an async function cannot be a task"),
        (yields, "a generator cannot be a task"),
        (decorated_twice, "there is another decorator between it and its function"),
        (len, "is no function"),
        (datetime, "is no function"),
        (FunctionType(compile("1", "<nowhere>", "exec"), {}), "its source cannot be read"),
    ],
)
def test_what_is_no_plain_function_is_refused(function: Any, words: str) -> None:
    assert words in refusal(function).message


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), "count"),
        ({1: 2}, "count"),
        ([{"a": {1}}], "count[0]['a']"),
        (float("nan"), "count"),
        (2**64, "count"),
        (b"x", "count"),
        (object(), "count"),
    ],
)
def test_an_argument_that_json_cannot_say_is_refused(value: Any, place: str) -> None:
    with pytest.raises(AuthoringError, match=r"JSON cannot say") as refused, DAG("d"):
        sample(count=value)
    assert f"@task.docker 'sample': {place} is" in refused.value.message.replace("argument 1", "count")


def test_a_call_that_the_function_does_not_take_is_refused() -> None:
    with DAG("d"), pytest.raises(AuthoringError, match="too many positional arguments") as refused:
        plain(1)
    assert refused.value.fix == "call it as plain()"
    with DAG("d"), pytest.raises(AuthoringError, match=r"sample\(\) needs count") as missing:
        sample()
    assert missing.value.rule == "missing_argument"


def test_a_result_of_another_dag_is_refused() -> None:
    with DAG("one"):
        result = plain()
    with DAG("two"), pytest.raises(AuthoringError, match="is of another DAG"):
        sample(result)


def test_outside_every_dag_a_call_is_refused() -> None:
    with pytest.raises(AuthoringError, match="stands outside every DAG"):
        plain()
