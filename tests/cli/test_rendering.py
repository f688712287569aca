"""`tasks render` without an engine: what it takes from earlier runs, and what from the machine it is on."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import store_rows
from cli_project import CliProject

from orchestrator.app import App
from orchestrator.settings import open_project
from orchestrator.spec.interval import Interval

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
DAY = datetime(2024, 2, 28, tzinfo=UTC)
ECHO = """
from orchestrator import DAG, DockerOperator, Mount
with DAG("etl", schedule=None):
    DockerOperator(task_id="a", command=["echo", "{{ dag_run.conf.get('n', 'none') }}"],
                   mounts=[Mount.root("flights", "/data"), "./in:/in:ro"])
"""
WAITING = """
from orchestrator import DAG, EmptyOperator, TriggerDagRunOperator
with DAG("w", schedule="@daily"):
    conf = {"day": "{{ ds }}", "n": "{{ dag_run.conf.n | tojson }}"}
    TriggerDagRunOperator(task_id="make", trigger_dag_id="w", conf=conf)
    TriggerDagRunOperator.partial(task_id="many", trigger_dag_id="w").expand(conf=[{"shop": "a"}, {"shop": "b"}])
    EmptyOperator(task_id="here")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> CliProject:
    """A project in which two runs stand for one day."""
    project = CliProject(tmp_path_factory.mktemp("rendered"), NOWHERE)
    project.write("etl.py", ECHO)
    project.write("waiting.py", WAITING)
    project.ok("db", "upgrade")
    interval = Interval(start=DAY, end=DAY)
    with App(open_project(project.folder, project.environment)).store() as store:
        store.take_lead("test", store_rows.NOW)
        for number in (1, 2):
            made = store_rows.run(
                run_id=f"manual__{number}", interval=interval, conf={"n": number},
                created_at=store_rows.NOW + number * store_rows.DAY,
            )  # fmt: skip
            store_rows.write(store, *store_rows.put_run(made))
    return project


@pytest.mark.parametrize(
    ("words", "command", "told"),
    [
        (("2024-02-28",), "echo 2", "conf is that of the run manual__2"),
        (("2024-02-28", "--conf", '{"n": 3}'), "echo 3", ""),
        (("2024-02-28", "--conf", "{}"), "echo none", ""),
        (("2024-02-27",), "echo none", ""),
    ],
)
def test_conf_is_that_of_the_newest_run_of_the_interval_unless_it_is_given(
    project: CliProject, words: tuple[str, ...], command: str, told: str
) -> None:
    said = project.ok("tasks", "render", "etl", "a", *words)
    assert f"command  {command}\n" in said.stdout
    assert [line for line in said.stderr.splitlines() if line.startswith("conf ")] == ([told] if told else [])


def test_folders_are_taken_to_be_where_they_are_here(project: CliProject) -> None:
    said = project.ok("tasks", "render", "etl", "a", "2024-02-27")
    assert f"/data=bind {project.home}/data/flights\n" in said.stdout
    assert f"/in=bind {Path(project.folder, 'in')} (read only)" in said.stdout
    assert "warning: the engine is taken to find folders where they are here" in said.stderr


def test_of_a_task_without_container_what_it_does_is_shown(project: CliProject) -> None:
    said = project.ok("tasks", "render", "w", "make", "2024-02-28", "--conf", '{"n": [1]}')
    assert said.stdout.split() == ["type", "trigger", "dag", "id", "w", "conf", "day=2024-02-28", "n=[1]"]
    told = project.json("tasks", "render", "w", "many[1]")
    assert told == {"type": "trigger", "dag_id": "w", "conf": {"shop": "b"}}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("many[2]", "it is mapped over 2 elements, counted from 0"),
        ("here", "w.here is an EmptyOperator, of which nothing is rendered"),
    ],
)
def test_what_there_is_nothing_to_render_of_is_told(project: CliProject, task: str, told: str) -> None:
    said = project.run("tasks", "render", "w", task)
    assert said.code == 1
    assert told in said.stderr
