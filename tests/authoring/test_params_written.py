"""Params, user-defined macros and native rendering, as DAG files write them."""

from typing import Any

import msgspec
import pytest

from orchestrator import DAG, DockerOperator, Param, dag, task
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import decode_dag, encode_dag
from orchestrator.spec.params import ParamSpec, problems_of, values_of

TOP = Param(5, "How many", type="integer", minimum=1, title="Top")


def spec_of(**params: Any) -> dict[str, ParamSpec]:
    return DAG("d", params=params).spec.params


def test_a_param_is_a_default_and_what_its_values_must_be() -> None:
    assert spec_of(top=TOP, city="NY", day=Param(type="string"), none=Param(None)) == {
        "top": ParamSpec(
            default=5, schema={"description": "How many", "type": "integer", "minimum": 1, "title": "Top"}
        ),
        "city": ParamSpec(default="NY"),
        "day": ParamSpec(schema={"type": "string"}),
        "none": ParamSpec(default=None),
    }


def test_a_param_without_a_default_survives_serialization() -> None:
    with DAG("d", params={"day": Param(type="string"), "none": None}) as made:
        DockerOperator(task_id="t", image="x:1", params={"n": TOP})
    spec = to_spec(made, "d.py")
    again = decode_dag(encode_dag(spec))
    assert again == spec
    assert again.params["day"].default is msgspec.UNSET
    assert again.params["none"].default is None


def test_what_a_param_may_be_is_a_list_or_a_tuple() -> None:
    assert spec_of(x=Param("a", enum=("a", "b"))) == spec_of(x=Param("a", enum=["a", "b"]))


def test_conf_sets_params_and_adds_none() -> None:
    params = spec_of(top=TOP, day=Param(type="string"), city=None)
    assert values_of(params, {"city": "LA", "other": 1}) == {"top": 5, "city": "LA"}
    assert values_of(params, {"day": None}) == {"top": 5, "day": None, "city": None}


def test_problems_name_each_param_that_has_no_value_or_none_that_fits() -> None:
    params = spec_of(top=TOP, day=Param(type="string"))
    assert list(problems_of(params, {"day": "x", "top": 1})) == []
    assert list(problems_of(params, {"top": "all"})) == [
        "params.top is 'all', which is no integer",
        "params.day has no default, and the run's conf does not say it",
    ]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: Param(1, typ="integer"), "knows no 'typ'; did you mean 'type'?"),
        (lambda: DAG("d", params={"a": object()}), "params: a is <object"),
        (lambda: DAG("d", params={"a": Param({1})}), "params: a is {1}, which JSON cannot say"),
        (lambda: DAG("d", params={1: 2}), "expected a dict of names"),
    ],
)
def test_what_cannot_be_a_param_is_refused(write: Any, words: str) -> None:
    with pytest.raises(AuthoringError) as refused:
        write()
    assert words in refused.value.message


def test_a_default_of_the_dag_function_may_be_a_param() -> None:
    @dag
    def pipeline(top: Any = TOP, city: str = "NY") -> None:
        DockerOperator(task_id="t", image="x:1", command=["x", top, city])

    made = pipeline(3)
    assert made.spec.params["top"] == ParamSpec(default=3, schema=TOP.schema)
    assert pipeline().spec.params["top"].default == 5
    assert made.graph.tasks["t"].container is not None
    assert made.graph.tasks["t"].container.command == ["x", "{{ params.top }}", "{{ params.city }}"]
    decode_dag(encode_dag(to_spec(made, "d.py")))


def test_a_param_of_the_dag_function_is_a_value_in_calls_of_python_tasks() -> None:
    @task
    def rank(top: Any, more: Any) -> Any:
        return top, more

    @dag
    def pipeline(top: int = 5) -> None:
        rank(top, more=[top, f"top {top}"])

    container = pipeline().graph.tasks["rank"].container
    assert container is not None
    assert container.call is not None
    assert container.call.args == ["{{ params.top | text }}", ["{{ params.top | text }}", "top {{ params.top }}"]]


def test_user_defined_macros_are_constants() -> None:
    spec = DAG(
        "d", user_defined_macros={"bucket": "s3://x", "sizes": (1, 2)}, render_template_as_native_obj=True
    ).spec
    assert (spec.macros, spec.native) == ({"bucket": "s3://x", "sizes": [1, 2]}, True)
    with pytest.raises(AuthoringError, match=r"double is a function, which cannot leave the process"):
        DAG("d", user_defined_macros={"double": lambda x: 2 * x})
    with pytest.raises(AuthoringError, match="expected a dict of names"):
        DAG("d", user_defined_macros={"no name": 1})
    with pytest.raises(AuthoringError, match="user_defined_filters"):
        DAG("d", user_defined_filters={"double": lambda x: 2 * x})  # type: ignore[call-arg] # what a user might try
