"""Writing beside data roots on a real engine: folders of the host and volumes alike."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import msgspec
import pytest

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import LaunchRefusedError
from orchestrator.ids import (
    DEPLOYMENT_LABEL,
    KIND_LABEL,
    SERVES_LABEL,
    TRY_LABEL,
    ContainerId,
    DeploymentId,
    TryId,
    helper_name,
)
from orchestrator.spec.container import ContainerSpec, EngineEventKind, Mount, MountType

pytestmark = pytest.mark.engine

STAGE = ".orchestrator-stages/0123456789abcdef-000000"


class Bench:
    """One data root, and containers that use it."""

    def __init__(self, engine: DockerEngine, deployment: DeploymentId, image: str, root: Mount) -> None:
        self.engine = engine
        self._deployment = deployment
        self._image = image
        self._root = root
        self._events = engine.events(deployment)
        assert next(self._events).kind is EngineEventKind.CONNECTED

    def spec(self, script: str, *, stage: str = STAGE, user: str = "1234", image: str = "") -> ContainerSpec:
        mount = Mount(
            type=self._root.type, source=self._root.source, target="/data", atomic=bool(stage), stage=stage
        )
        labels = {DEPLOYMENT_LABEL: self._deployment, KIND_LABEL: "try", TRY_LABEL: "0123456789abcdef"}
        return ContainerSpec(
            name=f"orc-{self._deployment}-try",
            image=self._image,
            image_name=self._image,
            command=("sh", "-ec", script),
            labels=labels,
            network="none",
            user=user,
            mounts=(mount,),
            promoter=image or self._image,
        )

    def ran(self, script: str, **changes: str) -> ContainerSpec:
        """A container that ran to its end; it is removed."""
        spec = self.spec(script, **changes)
        container = self.engine.create(spec)
        self.engine.start(container)
        code = self._ended(container)
        self.engine.remove(container)
        assert code == 0
        return spec

    def _ended(self, container: ContainerId) -> int | None:
        told = (event for event in self._events if event.kind is EngineEventKind.DIE)
        return next(event.exit_code for event in told if event.container_id == container)

    def files(self) -> dict[str, str]:
        """Every file of the root and its content, as a task sees them."""
        spec = self.spec("cd /data; find . -type f | while read f; do echo $f $(cat $f); done", stage="")
        container = self.engine.create(msgspec.structs.replace(spec, tty=True))
        try:
            self.engine.start(container)
            self._ended(container)
            said = b"".join(self.engine.read_logs(container)).decode()
        finally:
            self.engine.remove(container)
        return dict(line.split() for line in said.splitlines())


@pytest.fixture(params=["folder", "volume"])
def bench(
    request: pytest.FixtureRequest,
    docker_engine: DockerEngine,
    engine_deployment: DeploymentId,
    base_image: str,
    tmp_path: Path,
) -> Iterator[Bench]:
    if request.param == "folder":
        tmp_path.chmod(0o755)
        yield Bench(
            docker_engine,
            engine_deployment,
            base_image,
            Mount(type=MountType.BIND, source=str(tmp_path), target="/data"),
        )
        return
    client = docker.from_env()
    volume = client.volumes.create(f"orc-{engine_deployment}-root-x", labels={DEPLOYMENT_LABEL: engine_deployment})
    yield Bench(docker_engine, engine_deployment, base_image, Mount(source=volume.name, target="/data"))
    volume.remove()
    client.close()


def test_what_was_written_comes_into_the_root_when_it_is_promoted_and_not_before(bench: Bench) -> None:
    bench.ran("mkdir /data/old; echo 1 > /data/old/a; echo 1 > /data/old/b", stage="", user="root")
    spec = bench.ran(
        'test -z "$(ls -A /data)"; mkdir /data/old /data/new; echo 2 > /data/old/a; echo 2 > /data/new/c'
    )
    before = {"./old/a": "1", "./old/b": "1"}
    assert bench.files() == before | {f"./{STAGE}/old/a": "2", f"./{STAGE}/new/c": "2"}
    assert bench.engine.promote(spec) is None
    assert bench.engine.promote(spec) is None
    assert bench.files() == {"./old/a": "2", "./old/b": "1", "./new/c": "2"}
    bench.engine.discard(spec)
    bench.engine.discard(spec)


def test_what_is_discarded_was_never_there(bench: Bench) -> None:
    spec = bench.ran("echo 1 > /data/a")
    bench.engine.discard(spec)
    assert bench.files() == {}
    assert bench.engine.promote(spec) is None


def test_a_folder_in_the_way_of_a_file_is_told_by_the_task_s_own_path(bench: Bench) -> None:
    bench.ran("mkdir /data/a; echo 1 > /data/a/x", stage="", user="root")
    spec = bench.ran("echo 2 > /data/a; echo 2 > /data/b")
    told = bench.engine.promote(spec)
    assert told == "a folder would have to replace what is none, or the other way round: /data/a"
    bench.engine.discard(spec)
    assert bench.files() == {"./a/x": "1"}


def left_behind(bench: Bench, spec: ContainerSpec, image: str, kind: str) -> str:
    """A container under the name of the helper, which does nothing."""
    served = TryId(spec.labels[TRY_LABEL])
    name = helper_name(DeploymentId(spec.labels[DEPLOYMENT_LABEL]), "promote", served)
    labels = {DEPLOYMENT_LABEL: spec.labels[DEPLOYMENT_LABEL], KIND_LABEL: kind, SERVES_LABEL: served}
    bench.engine._stages._created({"Entrypoint": ["true"]}, spec, image, labels, name)
    return name


def test_a_helper_that_was_left_behind_is_taken_up(bench: Bench, base_image: str) -> None:
    spec = bench.ran("echo 1 > /data/a")
    left_behind(bench, spec, base_image, "promotion")
    assert bench.engine.promote(spec) is None  # by the one that was met
    assert bench.files() == {f"./{STAGE}/a": "1"}
    assert bench.engine.promote(spec) is None
    assert bench.files() == {"./a": "1"}
    bench.engine.discard(spec)


def test_a_foreign_container_under_its_name_is_left_alone(bench: Bench, base_image: str) -> None:
    spec = bench.ran("echo 1 > /data/a")
    name = left_behind(bench, spec, base_image, "other")
    with pytest.raises(LaunchRefusedError, match=name) as refused:
        bench.engine.promote(spec)
    assert f"docker rm --force {name}" in refused.value.fix
    subprocess.run(["docker", "rm", name], check=True, capture_output=True)
    bench.engine.discard(spec)


def test_without_its_image_nothing_is_promoted_and_the_image_is_named(bench: Bench) -> None:
    spec = bench.ran("echo 1 > /data/a", image="none:1")
    with pytest.raises(LaunchRefusedError, match="none:1"):
        bench.engine.promote(spec)
    bench.engine.discard(bench.spec(""))
