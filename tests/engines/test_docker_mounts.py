"""Mounts on a real engine: every kind and option, and who may write where."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argument_bench import ArgumentBench
from docker.types import Mount as DockerMount

from orchestrator import Mount
from orchestrator.errors import LaunchRefusedError

pytestmark = pytest.mark.engine

#: Writes as who it is, and tells what the others wrote.
SHARE = "touch /data/$(id -u) && ls /data | tr '\\n' ' '"


@pytest.fixture
def bench(argument_bench: ArgumentBench) -> ArgumentBench:
    return argument_bench


@pytest.fixture
def foreign_volume(bench: ArgumentBench) -> Iterator[str]:
    """A volume that somebody else made."""
    name = f"mine-{bench.deployment}"
    bench.ask("POST", "/volumes/create", {"Name": name})
    yield name
    bench.clear()
    bench.ask("DELETE", f"/volumes/{name}")


@pytest.mark.parametrize("mount", [Mount.run("/data"), Mount.dag("/data"), Mount("shared-{{ ds }}", "/data")])
@pytest.mark.parametrize("read_only", [False, True])
def test_tasks_of_any_user_share_a_volume(bench: ArgumentBench, mount: Mount, *, read_only: bool) -> None:
    if mount.spec.source:
        mount = Mount(f"shared-{bench.deployment}", "/data")
    assert bench.run(SHARE, user=1234, mounts=[mount], read_only=read_only) == "1234"
    assert bench.run(SHARE, user="root", mounts=[mount], read_only=read_only) == "0 1234"
    assert bench.run(SHARE, user=99, mounts=[mount]) == "0 1234 99"


def test_volumes_of_ours_tell_whose_they_are(bench: ArgumentBench) -> None:
    named = Mount(f"named-{bench.deployment}", "/c", labels={"team": "data"})
    bench.create(mounts=[Mount.run("/a"), Mount.dag("/b"), named])
    found = {name.split("-")[-2]: labels for name, labels in bench.volumes.items()}
    ours = {"orchestrator.deployment": bench.deployment}
    assert found["run"] == ours | {
        "orchestrator.kind": "run-volume",
        "orchestrator.dag_id": "d",
        "orchestrator.run_id": "r",
    }
    assert found["dag"] == ours | {"orchestrator.kind": "dag-volume", "orchestrator.dag_id": "d"}
    assert found["named"] == ours | {"orchestrator.kind": "volume", "team": "data"}


def test_a_volume_that_somebody_else_made_is_left_as_it_is(bench: ArgumentBench, foreign_volume: str) -> None:
    script = "touch /data/x 2>/dev/null || echo refused; stat -c %a /data"
    assert bench.run(script, user=1234, mounts=[f"{foreign_volume}:/data"]) == "refused\n755"
    assert foreign_volume not in bench.volumes


def test_what_a_task_made_of_a_volume_stays(bench: ArgumentBench) -> None:
    bench.run("chmod 700 /data", mounts=[Mount.run("/data")])
    assert bench.run("stat -c %a /data", mounts=[Mount.run("/data")]) == "700"


def test_a_read_only_mount_cannot_be_written(bench: ArgumentBench, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    mounts = [Mount("./in", "/in", type="bind", read_only=True), Mount.run("/run-volume", read_only=True)]
    script = "for folder in /in /run-volume; do touch $folder/x 2>/dev/null || echo refused; done"
    assert bench.run(script, mounts=mounts) == "refused\nrefused"


@pytest.mark.parametrize("form", ["text", "mount", "mapping", "docker"])
def test_a_folder_of_the_project_is_mounted_however_it_is_written(
    bench: ArgumentBench, tmp_path: Path, form: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("here")
    forms: dict[str, Any] = {
        "text": "./in:/in:ro",
        "mount": Mount("./in", "/in", type="bind"),
        "mapping": {"source": "./in", "target": "/in", "type": "bind"},
        "docker": DockerMount("/in", "./in", type="bind", propagation="rprivate"),
    }
    assert bench.run("cat /in/a", mounts=[forms[form]]) == "here"


@pytest.mark.parametrize("source", ["./missing", "/nowhere/at/all"])
def test_a_folder_that_is_missing_is_told_and_not_made(bench: ArgumentBench, tmp_path: Path, source: str) -> None:
    with pytest.raises(LaunchRefusedError, match="bind source path does not exist") as refused:
        bench.create(mounts=[Mount(source, "/in", type="bind")])
    assert refused.value.code == "mount_missing"
    assert not (tmp_path / source).exists()


def test_memory_has_the_size_and_mode_that_were_asked_for(bench: ArgumentBench) -> None:
    mount = Mount(None, "/t", type="tmpfs", tmpfs_size="2m", tmpfs_mode=0o700)
    said = bench.run("df -k --output=size /t | tail -n 1 | tr -d ' '; stat -c %a /t", mounts=[mount])
    assert said == "2048\n700"


def test_a_new_volume_is_filled_with_what_the_image_has_there_unless_told_not_to(bench: ArgumentBench) -> None:
    for no_copy, there in ((False, "yes"), (True, "no")):
        mount = Mount(f"etc-{no_copy}-{bench.deployment}", "/etc/apt", no_copy=no_copy)
        assert bench.run("ls /etc/apt | grep -q . && echo yes || echo no", mounts=[mount]) == there


def test_a_volume_may_have_a_driver_with_options(bench: ArgumentBench) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=3m"}
    mount = Mount(f"mem-{bench.deployment}", "/t", driver_config={"name": "local", "options": options})
    assert bench.run("df -k --output=size /t | tail -n 1 | tr -d ' '", mounts=[mount]) == "3072"


def test_how_mounts_spread_is_as_it_was_asked_for(bench: ArgumentBench, tmp_path: Path) -> None:
    mount = Mount(str(tmp_path), "/in", type="bind", propagation="rslave", consistency="cached")
    (told,) = bench.inspect(bench.create(mounts=[mount]))["HostConfig"]["Mounts"]
    assert told["BindOptions"] == {"Propagation": "rslave"}
    assert told["Consistency"] == "cached"


def test_a_folder_in_a_volume_is_mounted_or_refused_by_what_the_engine_speaks(bench: ArgumentBench) -> None:
    mounts = [Mount(f"parts-{bench.deployment}", "/data", subpath="a")]
    if tuple(map(int, bench.engine.capacity().api_version.split("."))) < (1, 45):
        with pytest.raises(LaunchRefusedError, match=r"needs an engine that speaks API 1\.45") as refused:
            bench.create(mounts=mounts)
        assert refused.value.fix
        return
    bench.run("mkdir /data/a && echo here > /data/a/x", mounts=[Mount(f"parts-{bench.deployment}", "/data")])
    assert bench.run("cat /data/x", mounts=mounts) == "here"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("user", ["root", "1234"])
def test_temporary_files_have_a_volume_that_goes_with_the_container(
    bench: ArgumentBench, user: str, *, read_only: bool
) -> None:
    container = bench.create(
        script='echo x > "$AIRFLOW_TMP_DIR/a" && echo "$AIRFLOW_TMP_DIR"',
        tty=True,
        mount_tmp_dir=True,
        user=user,
        read_only=read_only,
    )
    assert bench.start(container) == "/tmp/airflow"
    (volume,) = (
        each["Name"] for each in bench.inspect(container)["Mounts"] if each["Destination"] == "/tmp/airflow"
    )
    assert volume in bench.volumes
    bench.clear()
    assert volume not in bench.volumes


def test_temporary_files_may_be_elsewhere(bench: ArgumentBench) -> None:
    assert bench.run('echo "$AIRFLOW_TMP_DIR"', mount_tmp_dir=True, tmp_dir="/scratch") == "/scratch"
    assert bench.run('echo "-$AIRFLOW_TMP_DIR"', tmp_dir="/scratch") == "-"
