"""What is wrong with a DAG file is told together, as far as the file can be read on, each with its DAG and task."""

from authoring_project import write

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.settings import Project
from orchestrator.spec.dag import Problem, Severity

HEAD = """\
from datetime import UTC, datetime
from orchestrator import DAG, DockerOperator, EmptyOperator, TaskGroup, TriggerDagRunOperator, task
"""


def told(project: Project, authoring: AuthoringServer, text: str) -> list[Problem]:
    write(project, "f.py", HEAD + text)
    parsed = authoring.parse("f.py")
    assert not (parsed.dags and parsed.errors), "a file with an error is taken over by nobody"
    return list(parsed.problems)


def shown(problems: list[Problem]) -> list[tuple[int | None, str, str | None, str | None]]:
    return [(each.line, each.rule, each.dag_id, each.task_id) for each in problems]


def test_mistakes_of_operators_and_dags_are_told_together_each_with_its_ids(
    project: Project, authoring: AuthoringServer
) -> None:
    text = """
with DAG("a", start_date=datetime(2024, 1, 1)):
    first = DockerOperator(task_id="first", image="tool:1", comand="x")
    with TaskGroup("g"):
        second = EmptyOperator(task_id="second", trigger_rule="all_good")
    first >> second
    EmptyOperator(task_id="first")
with DAG("b", max_active_run=3) as b:
    DockerOperator.partial(task_id="mapped", image="tool:1").expand(retries=[1, 2])
    TriggerDagRunOperator.partial(task_id="many", trigger_dag_id="a").expand(cnof=[{}])
DockerOperator(task_id="third", dag=b, image="tool:1", script="a", command="b")
"""
    problems = told(project, authoring, text)
    assert shown(problems) == [
        (4, "naive_date", "a", None),
        (5, "unknown_argument", "a", "first"),
        (7, "bad_argument", "a", "g.second"),
        (9, "duplicate_id", "a", "first"),
        (10, "unknown_argument", "b", None),
        (11, "bad_argument", "b", "mapped"),
        (12, "bad_argument", "b", "many"),
        (13, "bad_argument", "b", "third"),
    ]
    assert all(each.fix and each.severity is Severity.ERROR for each in problems)


def test_what_ends_the_file_comes_last_and_hides_nothing(project: Project, authoring: AuthoringServer) -> None:
    problems = told(
        project,
        authoring,
        """
with DAG("a"):
    EmptyOperator(task_id="x", queue="quick", imag="y")
    undefined_name
    EmptyOperator(task_id="never")
""",
    )
    assert shown(problems) == [
        (5, "unknown_argument", "a", "x"),
        (5, "no_effect", "a", "x"),
        (6, "exception", None, None),
    ]


def test_edges_and_handles_of_a_task_with_a_mistake_are_no_mistakes(
    project: Project, authoring: AuthoringServer
) -> None:
    text = """
with DAG("a"):
    first = DockerOperator(task_id="first", image="tool:1", retries=-1).as_setup()
    second = DockerOperator(task_id="second", image="tool:1", command=["echo", first.output["n"]])
    first.doc_md = "read me"
    first >> second >> EmptyOperator(task_id="third").as_teardown(setups=first)
"""
    assert shown(told(project, authoring, text)) == [(5, "bad_argument", "a", "first")]


def test_beside_a_dag_with_a_mistake_the_others_are_checked(project: Project, authoring: AuthoringServer) -> None:
    text = """
with DAG("a", max_active_run=3):
    DockerOperator(task_id="t", image="tool:1", command="echo {{ undefined_here }}")
with DAG("b"):
    DockerOperator(task_id="t", image="tool:1", command="echo {{ undefined_here }}")
"""
    assert shown(told(project, authoring, text)) == [
        (4, "unknown_argument", "a", None),
        (7, "template_name", "b", "t"),
    ]


def test_in_a_dag_with_a_mistake_errors_of_its_other_tasks_are_told_and_no_doubts(
    project: Project, authoring: AuthoringServer
) -> None:
    text = """
with DAG("a"):
    first = DockerOperator(task_id="first", image="tool", comand="x {{ nothing }}")
    DockerOperator(task_id="second", image="tool", command="{{ nothing }} {{ result('first') }} | wc")
    DockerOperator(task_id="third", image="tool", labels={"x": "{{ conn.pg.password }}"})
"""
    assert shown(told(project, authoring, text)) == [
        (5, "unknown_argument", "a", "first"),
        (6, "template_name", "a", "second"),
        (7, "secret_in_command", "a", "third"),
    ]


def test_two_tasks_of_one_id_are_no_cycle(project: Project, authoring: AuthoringServer) -> None:
    text = """
with DAG("a"):
    EmptyOperator(task_id="x") >> EmptyOperator(task_id="y") >> EmptyOperator(task_id="x")
"""
    assert shown(told(project, authoring, text)) == [(5, "duplicate_id", "a", "x")]


def test_what_needs_the_whole_dag_is_told_of_each_task(project: Project, authoring: AuthoringServer) -> None:
    text = """
with DAG("a"):
    DockerOperator(task_id="s", image="tool:1", mem_limit="much")
    DockerOperator(task_id="t", image="tool:1", working_dir="here")
with DAG("b"):
    x, y = EmptyOperator(task_id="x"), EmptyOperator(task_id="y")
    x >> y >> x
"""
    assert shown(told(project, authoring, text)) == [
        (5, "bad_argument", "a", "s"),
        (6, "bad_argument", "a", "t"),
        (8, "cycle", "b", None),
    ]


def test_calls_of_functions_are_told_with_their_task(project: Project, authoring: AuthoringServer) -> None:
    text = """
@task.docker(image="tool:1", command="x")
def count(n):
    return n

with DAG("a"):
    count(object())
    count.override(task_id="other")(3)
"""
    assert shown(told(project, authoring, text)) == [
        (9, "bad_argument", "a", "count"),
        (9, "unknown_argument", "a", "count"),
        (10, "unknown_argument", "a", "other"),
    ]


def test_a_mistake_in_a_module_names_the_place_there(project: Project, authoring: AuthoringServer) -> None:
    write(
        project,
        "lib/steps.py",
        'from orchestrator import EmptyOperator\n\ndef step(name):\n    EmptyOperator(task_id=name, imag="y")\n',
    )
    text = """
from lib.steps import step
with DAG("a"):
    step("one")
    step("two")
"""
    problems = told(project, authoring, text)
    assert shown(problems) == [(6, "unknown_argument", "a", "one"), (7, "unknown_argument", "a", "two")]
    assert all(each.text.endswith("(at dags/lib/steps.py:4)") for each in problems)
