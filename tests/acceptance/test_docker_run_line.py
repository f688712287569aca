"""The line of `tasks render --docker-run`, run by a shell: the same files as the task itself writes."""

import subprocess
from pathlib import Path

import pytest
from cli_project import LONG, CliProject, Said
from example_project import TestedDays

pytestmark = pytest.mark.engine

#: Containers that are hard to say in a line; each writes what it sees of itself into a data root. The ids of its
#: run are those of one run only, so they are left out.
DAG = r'''
from orchestrator import DAG, DockerOperator, Mount

TELL = """
import os, pathlib, sys
mine = {name: text for name, text in sorted(os.environ.items()) if name.startswith("MY_")}
given = pathlib.Path(os.environ.get("MY_FILE", "/nowhere"))
told = (sys.argv[1:], mine, os.getuid(), os.getcwd(), given.read_bytes() if given.exists() else None,
        os.access("/", os.W_OK), sorted(os.environ.get("ORCHESTRATOR_DATA_INTERVAL_START", "")))
pathlib.Path("/out/" + os.environ["ORCHESTRATOR_TASK_ID"]).write_text(repr(told))
"""
NASTY = ["a b", "it's", 'say "hi"', "$HOME `id` $(id)", "two\nlines\n", "back\\slash", "", "-x", "*", "é€\t;|&"]

with DAG("odd", schedule=None, default_args={"mounts": [Mount.root("out", "/out")]}):
    DockerOperator(task_id="quoted", command=["python", "-c", TELL, *NASTY],
                   environment={"MY_" + str(place): text for place, text in enumerate(NASTY)})
    DockerOperator(task_id="entered", entrypoint=["python", "-c", TELL], command=["one", "two words"])
    DockerOperator(task_id="scripted", script="cd /tmp && python - \"it's $0\" <<'END'\n" + TELL + "\nEND")
    DockerOperator(task_id="given", command=["python", "-c", TELL], environment={"MY_FILE": "/etc/my file"},
                   inputs={"/etc/my file": "it's {{ ds }}\n"})
    DockerOperator(task_id="unprivileged", user="1234:1234", working_dir="/usr", command=["python", "-c", TELL])
    DockerOperator(task_id="sealed", read_only=True, user="1234", command=["python", "-c", TELL, "{{ ds }}"],
                   tmpfs={"/scratch": "size=1m"})
'''
TASKS = ("quoted", "entered", "scripted", "given", "unprivileged", "sealed")


def by_shell(line: str) -> Said:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=LONG, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def odd(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[CliProject, dict[str, bytes]]:
    """A project with odd containers, and what they wrote as tasks."""
    project = CliProject(tmp_path_factory.mktemp("odd") / "it's a project")
    project.write("odd.py", DAG)
    out = Path(project.home / "data" / "out")
    out.mkdir(parents=True)
    out.chmod(0o777)  # not all of them are root
    project.ok("dags", "test", "odd", "2013-01-01", limit=LONG)
    return project, project.files("out")


@pytest.mark.parametrize("task", TASKS)
def test_the_line_of_an_odd_container_does_what_the_task_did(
    task: str, odd: tuple[CliProject, dict[str, bytes]]
) -> None:
    project, written = odd
    target = project.home / "data" / "out" / task
    target.unlink()
    line = project.ok("tasks", "render", "odd", task, "2013-01-01", "--docker-run").stdout
    said = by_shell(line)
    assert (said.code, said.stderr) == (0, ""), line
    assert target.read_bytes() == written[task]


def test_every_odd_container_wrote_something_of_its_own(odd: tuple[CliProject, dict[str, bytes]]) -> None:
    _, written = odd
    assert sorted(written) == sorted(TASKS)
    assert b"1234, '/usr'" in written["unprivileged"]
    assert b"it's 2013-01-01" in written["given"]
    assert b"False" in written["sealed"]


def test_the_line_of_rank_carriers_writes_the_same_file(tested_day: TestedDays) -> None:
    _, files = tested_day("2013-01-01")
    project = tested_day.project
    for path, data in files.items():
        file = project.home / "data" / "flights" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    target = project.home / "data" / "flights" / "carriers" / "2013-01-01.csv"
    target.unlink()
    line = project.ok("tasks", "render", "nyc_flights", "rank_carriers", "2013-01-01", "--docker-run").stdout
    assert by_shell(line).code == 0
    assert target.read_bytes() == files["carriers/2013-01-01.csv"]


def test_the_line_ends_with_the_tasks_exit_code_and_leaves_no_container(odd: tuple[CliProject, object]) -> None:
    project, _ = odd
    project.write(
        "failing.py",
        "from orchestrator import DAG, DockerOperator\n"
        "with DAG('failing', schedule=None):\n"
        "    DockerOperator(task_id='plain', script='exit 7')\n"
        "    DockerOperator(task_id='given', script='exit 8', inputs={'/x': ''}, hostname='line-that-fails')\n",
    )
    for task, code in (("plain", 7), ("given", 8)):
        line = project.ok("tasks", "render", "failing", task, "--docker-run").stdout
        assert by_shell(line).code == code
    assert (
        "line-that-fails" not in by_shell("docker ps --all --quiet | xargs --no-run-if-empty docker inspect").stdout
    )
