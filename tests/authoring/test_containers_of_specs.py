"""Finalized specs on a real engine: results come back and inputs arrive for every kind of user and root."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryKey, VersionId, new_try_id
from orchestrator.planning.rows import Interval, Run
from orchestrator.spec.container import ContainerSpec, EngineEventKind, ImageFacts, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.finalize import Site, finalize, with_try
from orchestrator.states import RunState, RunType

pytestmark = pytest.mark.engine

START = datetime(2013, 1, 1, tzinfo=UTC)
KEY = TaskKey("d", "run", "t")
RUN = Run(
    key=RunKey("d", "run"),
    run_type=RunType.MANUAL,
    state=RunState.RUNNING,
    version=VersionId("v"),
    interval=Interval(start=START, end=START + timedelta(days=1)),
    created_at=START,
)
SITE = Site(network="none", project="/", root_path=lambda name: f"/{name}")
#: The task writes beside its result and renames, as careful programs do.
SCRIPT = 'cat "$IN" > "$ORCHESTRATOR_RESULT.new"; mv "$ORCHESTRATOR_RESULT.new" "$ORCHESTRATOR_RESULT"'


def spec_for(deployment: DeploymentId, facts: ImageFacts, **arguments: Any) -> ContainerSpec:
    template = ContainerTemplate(**{"image": facts.id, "script": SCRIPT, **arguments})
    dag, task = DagSpec(dag_id="d", file="d.py"), TaskSpec(task_id="t")
    spec = finalize(template, dag=dag, task=task, run=RUN, key=KEY, image=facts, site=SITE)
    return with_try(spec, deployment=deployment, key=TryKey(KEY, 1), try_id=new_try_id(), epoch=Epoch(1))


def result_of(engine: DockerEngine, deployment: DeploymentId, spec: ContainerSpec) -> bytes:
    container = engine.create(spec)
    if spec.files:
        engine.put_files(container, spec.files)
    events: Iterator[Any] = engine.events(deployment)
    next(events)
    engine.start(container)
    died = next(event for event in events if event.kind is EngineEventKind.DIE)
    said = b"".join(engine.read_logs(container))
    assert (died.exit_code, said) == (0, b"")
    assert spec.result_path is not None
    try:
        return engine.read_file(container, spec.result_path, 100)
    finally:
        engine.remove(container)


@pytest.fixture
def run_one(docker_engine: DockerEngine, engine_deployment: DeploymentId, base_image: str) -> Callable[..., bytes]:
    def run(*, open_tmp: bool, **arguments: Any) -> bytes:
        facts = ImageFacts(id=base_image, world_writable_tmp=open_tmp)
        return result_of(docker_engine, engine_deployment, spec_for(engine_deployment, facts, **arguments))

    return run


@pytest.mark.parametrize("open_tmp", [False, True])
@pytest.mark.parametrize("user", ["root", "1234", "nobody:1234"])
def test_every_user_reads_its_inputs_and_hands_on_a_result(
    run_one: Callable[..., bytes], user: str, *, open_tmp: bool
) -> None:
    inputs = {"/in/deep/a": "[1]"}
    assert run_one(open_tmp=open_tmp, user=user, inputs=inputs, environment={"IN": "/in/deep/a"}) == b"[1]"


@pytest.mark.parametrize("user", ["root", "1234"])
def test_a_read_only_container_does_so_through_volumes(
    run_one: Callable[..., bytes], user: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    found = run_one(
        open_tmp=True,
        user=user,
        read_only=True,
        mounts=(Mount(type=MountType.BIND, source=str(tmp_path), target="/in"),),
        inputs={"/in/deep/a": "[1]"},
        environment={"IN": "/in/deep/a"},
    )
    assert found == b"[1]"
