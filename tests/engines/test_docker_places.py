"""Paths of ours as the engine finds them: on one machine, in a container, and where it finds nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.places import EnginePlaces, OwnMount, translated
from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, DeploymentId

MOUNTS = (
    OwnMount(destination="/home", source="/var/lib/docker/volumes/home/_data"),
    OwnMount(destination="/home/data", source="/srv/data"),
    OwnMount(destination="/run/memory"),
    OwnMount(destination="/", source="/root"),
)


@pytest.mark.parametrize(
    ("own", "there"),
    [
        ("/home", "/var/lib/docker/volumes/home/_data"),
        ("/home/logs/a", "/var/lib/docker/volumes/home/_data/logs/a"),
        ("/home/data/flights", "/srv/data/flights"),
        ("/home/database", "/var/lib/docker/volumes/home/_data/database"),
        ("/run/memory/x", "/root/run/memory/x"),
    ],
)
def test_the_innermost_mount_says_where_a_path_is(own: str, there: str) -> None:
    assert translated(own, MOUNTS) == there


def test_what_is_in_no_mount_is_nowhere_on_the_host() -> None:
    assert translated("/homes", MOUNTS[:2]) is None
    assert translated("/run/memory/x", MOUNTS[:3]) is None


def test_an_engine_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    gone = Address(url=f"unix://{tmp_path}/gone.sock")
    with pytest.raises(EngineUnavailableError):
        EnginePlaces(lambda: gone, DeploymentId("d")).root("flights", tmp_path)


@pytest.fixture
def client(engine_address: Address) -> Iterator[Client]:
    client = Client(lambda: engine_address, 60)
    yield client
    client.close()


@pytest.fixture
def container(client: Client, base_image: str, engine_deployment: DeploymentId, tmp_path: Path) -> Iterator[str]:
    """The id of a container that has a folder of the host, and a volume."""
    (tmp_path / "host").mkdir()
    mounts = [
        {"Type": "bind", "Source": f"{tmp_path}/host", "Target": "/home/data"},
        {"Type": "volume", "Target": "/home"},
    ]
    body = {
        "Image": base_image,
        "Cmd": ["true"],
        "Labels": {DEPLOYMENT_LABEL: engine_deployment, KIND_LABEL: "test"},
        "HostConfig": {"Mounts": mounts},
    }
    made = client.call("POST", "/containers/create", body=msgspec.json.encode(body))
    made_id = str(msgspec.json.decode(made.body)["Id"])
    yield made_id
    client.call("DELETE", f"/containers/{made_id}", {"v": "1", "force": "1"})


def mountinfo(folder: Path, container: str) -> Path:
    """What the kernel tells inside that container."""
    file = folder / "mountinfo"
    file.write_text(
        "92 76 0:73 / /dev/mqueue rw,nosuid - mqueue mqueue rw\n"
        f"94 76 254:0 /var/lib/docker/containers/{container}/hostname /etc/hostname rw - ext4 /dev/vda rw\n"
    )
    return file


def left(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.engine
def test_on_the_engine_s_own_machine_paths_are_what_they_are(
    engine_address: Address, base_image: str, engine_deployment: DeploymentId, tmp_path: Path
) -> None:
    places = EnginePlaces(lambda: engine_address, engine_deployment)
    assert places.path("/nowhere/at/all") == "/nowhere/at/all"
    assert places.root("flights", tmp_path) == str(tmp_path)
    assert left(tmp_path) == []


@pytest.mark.engine
def test_in_a_container_paths_are_those_of_its_mounts(
    engine_address: Address, container: str, engine_deployment: DeploymentId, tmp_path: Path, client: Client
) -> None:
    places = EnginePlaces(lambda: engine_address, engine_deployment, mountinfo(tmp_path, container))
    assert places.path("/home/data/flights") == f"{tmp_path}/host/flights"
    inspected = msgspec.json.decode(client.call("GET", f"/containers/{container}/json").body)
    (volume,) = (mount["Source"] for mount in inspected["Mounts"] if mount["Type"] == "volume")
    assert places.path("/home/logs") == f"{volume}/logs"
    assert places.path("/project/dags") is None


@pytest.mark.engine
def test_a_container_of_another_engine_says_nothing_here(
    engine_address: Address, engine_deployment: DeploymentId, tmp_path: Path
) -> None:
    places = EnginePlaces(lambda: engine_address, engine_deployment, mountinfo(tmp_path, "0" * 64))
    assert places.path("/home") == "/home"


@pytest.mark.engine
def test_a_root_that_the_engine_does_not_see_is_a_volume_of_the_deployment_s(
    engine_address: Address, container: str, engine_deployment: DeploymentId, tmp_path: Path, client: Client
) -> None:
    """The container's /project is in none of its mounts; and its /home/data is another folder than the one that
    stands at this path here."""
    places = EnginePlaces(lambda: engine_address, engine_deployment, mountinfo(tmp_path, container))
    assert places.root("flights", tmp_path / "host") == f"orc-{engine_deployment}-root-flights"
    assert places.root("flights", tmp_path / "host") == f"orc-{engine_deployment}-root-flights"
    reply = client.call("GET", f"/volumes/orc-{engine_deployment}-root-flights")
    labels = msgspec.json.decode(reply.body)["Labels"]
    assert labels == {DEPLOYMENT_LABEL: engine_deployment, KIND_LABEL: "root"}
    assert client.call("DELETE", f"/volumes/orc-{engine_deployment}-root-flights").status == 204


@pytest.mark.engine
def test_a_folder_of_another_machine_is_found_out_by_its_content(
    engine_address: Address, base_image: str, engine_deployment: DeploymentId, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, client: Client,
) -> None:  # fmt: skip
    """As with an engine elsewhere: it has a folder of that name, and what we write does not come up in it."""
    places = EnginePlaces(lambda: engine_address, engine_deployment)
    monkeypatch.setattr(places, "_path", lambda _client, _own: "/usr")
    assert places.root("flights", tmp_path).startswith("orc-")
    assert client.call("DELETE", f"/volumes/orc-{engine_deployment}-root-flights").status == 204
    assert left(tmp_path) == []


@pytest.mark.engine
def test_a_folder_that_we_may_not_write_is_looked_for_by_its_path(
    engine_address: Address, base_image: str, engine_deployment: DeploymentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "touch", refused)
    places = EnginePlaces(lambda: engine_address, engine_deployment)
    assert places.root("programs", Path("/usr")) == "/usr"
