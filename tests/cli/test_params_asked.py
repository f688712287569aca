"""Params where people meet them: faces refuse conf that does not fit before a scheduler hears of it."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
from cli_project import CliProject

from orchestrator.actions import Actions
from orchestrator.clock import SystemClock
from orchestrator.errors import RequestRefusedError
from orchestrator.ids import VersionId
from orchestrator.planning.rows import Dag
from orchestrator.spec.dag import DagSpec
from orchestrator.spec.params import ParamSpec

DAG_FILE = """
from orchestrator import DAG, DockerOperator, Param
with DAG("d", params={"top": Param(5, type="integer"), "city": Param(type="string", minLength=1)}):
    DockerOperator(task_id="a", image="x:1", command=["rank", "{{ params.top }}", "{{ params.city }}"])
"""


class OneDag:
    """A store that knows one DAG, and is asked for nothing more."""

    def dag(self, dag_id: str) -> Dag:
        return Dag(dag_id=dag_id, version=VersionId("1"), file="d.py", paused=False)

    def version(self, dag_id: str, version: VersionId) -> DagSpec:
        return DagSpec(dag_id=dag_id, file="d.py", params={"top": ParamSpec(schema={"type": "integer"})})

    def ask(self, *_: Any) -> NoReturn:
        raise AssertionError("nothing should be asked")


def test_an_action_refuses_conf_that_does_not_fit_before_it_asks(tmp_path: Path) -> None:
    actions = Actions(OneDag(), tmp_path / "none", SystemClock(), "ann")  # type: ignore[arg-type] # all that is used
    for conf in (None, {"top": "all"}):
        with pytest.raises(RequestRefusedError, match=r"conf does not fit the params of d: params\.top") as refused:
            actions.trigger("d", conf=conf)
        assert refused.value.fix == "`orchestrator dags show d` tells its params"


def test_rendering_refuses_conf_that_does_not_fit(tmp_path: Path) -> None:
    project = CliProject(tmp_path)
    (project.folder / "dags" / "d.py").write_text(DAG_FILE)
    said = project.run("tasks", "render", "d", "a", "--conf", '{"city": "", "top": "x"}')
    assert said.code == 1
    assert "params.top is 'x', which is no integer; params.city has 0 characters, fewer than 1" in said.stderr
