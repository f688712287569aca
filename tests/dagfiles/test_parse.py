"""Parsing through the real server: what a file says, what it depends on, and what is wrong with it."""

import hashlib
from pathlib import Path

import pytest
from authoring_project import SOUND, make_project, write

from orchestrator.clock import SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.settings import Project
from orchestrator.spec.dag import Problem, Severity


def only_problem(authoring: AuthoringServer, file: str) -> Problem:
    parsed = authoring.parse(file)
    assert parsed.dags == ()
    assert len(parsed.problems) == 1, parsed.problems
    problem = parsed.problems[0]
    assert problem.file == file
    assert problem.fix
    return problem


def test_a_sound_file_gives_its_dags(project: Project, authoring: AuthoringServer) -> None:
    path = write(project, "team/sound.py", SOUND.format(dag_id="a") + SOUND.format(dag_id="b"))
    parsed = authoring.parse("team/sound.py")
    assert parsed.problems == ()
    assert [(dag.dag_id, dag.file) for dag in parsed.dags] == [("a", "team/sound.py"), ("b", "team/sound.py")]
    assert parsed.dags[0].task("one").line == 5
    assert parsed.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert parsed.seconds > 0


def test_a_file_without_a_dag_is_a_helper(project: Project, authoring: AuthoringServer) -> None:
    write(project, "helper.py", "DAYS = 7\n")
    parsed = authoring.parse("helper.py")
    assert (parsed.dags, parsed.problems) == ((), ())


def test_project_files_that_are_opened_or_imported_are_dependencies(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "lib/days.py", "DAYS = 7\n")
    write(project, "team/here.py", "X = 1\n")
    (project.root / "limits.json").write_text("{}")
    (project.home / "x").mkdir(parents=True)
    (project.home / "x" / "state").write_text("")
    write(
        project,
        "team/uses.py",
        """\
        import json, pathlib
        import here
        from lib.days import DAYS
        json.loads(pathlib.Path("limits.json").read_text())
        open(".orchestrator/x/state").close()
        open("/etc/hostname").close()
        try:
            open("dags/later.yaml")
        except FileNotFoundError:
            pass
        with open("dags/written.txt", "w") as out:
            out.write("x")
        """,
    )
    for _ in range(2):  # the second time helpers would come from compiled files, were there any
        parsed = authoring.parse("team/uses.py")
        assert parsed.problems == ()
        assert parsed.dependencies == ("dags/later.yaml", "dags/lib/days.py", "dags/team/here.py", "limits.json")
    assert not list(project.dags_folder.rglob("__pycache__"))


def test_dags_and_tasks_may_be_made_of_yaml(project: Project, authoring: AuthoringServer) -> None:
    write(project, "factory/markets.yaml", "markets: {north: [apples, pears], south: []}")
    write(
        project,
        "factory/markets.py",
        """
        from pathlib import Path
        import yaml
        from orchestrator import DAG, DockerOperator

        written = yaml.safe_load(Path(__file__).with_name("markets.yaml").read_text())
        for market, goods in written["markets"].items():
            with DAG(f"market_{market}"):
                for good in goods:
                    DockerOperator(task_id=good, image="market:1", command=["count", good])
        """,
    )
    parsed = authoring.parse("factory/markets.py")
    assert parsed.problems == ()
    assert {dag.dag_id: [task.task_id for task in dag.tasks] for dag in parsed.dags} == {
        "market_north": ["apples", "pears"],
        "market_south": [],
    }
    assert parsed.dependencies == ("dags/factory/markets.yaml",)


def test_a_template_file_is_a_dependency_wherever_it_might_appear(
    project: Project, authoring: AuthoringServer
) -> None:
    write(
        project,
        "team/sql.py",
        """\
        from orchestrator import DAG, DockerOperator, TemplateFile
        with DAG("a", template_searchpath="sql"):
            DockerOperator(task_id="t", image="x:1", command=["psql", "-c", TemplateFile("q.sql")])
        """,
    )
    (project.root / "sql").mkdir()
    places = ("dags/team/q.sql", "dags/team/sql/q.sql", "sql/q.sql")
    missing = only_problem(authoring, "team/sql.py")
    assert (missing.rule, missing.line) == ("template_file", 3)
    assert authoring.parse("team/sql.py").dependencies == places
    (project.root / "sql/q.sql").write_text("select '{{ ds }}'")
    parsed = authoring.parse("team/sql.py")
    assert (parsed.problems, parsed.dependencies) == ((), places)
    container = parsed.dags[0].task("t").container
    assert container is not None
    assert container.command == ["psql", "-c", "select '{{ ds }}'"]


def test_dependencies_are_known_of_a_broken_file_too(project: Project, authoring: AuthoringServer) -> None:
    write(project, "broken.py", "open('dags/limits.json')\n")
    assert authoring.parse("broken.py").dependencies == ("dags/limits.json",)


@pytest.mark.parametrize(
    ("source", "rule", "line", "said"),
    [
        ("x = 1\ny = = 2\n", "syntax", 2, ("invalid syntax", "syntax")),
        ("import pandas_of_old\n", "import", 1, ("'pandas_of_old'", "requirements.txt")),
        ("from airflow import DAG\n", "import", 1, ("'airflow'", "from orchestrator import DAG")),
        ("from orchestrator import Dag\n", "import", 1, ("'Dag'", "did you mean 'DAG'?")),
        (
            "from orchestrator import BashOperator\n",
            "import",
            1,
            ("'BashOperator'", "write DockerOperator(task_id=..., script="),
        ),
        ("from orchestrator import PythonOperator\n", "import", 1, ("'PythonOperator'", "@task.docker")),
        ("from orchestrator import notify\n", "import", 1, ("'notify'", "nobody is notified yet")),
        ("from orchestrator import MySqlOperator\n", "import", 1, ("'MySqlOperator'", "belongs in an image")),
        ("def f():\n    return 1 / 0\n\nf()\n", "exception", 2, ("ZeroDivisionError", "run")),
        ("import os\nos.environ['CITY']\n", "environment", 2, ("'CITY'", "parse_env")),
        ("import sys\nsys.exit(3)\n", "exception", 2, ("SystemExit", "exit")),
        ("import os\nos._exit(3)\n", "parse_ended", None, ("exit code 3", "process")),
        ("import ctypes\nctypes.string_at(0)\n", "parse_ended", 2, ("SIGSEGV", "process")),
        ("import faulthandler\nraise KeyboardInterrupt\n", "exception", 2, ("KeyboardInterrupt", "run")),
    ],
)
def test_what_is_wrong_is_told_with_line_and_fix(
    project: Project, authoring: AuthoringServer, source: str, rule: str, line: int, said: tuple[str, str]
) -> None:
    write(project, "wrong.py", source)
    problem = only_problem(authoring, "wrong.py")
    assert (problem.rule, problem.line, problem.severity) == (rule, line, Severity.ERROR)
    words, fix = said
    assert words in problem.text
    assert fix in problem.fix


def test_a_cycle_is_told_with_its_path(project: Project, authoring: AuthoringServer) -> None:
    write(
        project,
        "round.py",
        """\
        from orchestrator import DAG, EmptyOperator

        with DAG("round"):
            a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")
            a >> b
            b >> a
        """,
    )
    problem = only_problem(authoring, "round.py")
    assert problem.rule == "cycle"
    assert problem.line
    assert "a" in problem.text
    assert "b" in problem.text


def test_an_error_in_a_helper_is_told_at_the_import_and_where_it_came_up(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "faulty/days.py", "\n\nDAYS = {}['x']\n")
    write(project, "uses.py", "import sys\nimport faulty.days\n")
    problem = only_problem(authoring, "uses.py")
    assert (problem.line, problem.text) == (2, "KeyError: 'x' (at dags/faulty/days.py:3)")


def test_variables_that_are_let_through_are_seen_and_no_others(tmp_path: Path) -> None:
    environment = {"CITY_NAME": "Newark", "SECRET": "x"}
    project = make_project(tmp_path, {**environment, "ORCHESTRATOR__DAGS__PARSE_ENV": "CITY_*"})
    write(
        project,
        "env.py",
        """\
        import os
        from orchestrator import DAG, EmptyOperator
        assert os.environ.get("SECRET") is None and os.getenv("PATH") is None
        with DAG(os.environ["CITY_NAME"]):
            EmptyOperator(task_id="a")
        """,
    )
    server = AuthoringServer(project, SystemClock())
    try:
        parsed = server.parse("env.py")
    finally:
        server.close()
    assert [dag.dag_id for dag in parsed.dags] == ["Newark"]
    assert [(each.rule, each.line, each.severity) for each in parsed.problems] == [
        ("environment_read", 3, Severity.WARNING),
        ("environment_read", 3, Severity.WARNING),
    ]
    assert ["'SECRET'" in parsed.problems[0].text, "'PATH'" in parsed.problems[1].text] == [True, True]


def test_what_a_file_prints_disturbs_nothing(project: Project, authoring: AuthoringServer) -> None:
    noise = "import os, sys\nfor fd in range(3): os.write(fd, b'x' * 10**5)\nprint('y' * 10**5, file=sys.stderr)\n"
    write(project, "loud.py", noise + SOUND.format(dag_id="loud"))
    parsed = authoring.parse("loud.py")
    assert [dag.dag_id for dag in parsed.dags] == ["loud"]


def test_a_file_that_speaks_on_the_conversation_hurts_itself_only(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "liar.py", "import os\nos.write(3, b'\\x00\\x00\\x00\\x04oops')\n")
    write(project, "sound.py", SOUND.format(dag_id="sound"))
    assert only_problem(authoring, "liar.py").rule == "parse_ended"
    assert authoring.parse("sound.py").dags


def test_a_file_named_like_a_module_of_python_does_not_replace_it(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "json.py", "import hashlib\n" + SOUND.format(dag_id="json"))
    assert [dag.dag_id for dag in authoring.parse("json.py").dags] == ["json"]


def test_a_missing_file_is_a_problem_of_that_file(authoring: AuthoringServer) -> None:
    assert only_problem(authoring, "nowhere.py").rule == "unreadable"


def test_going_to_the_network_is_a_warning(project: Project, authoring: AuthoringServer) -> None:
    write(
        project,
        "net.py",
        """\
        import socket
        with socket.socket() as s:
            s.settimeout(0.01)
            s.connect_ex(("127.0.0.1", 9))
        """,
    )
    (problem,) = authoring.parse("net.py").problems
    assert (problem.rule, problem.line, problem.severity) == ("network", 4, Severity.WARNING)


def test_a_warning_does_not_keep_a_dag_back(project: Project, authoring: AuthoringServer) -> None:
    write(project, "old.py", SOUND.format(dag_id="old").replace(":3.13-slim", ""))
    parsed = authoring.parse("old.py")
    assert [problem.rule for problem in parsed.problems] == ["image_tag"]
    assert len(parsed.dags) == 1


def test_an_image_folder_without_a_dockerfile_is_told_as_that(project: Project, authoring: AuthoringServer) -> None:
    (project.images_folder / "etl").mkdir(parents=True)
    write(
        project,
        "bare.py",
        """
        from orchestrator import DAG, DockerOperator
        with DAG("bare"):
            DockerOperator(task_id="a", image="etl", command=["a"])
        """,
    )
    (problem,) = authoring.parse("bare.py").problems
    assert (problem.rule, problem.text) == ("image_tag", "task-images/etl has no Dockerfile")
    assert "FROM" in problem.fix
