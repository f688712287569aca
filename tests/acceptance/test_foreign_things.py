"""What is not ours stays as it is, whatever it looks like (invariant I13): containers that a person runs from our
task images, containers and volumes whose labels imitate ours. Beside them a scheduler runs tasks, restarts, tidies
up and looks for leftovers, as `doctor` and `dags test` do; none of it touches them."""

import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

import docker
import pytest
from cli_project import CliProject, Started, command
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container
from mistakes import SOUND, dag_file

from orchestrator.app import App
from orchestrator.engines.owners import identity
from orchestrator.ids import DeploymentId, RunKey, TaskKey
from orchestrator.planning.rows import Try
from orchestrator.scheduler.keeping import Keeping
from orchestrator.settings import open_project
from orchestrator.states import RunState

pytestmark = pytest.mark.engine

#: A container that runs until it is told to go on, one of an image of ours, and one whose run has a volume.
_GATED = "script='echo begun; until [ -e /gate ]; do sleep 0.05; done; echo ended'"
_OWN = "image='own', script='echo > /data/a', mounts=[Mount.run('/data')], keep_failed=True"
#: What each foreign container looks like; see `_labels`.
CONTAINERS = (
    "run from our image",
    "our deployment and an unknown try",
    "a try that is over",
    "a try that is over, exited",
    "a try that is over, never started",
    "a try that runs",
    "another deployment",
    "a test whose process is dead",
)
VOLUMES = ("our deployment", "a run that is over", "a test whose process is dead")


class Scene:
    """A project with a scheduler, and the foreign things beside it."""

    def __init__(self, project: CliProject, base_image: str) -> None:
        self.project = project
        self.app = App(open_project(project.folder, project.environment))
        self.client: DockerClient = docker.from_env()
        self.base_image = base_image
        self.containers: dict[str, Container] = {}
        self.volumes: dict[str, str] = {}
        self.before: dict[str, str] = {}
        self.shown: dict[str, str] = {}  #: what `containers` said would be done, while no scheduler ran

    def attempt(self, dag_id: str) -> Try:
        """The newest try of a DAG's task `t`."""
        with self.app.store() as store:
            (run,) = self.project.json("runs", "list", dag_id, "--limit", "1")
            return store.tries(TaskKey(dag_id, run["run_id"], "t"))[-1]

    def looks(self, name: str) -> str:
        """How a container stands: state and, so that a start in between shows, since when."""
        container = self.containers[name]
        container.reload()
        return (
            f"{container.status} {container.attrs['State']['StartedAt']} {container.attrs['State']['FinishedAt']}"
        )

    def make(self) -> None:
        """All foreign things, some of them ended or never started."""
        labels = self._labels()
        own = self.attempt("own").spec.image
        for name in CONTAINERS:
            image = own if name == "run from our image" else self.base_image
            self.containers[name] = self.client.containers.create(
                image, ["sleep", "600"], labels=dict(labels[name])
            )
        for name in CONTAINERS:
            if not name.endswith("never started"):
                self.containers[name].start()
        self.containers["a try that is over, exited"].kill()
        self.before = {name: self.looks(name) for name in CONTAINERS}
        for name, marks in self._volume_labels().items():
            self.volumes[name] = self.client.volumes.create(
                labels=dict(marks), name=f"foreign-{secrets.token_hex(4)}"
            ).name

    def clear(self) -> None:
        for container in self.containers.values():
            with suppress(NotFound):
                container.remove(force=True, v=True)
        for name in self.volumes.values():
            with suppress(NotFound):
                self.client.volumes.get(name).remove()
        for image in self.client.images.list("orchestrator/own"):
            self.client.images.remove(image.id, force=True)
        self.client.close()

    def look_at_what_is_kept(self) -> None:
        """As the scheduler does once a minute, with no time for anything to be kept."""
        engine = self.app.engine()
        now = {RunState.SUCCESS: timedelta(0), RunState.FAILED: timedelta(0)}
        with self.app.store() as store:
            Keeping(engine, store, store.deployment(), volumes=now, clock=self.app.clock).look()
        engine.close()

    def _labels(self) -> Mapping[str, Mapping[str, str]]:
        over, runs = self.attempt("own").spec.labels, self.attempt("gated").spec.labels
        owner = {"orchestrator.owner": _dead_process()}
        tested = {"orchestrator.deployment": DeploymentId(f"{self.app.trials_id()}t0000")}
        return {
            "run from our image": {},
            "our deployment and an unknown try": over | {"orchestrator.try_id": "0" * 16},
            "a try that is over": over,
            "a try that is over, exited": over,
            "a try that is over, never started": over,
            "a try that runs": runs,
            "another deployment": over | {"orchestrator.deployment": "00000000"},
            "a test whose process is dead": over | owner | tested,
        }

    def _volume_labels(self) -> Mapping[str, Mapping[str, str]]:
        attempt = self.attempt("own")
        (mount,) = (mount for mount in attempt.spec.mounts if mount.target == "/data")
        owner = {"orchestrator.owner": _dead_process()}
        tested = {"orchestrator.deployment": f"{self.app.trials_id()}t0000"}
        ours = {"orchestrator.deployment": attempt.spec.labels["orchestrator.deployment"]}
        return dict(zip(VOLUMES, (ours, mount.labels, mount.labels | owner | tested), strict=True))


def _dead_process() -> str:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = identity(process.pid)
        process.kill()
    return found


@pytest.fixture(scope="module")
def scene(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """After everything that might have touched them."""
    project = CliProject(tmp_path_factory.mktemp("beside"))
    for dag_id, arguments in (("gated", _GATED), ("own", _OWN)):
        project.write(f"{dag_id}.py", dag_file(dag_id, arguments))
    project.write("sound.py", SOUND)
    (project.folder / "task-images" / "own").mkdir(parents=True)
    (project.folder / "task-images" / "own" / "Dockerfile").write_text(f"FROM {base_image}\n")
    project.ok("db", "upgrade")
    scene = Scene(project, base_image)
    try:
        _play(scene)
        yield scene
    finally:
        scene.clear()


def _play(scene: Scene) -> None:
    project = scene.project
    with _scheduler(project) as scheduler:
        project.wait_dags({"gated", "own", "sound"})
        project.ok("dags", "trigger", "own")
        project.ok("runs", "watch", "own")
        project.wait_run("own")
        project.ok("dags", "trigger", "gated")
        with project.start("tasks", "logs", "gated", "t", "--follow") as log:
            log.wait_line("begun")
        scene.make()
        scheduler.send(signal.SIGTERM)
        assert scheduler.end() == 0
    scene.shown = {row["name"]: row["next"] for row in project.json("containers")}
    with _scheduler(project):  # which lists all that carries our labels, and adopts
        scene.look_at_what_is_kept()
        project.run("doctor")
        project.ok("dags", "test", "sound")
        project.ok("dags", "trigger", "sound")
        project.ok("runs", "watch", "sound")
        scene.client.containers.get(scene.attempt("gated").spec.name).exec_run(["touch", "/gate"])
        project.ok("runs", "watch", "gated")
        project.wait_run("gated")
        project.wait_run("sound")


def _scheduler(project: CliProject) -> Started:
    started = Started(command("scheduler"), project.folder, project.environment)
    started.wait_line("engine.connected")
    return started


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_foreign_container_stays_as_it_is(name: str, scene: Scene) -> None:
    assert scene.looks(name) == scene.before[name]


@pytest.mark.parametrize("name", VOLUMES)
def test_a_foreign_volume_stays(name: str, scene: Scene) -> None:
    assert scene.client.volumes.get(scene.volumes[name]).name == scene.volumes[name]


def test_beforehand_each_is_shown_as_left_alone_and_what_is_ours_as_followed(scene: Scene) -> None:
    deployment = scene.app.deployment()
    imitations = {
        container.name
        for container in scene.containers.values()
        if container.labels.get("orchestrator.deployment") == deployment
    }
    assert len(imitations) == 5
    assert scene.shown == dict.fromkeys(imitations, "leave") | {scene.attempt("gated").spec.name: "follow"}


def test_what_is_ours_is_gone_all_the_same(scene: Scene) -> None:
    foreign = {container.name for container in scene.containers.values()}
    assert set(scene.project.containers()) <= foreign
    (mount,) = (mount for mount in scene.attempt("own").spec.mounts if mount.target == "/data")
    assert mount.source not in {volume.name for volume in scene.client.volumes.list()}


def test_a_run_beside_an_imitation_of_its_container_has_its_own_outcome(scene: Scene) -> None:
    attempt = scene.attempt("gated")
    assert (attempt.adopted, attempt.exit is not None and attempt.exit.exit_code) == (1, 0)
    key = RunKey(attempt.key.task.dag_id, attempt.key.task.run_id)
    assert scene.project.ok("tasks", "logs", key.dag_id, "t", key.run_id).stdout == "begun\nended\n"
