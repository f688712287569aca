"""Sensors, caches and deadlines as people meet them: through a running scheduler, real containers, and commands."""

from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import CliProject

pytestmark = pytest.mark.engine

FILE = """
from orchestrator import DAG, Cache, DockerOperator, DockerSensor, Mount

LOOK = 'echo x >> /data/looks; wc -l < /data/looks; [ $(wc -l < /data/looks) -ge 3 ] || exit 75'
MAKE = 'echo "{{ ds }}" > /out.csv; cat /proc/sys/kernel/random/uuid'

with DAG("sensed", deadline=0.1):
    look = DockerSensor(task_id="look", script=LOOK, poke_interval=0.5, mounts=[Mount.run("/data")])
    look >> DockerOperator(task_id="then", command="true", sla=0.2)

with DAG("d", params={"greeting": "hello"}):
    make = DockerOperator(
        task_id="make", script=MAKE, outputs=["/out.csv"], environment={"SAY": "{{ params.greeting }}"},
        cache=Cache(inputs=["data/*.csv"], max_age=3600),
    )
    make >> DockerOperator(
        task_id="take", command=["cat", "/in.csv"], inputs={"/in.csv": "{{ output('make', '/out.csv') }}"}
    )
"""


@pytest.fixture(scope="module")
def project(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliProject]:
    folder = tmp_path_factory.mktemp("looks") / "project"
    made = CliProject(folder, {"ORCHESTRATOR__TASKS__DEFAULT_IMAGE": base_image})
    made.write("d.py", FILE)
    (folder / "data").mkdir()
    (folder / "data" / "in.csv").write_text("1\n")
    with made.start("up") as up:
        up.wait_line("scheduler.running")
        made.wait_dags(["d", "sensed"])
        yield made


def run(project: CliProject, *options: str) -> dict[str, Any]:
    """One run, to its end, as `runs show` tells it."""
    run_id = project.json("dags", "trigger", "d", "--logical-date", "2024-05-01", *options)["run_id"]
    project.ok("runs", "watch", "d", run_id)
    shown: dict[str, Any] = project.json("runs", "show", "d", run_id)
    assert shown["state"] == "success", shown
    return shown


def attempt(run: dict[str, Any], task_id: str) -> dict[str, Any]:
    (found,) = next(task["attempts"] for task in run["tasks"] if task["task_id"] == task_id)
    return found  # type: ignore[no-any-return]  # JSON


def test_what_came_to_the_same_is_not_run_again_and_what_differs_is_told(project: CliProject) -> None:
    first = run(project)
    second = run(project)
    third = run(project, "--conf", '{"greeting": "servus"}')
    assert second["results"]["make"] == first["results"]["make"] != third["results"]["make"]
    assert second["results"]["take"] == "2024-05-01"
    assert attempt(second, "make")["container_id"] is None
    named = f"try 1 in run {first['run_id']}"
    assert attempt(second, "make")["note"] == f"cached: {named} came to the same"
    assert attempt(third, "make")["note"] == f"not cached: its environment differs from {named}"
    shown = project.ok("tasks", "show", "d", "make", second["run_id"]).stdout
    assert f"cached: {named} came to the same" in " ".join(shown.split())


def test_a_sensors_log_is_followed_over_all_its_looks_and_what_was_late_is_listed(project: CliProject) -> None:
    run_id = project.json("dags", "trigger", "sensed", "--logical-date", "2024-05-02")["run_id"]
    followed = project.ok("tasks", "logs", "sensed", "look", run_id, "--follow")
    assert followed.stdout == "1\n2\n3\n"
    lines = [line for line in followed.stderr.splitlines() if line.startswith("[orchestrator] look")]
    assert lines == [f"[orchestrator] look {number}: it exited with 75, which means not yet" for number in (1, 2)]
    project.ok("runs", "watch", "sensed", run_id)
    shown = project.json("runs", "show", "sensed", run_id)
    assert attempt(shown, "look")["look"] == 3
    late = [each for each in project.json("runs", "late", "sensed") if each["run_id"] == run_id]
    assert [each["task_id"] for each in late] == ["then", ""]
    assert shown["deadline_missed_at"] == late[1]["deadline"]
    assert {each["state"] for each in late} == {"success"}
