from orchestrator.dagfiles.catalogue import duplicate_problems
from orchestrator.spec.dag import DagSpec, ParsedFile


def parsed(file: str, *ids: str) -> ParsedFile:
    dags = tuple(DagSpec(dag_id=dag_id, file=file, line=line) for line, dag_id in enumerate(ids, 3))
    return ParsedFile(file=file, dags=dags)


def test_an_id_in_two_files_is_an_error_of_the_later_one() -> None:
    (problem,) = duplicate_problems([parsed("b.py", "x", "y"), parsed("a.py", "y")])
    assert (problem.file, problem.line, problem.dag_id) == ("b.py", 4, "y")
    assert "a.py" in problem.text


def test_ids_that_differ_are_no_problem() -> None:
    assert duplicate_problems([parsed("a.py", "x"), parsed("b.py", "y")]) == ()
