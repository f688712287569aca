"""What a run may be asked for with: the leader itself looks at conf, whoever asks."""

from typing import Any

import pytest
from planning_sim import Leader, container, dag

from orchestrator.planning.rows import RequestKind
from orchestrator.spec.params import ParamSpec

TOP = ParamSpec(default=5, schema={"type": "integer", "minimum": 1})
CITY = ParamSpec(schema={"enum": ["NY", "LA"]})


@pytest.fixture
def leader() -> Leader:
    made = Leader()
    made.parse(dag(container("a", params={"top": TOP}), container("b"), params={"city": CITY, "note": ParamSpec()}))
    return made


def test_conf_that_gives_every_param_what_it_takes_makes_a_run(leader: Leader) -> None:
    key = leader.trigger(conf={"city": "NY", "note": [None], "top": 1, "more": "as it likes"})
    assert leader.run(key).conf == {"city": "NY", "note": [None], "top": 1, "more": "as it likes"}


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({}, "params.city has no default, and the run's conf does not say it; params.note has no default"),
        ({"city": "SF", "note": 1}, "params.city is 'SF', which is none of 'NY', 'LA'"),
        ({"city": "NY", "note": 1, "top": "all"}, "params.top is 'all', which is no integer"),
    ],
)
def test_other_conf_is_refused_and_makes_none(leader: Leader, conf: dict[str, Any], words: str) -> None:
    answer = leader.ask(RequestKind.TRIGGER, dag_id="d", conf=conf)
    assert not answer.ok
    assert answer.error.startswith("conf does not fit the params of d: ")
    assert words in answer.error
    assert leader.rows["runs"] == {}


def test_of_many_problems_a_few_are_told() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), params={f"p{number}": ParamSpec() for number in range(9)}))
    error = leader.ask(RequestKind.TRIGGER, dag_id="d").error
    assert "params.p4" in error
    assert "params.p5" not in error
    assert error.endswith("(and 4 more)")


@pytest.mark.parametrize(
    ("conf", "warnings"),
    [
        ({}, []),
        ({"top": 1}, []),
        ({"topp": 1}, ["the DAG has no param 'topp'; did you mean 'top'?"]),
        ({f"z{n}": n for n in range(9)}, [f"the DAG has no param 'z{n}'; it has: city, top" for n in range(5)]),
        ({"zzz": 1, "top": 2}, ["the DAG has no param 'zzz'; it has: city, top"]),
    ],
)
def test_a_key_that_no_param_has_is_warned_of(conf: dict[str, Any], warnings: list[str]) -> None:
    leader = Leader()
    leader.parse(dag(container("a", params={"top": TOP}), params={"city": ParamSpec(default="NY")}))
    answer = leader.ask(RequestKind.TRIGGER, dag_id="d", conf=conf)
    assert answer.ok
    assert answer.data["warnings"] == warnings


def test_a_dag_without_params_takes_any_conf_unwarned() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    assert leader.ask(RequestKind.TRIGGER, dag_id="d", conf={"any": 1}).data["warnings"] == []
