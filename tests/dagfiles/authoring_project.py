"""A project in a folder of its own, and the facts of a try in it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec

from orchestrator.ids import RunKey, TaskKey, VersionId
from orchestrator.planning.rows import Interval, Run
from orchestrator.ports import RenderFacts
from orchestrator.settings import DagsSettings, Project, open_project
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.params import ParamSpec
from orchestrator.states import RunState, RunType

START = datetime(2013, 1, 31, tzinfo=UTC)
#: A DAG file without a fault; its task stands in line 5.
SOUND = """\
from datetime import UTC, datetime
from orchestrator import DAG, DockerOperator

with DAG("{dag_id}", start_date=datetime(2024, 1, 1, tzinfo=UTC)):
    DockerOperator(task_id="one", image="python:3.13-slim", command="true")
"""


def make_project(root: Path, environment: Mapping[str, str] | None = None, **settings: Any) -> Project:
    (root / "dags").mkdir(exist_ok=True)
    project = open_project(root, dict(environment or {}))
    quick = DagsSettings(**({"parse_timeout": 20.0, "render_timeout": 20.0, "parse_memory": 512} | settings))
    return msgspec.structs.replace(project, settings=msgspec.structs.replace(project.settings, dags=quick))


def write(project: Project, file: str, text: str) -> Path:
    path = project.dags_folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def facts_of(container: ContainerTemplate, **changes: Any) -> RenderFacts:
    key = RunKey("flights", "manual__1")
    run = Run(
        key=key,
        run_type=RunType.MANUAL,
        state=RunState.RUNNING,
        version=VersionId("0"),
        interval=Interval(start=START, end=START),
        conf=changes.pop("conf", {}),
        created_at=START,
    )
    return RenderFacts(
        run=run,
        task=TaskKey("flights", "manual__1", "rank"),
        spec=TaskSpec(task_id="rank", container=container, line=12),
        dag=DagSpec(dag_id="flights", file="flights.py", params={"city": ParamSpec(default="New York")}),
        try_number=1,
        **changes,
    )
