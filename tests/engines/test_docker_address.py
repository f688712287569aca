import hashlib
import json
import socket
from pathlib import Path

import pytest

from orchestrator.engines.docker.address import Address, TlsFiles, find_address, known_sockets
from orchestrator.errors import EngineUnavailableError, SettingsError


def write_context(docker: Path, name: str, host: str, *, skip_verify: bool = False) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = docker / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip_verify}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    return docker / "contexts" / "tls" / digest / "docker"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".docker").mkdir()
    return tmp_path


def test_the_setting_comes_before_the_environment(home: Path) -> None:
    found = find_address("tcp://a:1", {"DOCKER_HOST": "tcp://b:2", "HOME": str(home)})
    assert found.address == Address(url="tcp://a:1")
    assert [attempt.source for attempt in found.attempts] == ["setting engine.address"]


def test_docker_host_comes_before_the_context(home: Path) -> None:
    found = find_address("", {"DOCKER_HOST": "ssh://me@far:22", "DOCKER_CONTEXT": "other", "HOME": str(home)})
    assert found.address == Address(url="ssh://me@far:22")


def test_the_current_context_is_used(home: Path) -> None:
    (home / ".docker" / "config.json").write_text('{"currentContext": "colima"}')
    write_context(home / ".docker", "colima", "unix:///x/colima.sock")
    found = find_address("", {"HOME": str(home)})
    assert found.address == Address(url="unix:///x/colima.sock")
    assert found.attempts[0].source == "docker context 'colima'"


def test_docker_context_in_the_environment_beats_the_configured_one(home: Path) -> None:
    (home / ".docker" / "config.json").write_text('{"currentContext": "colima"}')
    write_context(home / ".docker", "far", "ssh://far")
    found = find_address("", {"HOME": str(home), "DOCKER_CONTEXT": "far"})
    assert found.address == Address(url="ssh://far")


def test_a_context_brings_its_certificates(home: Path) -> None:
    certificates = write_context(home / ".docker", "far", "tcp://far:2376", skip_verify=True)
    certificates.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (certificates / name).touch()
    found = find_address("", {"HOME": str(home), "DOCKER_CONTEXT": "far"})
    assert found.address is not None
    assert found.address.tls == TlsFiles(
        ca=str(certificates / "ca.pem"),
        certificate=str(certificates / "cert.pem"),
        key=str(certificates / "key.pem"),
        verify=False,
    )


def test_the_default_context_means_the_known_sockets(home: Path) -> None:
    (home / ".docker" / "config.json").write_text('{"currentContext": "default"}')
    found = find_address("", {"HOME": str(home)})
    assert {attempt.source for attempt in found.attempts} == {"known socket"}


def test_a_context_that_does_not_exist_is_an_error(home: Path) -> None:
    with pytest.raises(SettingsError, match="'gone' does not exist"):
        find_address("", {"HOME": str(home), "DOCKER_CONTEXT": "gone"})


def test_a_broken_docker_configuration_is_named(home: Path) -> None:
    (home / ".docker" / "config.json").write_text("{")
    with pytest.raises(SettingsError, match=r"config\.json cannot be read"):
        find_address("", {"HOME": str(home)})


@pytest.mark.parametrize("url", ["engine", "http://x", "unix://", "tcp://", "npipe:////./pipe/docker"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="no engine address"):
        find_address(url, {})


@pytest.mark.parametrize(
    ("environment", "tls"),
    [
        ({}, None),
        ({"DOCKER_TLS_VERIFY": "1"}, TlsFiles(verify=True)),
        ({"DOCKER_CERT_PATH": "/none"}, TlsFiles(verify=False)),
        ({"DOCKER_CERT_PATH": "/none", "DOCKER_TLS_VERIFY": ""}, TlsFiles(verify=False)),
        ({"DOCKER_CERT_PATH": "/none", "DOCKER_TLS_VERIFY": "1"}, TlsFiles(verify=True)),
    ],
)
def test_tls_variables_mean_what_they_mean_to_docker(environment: dict[str, str], tls: TlsFiles | None) -> None:
    found = find_address("", {"DOCKER_HOST": "tcp://far:2376", **environment})
    assert found.address == Address(url="tcp://far:2376", tls=tls)


def test_tls_is_for_tcp_only() -> None:
    found = find_address("unix:///x.sock", {"DOCKER_TLS_VERIFY": "1"})
    assert found.address == Address(url="unix:///x.sock", tls=None)


def test_known_sockets_follow_home_and_runtime_folder() -> None:
    paths = [str(path) for path in known_sockets({"HOME": "/h", "XDG_RUNTIME_DIR": "/r"})]
    assert paths == [
        "/var/run/docker.sock",
        "/h/.docker/run/docker.sock",
        "/h/.colima/default/docker.sock",
        "/h/.orbstack/run/docker.sock",
        "/h/.rd/docker.sock",
        "/r/docker.sock",
        "/r/podman/podman.sock",
    ]


def test_the_first_socket_that_answers_is_taken_and_the_others_explained(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, dead, alive, absent = (home / name for name in ("file", "dead.sock", "alive.sock", "absent.sock"))
    file.touch()
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(dead))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(alive))
        listening.listen()
        monkeypatch.setattr(
            "orchestrator.engines.docker.address.known_sockets", lambda _: (absent, file, dead, alive)
        )
        found = find_address("", {})
    assert found.require() == Address(url=f"unix://{alive}")
    problems = [attempt.problem for attempt in found.attempts]
    assert problems == ["does not exist", "not a socket", "nothing answers (Connection refused)", ""]


def test_where_nothing_answers_the_error_tells_all_that_was_tried(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.engines.docker.address.known_sockets", lambda _: (home / "absent.sock",))
    with pytest.raises(EngineUnavailableError, match=r"absent\.sock: does not exist") as error:
        find_address("", {}).require()
    assert "doctor --fix" in error.value.fix
