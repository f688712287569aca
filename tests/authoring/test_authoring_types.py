"""DAG files as a type checker sees them: what is right passes, what is wrong is found before any parse."""

from pathlib import Path

import pytest
from mypy import api

RIGHT = """
from datetime import UTC, datetime, timedelta

from orchestrator import (
    DAG, DockerOperator, EmptyOperator, Label, Mount, TaskGroup, TemplateFile, TriggerRule,
    chain, cross_downstream, dag, task, task_group,
)

@task.docker(image="x", retries=2)
def fetch(day: str, rows: list[int]) -> dict[str, int]:
    return {day: len(rows)}

@task
def plain() -> int:
    return 1

with DAG("d", schedule="@daily", start_date=datetime(2013, 1, 1, tzinfo=UTC), default_args={"retries": 2}) as d:
    a = DockerOperator(task_id="a", image="x", command=["a", "{{ ds }}"], mounts=[Mount.root("r", "/r"), "v:/v:ro"])
    b = DockerOperator(task_id="b", script="echo", retry_delay=timedelta(minutes=1), cpus=1.5, mem_limit="1g")
    q = DockerOperator(task_id="q", command=["psql", TemplateFile("q.sql")], inputs={"/q": TemplateFile("q.sql")})
    c = EmptyOperator(task_id="c", trigger_rule=TriggerRule.ALL_DONE)
    with TaskGroup("g") as g:
        e = EmptyOperator(task_id="e", trigger_rule="one_failed")
    a >> Label("x") >> [b, c] >> g
    [a, b] >> g >> EmptyOperator(task_id="f")
    chain(a, [b, c], e)
    chain(a, [Label("y"), Label("z")], [b, c])
    fetched = fetch("{{ ds }}", rows=[a.output, b.output["n"]])
    fetched >> DockerOperator(task_id="h", command=["h", fetched], environment={"N": fetched["n"]})
    cross_downstream([a, b], [c])

@task_group
def load(name: str) -> None:
    EmptyOperator(task_id=name)

@task_group(group_id="other")
def save() -> EmptyOperator:
    return EmptyOperator(task_id="s")

@dag(schedule=None)
def flow(region: str = "eu") -> None:
    load("x") >> save()

with DAG("mapped"):
    several = DockerOperator.partial(task_id="m", image="x", max_map_length=9).expand(command=a.output.zip(["x"]))
    fetch.partial("{{ ds }}").expand(rows=several.output) >> load.expand(name=["a", "b"])

reveal_type(several)
reveal_type(load.expand(name=["a"]))
reveal_type(save.expand_kwargs([{}]))
reveal_type(fetch("x"))
reveal_type(plain())
reveal_type(load("x"))
reveal_type(save())
reveal_type(flow())
reveal_type(a >> b)
"""
REVEALED = [
    "DockerOperator",
    "TaskGroup",
    "EmptyOperator",
    "Output",
    "Output",
    "TaskGroup",
    "EmptyOperator",
    "DAG",
    "DockerOperator",
]

WRONG = """
from orchestrator import DAG, DockerOperator, EmptyOperator, PythonOperator
DAG("d", shedule="@daily")
DockerOperator(task_id="a", imag="x")
DockerOperator(task_id="a", retries="2")
DockerOperator(image="x")
EmptyOperator(task_id="a", image="x")
EmptyOperator(task_id="a") >> 3
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder: Path = tmp_path_factory.mktemp("flows")
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG)):
        (folder / name).write_text(text)
    arguments = ["--strict", "--config-file=", f"--cache-dir={folder}/cache", "--hide-error-context"]
    said, failed, _ = api.run([*arguments, str(folder / "right.py"), str(folder / "wrong.py")])
    assert not failed, failed
    lines = [line.removeprefix(f"{folder}/") for line in said.splitlines()]
    return {name: [line for line in lines if line.startswith(name)] for name in ("right.py", "wrong.py")}


def test_a_right_file_has_no_errors_and_precise_types(found: dict[str, list[str]]) -> None:
    assert not [line for line in found["right.py"] if "error" in line]
    revealed = [line.rpartition(" is ")[2].strip('"').rpartition(".")[2] for line in found["right.py"]]
    assert revealed == REVEALED


def test_each_mistake_is_found_in_its_line(found: dict[str, list[str]]) -> None:
    errors = {int(line.split(":")[1]) for line in found["wrong.py"] if "error" in line}
    assert errors == set(range(2, 9))
