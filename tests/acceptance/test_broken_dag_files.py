"""DAG files that are wrong, endless or greedy: each is named with file, line and fix, and hurts itself only."""

import sys
import threading
from collections.abc import Iterator

import pytest
from cli_project import PATIENCE, REPOSITORY, CliProject, Started

from orchestrator.app import App
from orchestrator.clock import SystemClock
from orchestrator.settings import open_project

pytestmark = pytest.mark.engine

BROKEN = {
    "syntax.py": """\
from orchestrator import DAG, DockerOperator

with DAG("syntax", schedule=None)
    DockerOperator(task_id="a", command="true")
""",
    "cycle.py": """\
from orchestrator import DAG, DockerOperator

with DAG("cycle", schedule=None):
    a = DockerOperator(task_id="a", command="true")
    b = DockerOperator(task_id="b", command="true")
    a >> b >> a
""",
    "endless.py": """\
from orchestrator import DAG

while True: DAG
""",
    "greedy.py": """\
from orchestrator import DAG

hoard = bytearray(3 * 1024**3)
""",
}
#: What is said of each: file, line, rule, and the fix.
NAMED = {
    "syntax.py": ("syntax.py:3: error: syntax: ", "(fix: correct the Python syntax)"),
    "cycle.py": ("cycle.py:4: error: cycle: these tasks wait for each other: a -> b -> a", "(fix: remove one of "),
    "endless.py": ("endless.py:3: error: parse_timeout: ", "(fix: do this work in a task; the limit is [dags]"),
    "greedy.py": ("greedy.py:3: error: parse_memory: ", "(fix: do this work in a task; the limit is [dags]"),
}
#: A template that never ends; its `command` stands in line 4.
FOREVER = """\
from orchestrator import DAG, DockerOperator

with DAG("forever", schedule=None, is_paused_upon_creation=False):
    DockerOperator(task_id="spin", command="echo {% for a in range(99999) %}{% for b in range(99999) %}"
                   "{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}")
"""
SPINS = "forever.py:4: spin: command: rendering was not over after 2 s (fix: make the template shorter"
LIMITS = {"ORCHESTRATOR__DAGS__PARSE_TIMEOUT": "2", "ORCHESTRATOR__DAGS__RENDER_TIMEOUT": "2"}


@pytest.fixture(scope="module")
def project(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    """`hello`, and four files that are broken, and one whose template is."""
    project = CliProject(tmp_path_factory.mktemp("broken"), LIMITS)
    project.write("hello.py", (REPOSITORY / "dags" / "hello.py").read_text())
    for file, text in (BROKEN | {"forever.py": FOREVER}).items():
        project.write(file, text)
    return project


@pytest.fixture(scope="module")
def scheduler(project: CliProject) -> Iterator[Started]:
    """A scheduler of that project which tells all that it imports, and has run `hello`."""
    project.ok("db", "upgrade")
    words = [sys.executable, "-X", "importtime", "-m", "orchestrator", "scheduler"]
    with Started(words, project.folder, project.environment) as process:
        process.wait_line("scheduler.running")
        wait_parsed(project, {*BROKEN, "hello.py", "forever.py"})
        yield process


def wait_parsed(project: CliProject, files: set[str]) -> None:
    """Until the scheduler has parsed each of them once."""
    clock, never = SystemClock(), threading.Event()
    with App(open_project(project.folder, project.environment)).queries() as queries:
        end = clock.monotonic() + PATIENCE
        while not files <= {record.parsed.file for record in queries.files()}:
            assert clock.monotonic() < end, "the scheduler does not get through its files"
            clock.wait(never, 0.05)


def test_check_names_every_broken_file_with_line_and_fix(project: CliProject) -> None:
    said = project.run("dags", "check")
    assert said.code == 1
    lines = said.stdout.splitlines()
    for file, (begin, fix) in NAMED.items():
        (line,) = (line for line in lines if line.startswith(f"dags/{file}"))
        assert line.startswith(f"dags/{begin}")
        assert fix in line
    assert "6 files, 2 DAGs, 4 errors, 0 warnings\n" in said.stderr


@pytest.mark.parametrize("file", BROKEN)
def test_check_of_one_file_judges_that_file_alone(file: str, project: CliProject) -> None:
    said = project.run("dags", "check", f"dags/{file}")
    assert said.code == 1
    assert len(said.stdout.splitlines()) == 1
    assert project.run("dags", "check", "dags/hello.py").code == 0


def test_a_template_without_end_fails_its_own_run_with_file_and_line(project: CliProject) -> None:
    said = project.run("dags", "test", "forever")
    assert said.code == 1
    assert SPINS in said.stderr
    assert SPINS in project.run("tasks", "render", "forever", "spin").stderr


def test_beside_them_the_other_dags_run_on(project: CliProject, scheduler: Started) -> None:
    triggered = project.json("dags", "trigger", "forever")["run_id"]
    assert project.ok("dags", "trigger", "hello").code == 0
    assert project.run("runs", "watch", "hello").code == 0
    watched = project.run("runs", "watch", "forever", triggered)
    assert watched.code == 1
    assert SPINS in watched.stdout


def test_a_list_of_dags_names_every_broken_file_with_line_and_fix(project: CliProject, scheduler: Started) -> None:
    said = project.ok("dags", "list")
    lines = said.stderr.splitlines()
    for file, (begin, fix) in NAMED.items():
        (line,) = (line for line in lines if line.startswith(f"dags/{file}"))
        assert line.startswith(f"dags/{begin}")
        assert fix in line
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["dag_id", "forever", "hello"]


def test_no_template_engine_is_loaded_in_the_scheduler(project: CliProject, scheduler: Started) -> None:
    assert project.run("runs", "watch", "hello", _run(project)).code == 0
    imported = {line.rpartition("|")[2].strip() for line in scheduler.lines if line.startswith("import time:")}
    assert {"sqlalchemy", "orchestrator.scheduler.loop"} <= imported
    assert not [name for name in imported if name.partition(".")[0] == "jinja2"]
    assert not [name for name in imported if name.startswith("orchestrator.templating.")]


def _run(project: CliProject) -> str:
    run_id: str = project.json("dags", "trigger", "hello")["run_id"]
    return run_id
