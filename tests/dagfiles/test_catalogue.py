"""What is said of all DAG files together, and with what a deployment knows."""

from typing import Any

import pytest

from orchestrator.dagfiles.catalogue import Deployment, duplicate_problems, reference_problems
from orchestrator.spec.assets import AssetSpec
from orchestrator.spec.control import External, Trigger
from orchestrator.spec.dag import AssetSchedule, DagSpec, GroupSpec, ParsedFile, Problem, Severity, TaskSpec


def parsed(file: str, *ids: str) -> ParsedFile:
    dags = tuple(DagSpec(dag_id=dag_id, file=file, line=line) for line, dag_id in enumerate(ids, 3))
    return ParsedFile(file=file, dags=dags)


def one(dag_id: str, schedule: Any = None, **task: Any) -> ParsedFile:
    """A file of one DAG with one task."""
    fields = {} if schedule is None else {"schedule": schedule}
    tasks = (TaskSpec(task_id="t", line=7, **task),)
    dag = DagSpec(dag_id=dag_id, file=f"{dag_id}.py", tasks=tasks, groups=(GroupSpec(group_id="g"),), **fields)
    return ParsedFile(file=dag.file, dags=(dag,))


def pools(*names: str) -> Deployment:
    return Deployment(pools=frozenset(names))


def test_an_id_in_two_files_is_an_error_of_the_later_one() -> None:
    (problem,) = duplicate_problems([parsed("b.py", "x", "y"), parsed("a.py", "y")])
    assert (problem.file, problem.line, problem.dag_id) == ("b.py", 4, "y")
    assert (problem.rule, problem.severity) == ("duplicate_id", Severity.ERROR)
    assert "a.py" in problem.text


def test_ids_that_differ_are_no_problem() -> None:
    assert duplicate_problems([parsed("a.py", "x"), parsed("b.py", "y")]) == ()


# --- pools ----------------------------------------------------------------------------------------------


def test_a_pool_that_the_deployment_has_not_is_told_with_the_nearest() -> None:
    (problem,) = reference_problems([one("x", pool="smal")], deployment=pools("small"))
    assert (problem.rule, problem.severity, problem.line) == ("unknown_pool", Severity.WARNING, 7)
    assert (problem.dag_id, problem.task_id) == ("x", "t")
    assert "did you mean 'small'?" in problem.text
    assert "orchestrator pools set smal" in problem.fix


@pytest.mark.parametrize("deployment", [None, Deployment(), pools("small")])
def test_a_pool_that_is_there_or_cannot_be_known_is_no_problem(deployment: Deployment | None) -> None:
    assert reference_problems([one("x", pool="small"), one("y")], deployment=deployment) == ()


# --- DAGs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (Trigger(dag_id="rats"), "it triggers a DAG 'rats', which is not there; did you mean 'rates'?"),
        (External(dag_id="nowhere"), "it waits for a DAG 'nowhere', which is not there"),
        (External(dag_id="rates", task_ids=("t", "u")), "the task 'u', which the DAG 'rates' does not have"),
        (External(dag_id="rates", group="h"), "the task group 'h', which the DAG 'rates' does not have"),
    ],
)
def test_a_dag_or_task_that_is_not_there_is_told(control: Trigger | External, words: str) -> None:
    (problem,) = reference_problems([one("x", control=control), one("rates")])
    assert (problem.rule, problem.severity, problem.dag_id) == ("unknown_dag", Severity.WARNING, "x")
    assert words in problem.text
    assert problem.fix


@pytest.mark.parametrize("where", ["files", "others", "deployment"])
@pytest.mark.parametrize("control", [Trigger(dag_id="rates"), External(dag_id="rates", task_ids=("t",), group="g")])
def test_a_dag_is_there_wherever_it_is_known_from(control: Trigger | External, where: str) -> None:
    asks, rates = one("x", control=control), one("rates")
    files = [asks, rates] if where == "files" else [asks]
    others = [rates] if where == "others" else []
    known = Deployment(dags=rates.dags) if where == "deployment" else None
    assert reference_problems(files, others, known) == ()


@pytest.mark.parametrize(
    "control",
    [Trigger(dag_id="{{ params.d }}"), External(dag_id="rates", task_ids=("{{ ds }}",), group="{{ params.g }}")],
)
def test_a_name_that_is_a_template_is_known_later(control: Trigger | External) -> None:
    assert reference_problems([one("x", control=control), one("rates")]) == ()


def test_beside_a_broken_file_nobody_can_tell_which_dags_there_are() -> None:
    broken = ParsedFile(file="b.py", problems=(Problem(file="b.py", rule="syntax", text="no"),))
    asks = one("x", control=Trigger(dag_id="rates"), pool="smal")
    (problem,) = reference_problems([asks], [broken], pools())
    assert problem.rule == "unknown_pool"


# --- assets ---------------------------------------------------------------------------------------------


def test_an_asset_that_no_task_updates_is_told_with_the_nearest() -> None:
    waits = one("x", AssetSchedule(when=AssetSpec(name="rate")))
    (problem,) = reference_problems([waits, one("y", outlets=(AssetSpec(name="rates"),))])
    assert (problem.rule, problem.dag_id, problem.task_id) == ("unknown_asset", "x", None)
    assert "'rate'" in problem.text
    assert "did you mean 'rates'?" in problem.text
    assert reference_problems([waits, one("y", outlets=(AssetSpec(name="rate"),))]) == ()
