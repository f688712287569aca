"""A machine that is not as it should be: no engine, an engine that lets nobody in, a home that cannot be written, a
full disk. Each command says so and what to do, and fails; what runs goes on by itself when all is well again."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import pytest
from cli_project import CliProject, Started, command
from mistakes import SOUND, dag_file
from unprivileged import NOBODY, as_nobody, need_root

pytestmark = pytest.mark.engine

#: Bytes: room for a database and some logs.
_SMALL = 8 << 20
#: A task that waits in its container until it is told to go on.
_GATED = "script='echo begun; until [ -e /gate ]; do sleep 0.05; done; echo ended'"


def project_in(folder: Path, **environment: str) -> CliProject:
    """A project with a DAG that is sound and one that waits."""
    project = CliProject(folder, environment)
    project.write("sound.py", SOUND)
    project.write("gated.py", dag_file("gated", _GATED))
    return project


# --- an engine that lets nobody in ------------------------------------------------------------------------------


@pytest.fixture
def outsider(base_image: str) -> Iterator[CliProject]:
    """A project of a user who is in no group, where that user may go: other tests' folders are closed to others."""
    need_root()
    with tempfile.TemporaryDirectory(prefix="orchestrator-tests-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder, "user")
        project = project_in(Path(folder, "project"), HOME=str(home))
        home.mkdir()
        for path in (home, project.folder):
            os.chown(path, NOBODY, NOBODY)
        yield project


@pytest.mark.parametrize("words", ["dags test sound", "images list"])
@pytest.mark.parametrize("named", [{}, {"DOCKER_HOST": "unix:///var/run/docker.sock"}])
def test_who_may_not_use_the_socket_is_told_how_to_be_let_in(
    outsider: CliProject, words: str, named: dict[str, str]
) -> None:
    said = as_nobody(outsider.folder, outsider.environment | named, *words.split())
    assert (said.code, said.stdout) == (1, "")
    assert said.stderr.startswith("error: you may not use the Docker engine at unix:///var/run/docker.sock: ")
    assert "fix: add your user to the group that owns the socket: sudo usermod -aG docker" in said.stderr


def test_doctor_tells_it_too_and_counts_it_once(outsider: CliProject) -> None:
    said = as_nobody(outsider.folder, outsider.environment, "doctor")
    assert said.code == 1
    told = [line.partition(":")[0] for line in said.stderr.splitlines()]
    assert [line for line in told if line.startswith("FAIL")] == ["FAIL engine", "FAIL database"]
    assert {"skip clock", "skip base image", "skip limits", "skip data roots"} <= set(told)


def test_a_docker_configuration_that_is_closed_is_named(outsider: CliProject) -> None:
    closed = outsider.folder / "closed"
    closed.mkdir(mode=0o700)
    environment = outsider.environment | {"DOCKER_CONFIG": str(closed)}
    said = as_nobody(outsider.folder, environment, "dags", "test", "sound")
    assert (said.code, said.stdout) == (1, "")
    assert f"error: {closed}/config.json cannot be read: " in said.stderr
    assert "or DOCKER_CONFIG to another folder" in said.stderr


@pytest.mark.parametrize("words", ["db upgrade", "up", "dags test sound"])
def test_a_home_of_somebody_else_is_named_and_nothing_else_is_tried(outsider: CliProject, words: str) -> None:
    outsider.home.mkdir(mode=0o755)
    said = as_nobody(outsider.folder, outsider.environment, *words.split())
    assert (said.code, said.stdout) == (1, "")
    assert f"error: the home {outsider.home} cannot be written: Permission denied" in said.stderr
    assert "fix: make it writable for your user, or set ORCHESTRATOR_HOME" in said.stderr


# --- an engine that comes late ----------------------------------------------------------------------------------


def test_an_engine_that_comes_late_finds_its_work_waiting(base_image: str, tmp_path: Path) -> None:
    socket = tmp_path / "engine.sock"
    project = project_in(tmp_path / "project", DOCKER_HOST=f"unix://{socket}")
    project.ok("db", "upgrade")
    with Started(command("scheduler"), project.folder, project.environment) as scheduler:
        scheduler.wait_line("engine.disconnected")
        project.wait_dags({"sound"})
        project.ok("dags", "trigger", "sound")
        (first, _) = project.json("runs", "show", "sound")["tasks"]
        assert (first["state"], first["tries"]) == ("queued", 0)
        socket.symlink_to("/var/run/docker.sock")
        assert project.run("runs", "watch", "sound").code == 0
        assert [task["tries"] for task in project.json("runs", "show", "sound")["tasks"]] == [1, 1]
        project.wait_run("sound")


# --- a home that cannot be written ------------------------------------------------------------------------------


@pytest.fixture
def mounted(base_image: str, tmp_path: Path) -> Iterator[CliProject]:
    """A project whose home is a small disk of its own."""
    need_root()
    project = project_in(tmp_path)
    project.home.mkdir()
    _mount(project, f"size={_SMALL}")
    try:
        yield project
    finally:
        subprocess.run(["umount", "--lazy", project.home], check=True)


@pytest.mark.parametrize("words", ["db upgrade", "up", "dags test sound"])
def test_a_read_only_home_is_named(mounted: CliProject, words: str) -> None:
    _mount(mounted, "remount,ro")
    said = mounted.run(*words.split())
    assert (said.code, said.stdout) == (1, "")
    assert f"error: the home {mounted.home} cannot be written: Read-only file system" in said.stderr
    assert "fix: make it writable for your user, or set ORCHESTRATOR_HOME" in said.stderr


def test_what_a_home_held_before_it_was_read_only_is_there_afterwards(mounted: CliProject) -> None:
    mounted.ok("db", "upgrade")
    deployment = (mounted.home / "deployment").read_text()
    _mount(mounted, "remount,ro")
    for words in ("db upgrade", "up", "scheduler", "dags list", "dags trigger sound"):
        said = mounted.run(*words.split())
        assert said.code != 0
        assert f"{mounted.home}/orchestrator.db says: " in said.stderr
        assert "set ORCHESTRATOR_HOME to another folder" in said.stderr
    _mount(mounted, "remount,rw")
    mounted.ok("dags", "list")
    assert (mounted.home / "deployment").read_text() == deployment


# --- a full disk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["db upgrade", "up", "dags test sound"])
def test_a_full_disk_is_told_with_what_to_do(mounted: CliProject, words: str) -> None:
    with _full(mounted):
        said = mounted.run(*words.split())
    assert (said.code, said.stdout) == (1, "")
    assert "full" in said.stderr or "No space left on device" in said.stderr
    assert "fix: free some space" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_disk_that_fills_up_loses_nothing_and_work_goes_on_when_there_is_room(mounted: CliProject) -> None:
    mounted.ok("db", "upgrade")
    with Started(command("scheduler"), mounted.folder, mounted.environment) as scheduler:
        scheduler.wait_line("scheduler.running")
        mounted.wait_dags({"sound", "gated"})
        mounted.ok("dags", "trigger", "gated")
        with mounted.start("tasks", "logs", "gated", "t", "--follow") as log:
            log.wait_line("begun")
        with _full(mounted):
            refused = mounted.run("dags", "trigger", "sound")
            assert (refused.code, "fix: free some space" in refused.stderr) == (1, True)
            _open_gate(mounted)
            scheduler.wait_line("database.away")
        assert mounted.run("runs", "watch", "gated").code == 0
        assert mounted.ok("tasks", "logs", "gated", "t").stdout == "begun\nended\n"
        (task,) = mounted.json("runs", "show", "gated")["tasks"]
        assert (task["state"], task["tries"]) == ("success", 1)
        mounted.ok("dags", "trigger", "sound")
        assert mounted.run("runs", "watch", "sound").code == 0
        mounted.wait_run("gated")
        mounted.wait_run("sound")


def _mount(project: CliProject, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", project.home], check=True)


@contextmanager
def _full(project: CliProject) -> Iterator[None]:
    """Not a byte more goes onto the disk of the home."""
    filler = project.home / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def _open_gate(project: CliProject) -> None:
    client = docker.from_env()
    (name,) = project.containers()
    client.containers.get(name).exec_run(["touch", "/gate"])
    client.close()
