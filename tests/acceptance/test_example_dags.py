"""The example DAGs as they are constructed from their files."""

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.authoring.dag import collecting
from orchestrator.authoring.serialize import to_spec
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import CronSchedule, DagSpec, ManualSchedule

PROJECT = Path(__file__).parents[2]


def example(name: str) -> DagSpec:
    with collecting() as dags:
        runpy.run_path(str(PROJECT / "dags" / f"{name}.py"))
    (dag,) = dags
    return to_spec(dag, f"{name}.py")


def edges(dag: DagSpec) -> set[tuple[str, str]]:
    return {(parent, task.task_id) for task in dag.tasks for parent in task.upstream}


def test_nyc_flights_runs_daily_through_the_year_from_the_start() -> None:
    dag = example("nyc_flights")
    assert isinstance(dag.schedule, CronSchedule)
    assert dag.schedule.preset == "@daily"
    assert (dag.start_date, dag.end_date) == (datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 12, 30, tzinfo=UTC))
    assert (dag.catchup, dag.paused_on_creation) == (False, False)


def test_in_nyc_flights_each_table_is_cleaned_as_soon_as_it_is_fetched() -> None:
    assert edges(example("nyc_flights")) == {
        ("fetch_flights", "clean_flights"),
        ("fetch_weather", "clean_weather"),
        ("clean_flights", "join"),
        ("clean_weather", "join"),
        ("join", "rank_carriers"),
        ("join", "delay_chart"),
        ("rank_carriers", "report"),
        ("delay_chart", "report"),
    }


def test_every_task_of_nyc_flights_works_in_the_data_root_flights() -> None:
    root = Mount(type=MountType.ROOT, source="flights", target="/data")
    assert [task.container.mounts for task in example("nyc_flights").tasks if task.container] == [(root,)] * 8


def test_every_image_of_nyc_flights_is_a_folder_with_a_dockerfile() -> None:
    images = {str(task.container.image) for task in example("nyc_flights").tasks if task.container}
    assert images == {"flights-fetch", "flights-table", "flights-report"}
    assert all((PROJECT / "task-images" / image / "Dockerfile").is_file() for image in images)


def test_two_images_pin_what_cannot_live_together() -> None:
    pins = {
        image: {
            line.split()[0]
            for line in (PROJECT / "task-images" / image / "requirements.txt").read_text().splitlines()
            if line.startswith("pandas==")
        }
        for image in ("flights-table", "flights-report")
    }
    assert pins == {"flights-table": {"pandas==2.2.3"}, "flights-report": {"pandas==3.0.3"}}


def test_hello_waits_to_be_asked_and_needs_no_image_of_its_own() -> None:
    dag = example("hello")
    assert isinstance(dag.schedule, ManualSchedule)
    assert edges(dag) == {("name", "greet"), ("greet", "count")}
    assert [task.container.image for task in dag.tasks if task.container] == [None] * 3


@pytest.mark.parametrize("name", ["hello", "nyc_flights"])
def test_a_dag_file_names_work_and_does_none(name: str) -> None:
    text = (PROJECT / "dags" / f"{name}.py").read_text()
    imports = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports <= {"orchestrator", "datetime"}
