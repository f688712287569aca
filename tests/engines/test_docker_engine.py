"""What the Docker adapter does beyond the contract, on a real engine."""

import os
import selectors
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from machine import Leftovers
from scripted_engine import Relay

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address, TlsFiles
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import EngineUnavailableError
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, ContainerId, DeploymentId
from orchestrator.ports import ByteStream
from orchestrator.spec.container import ContainerSpec, EngineEventKind, ExitFacts, InputFile

pytestmark = pytest.mark.engine

PATIENCE = 60


def read(stream: ByteStream) -> bytes:
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (chunk := stream.recv()) != b"":
            if chunk is None:
                assert selector.select(PATIENCE)
            else:
                data += chunk
    stream.close()
    return data


class Bench:
    """Runs one container at a time and removes them all."""

    def __init__(self, engine: DockerEngine, deployment: DeploymentId, image: str) -> None:
        self.engine, self.deployment, self._image = engine, deployment, image
        self.made: list[ContainerId] = []

    def create(self, shell: str, **changes: Any) -> ContainerId:
        labels = {DEPLOYMENT_LABEL: self.deployment, KIND_LABEL: "try"}
        name = f"orc-{self.deployment}-{len(self.made)}"
        fields = {"network": "none", "command": ("sh", "-c", shell), **changes}
        spec = ContainerSpec(name=name, image=self._image, image_name="base", labels=labels, **fields)
        self.made.append(self.engine.create(spec))
        return self.made[-1]

    def run(self, shell: str, files: tuple[InputFile, ...] = (), **changes: Any) -> tuple[str, ContainerId]:
        """What it printed (with a tty: no frames), and its id."""
        container = self.create(shell, tty=True, **changes)
        stream = self.engine.attach_logs(container)
        if files:
            self.engine.put_files(container, files)
        self.engine.start(container)
        return read(stream).decode().replace("\r", ""), container


@pytest.fixture
def bench(docker_engine: DockerEngine, engine_deployment: DeploymentId, base_image: str) -> Iterator[Bench]:
    bench = Bench(docker_engine, engine_deployment, base_image)
    yield bench
    for container in bench.made:
        docker_engine.remove(container, force=True)


@pytest.fixture
def inspect(engine_address: Address) -> Iterator[Callable[[ContainerId], dict[str, Any]]]:
    client = Client(lambda: engine_address, 60)
    yield lambda container: msgspec.json.decode(client.call("GET", f"/containers/{container}/json").body)
    client.close()


def test_the_engines_own_files_are_read_only_and_its_masked_paths_stay_masked(
    bench: Bench, inspect: Callable[[ContainerId], dict[str, Any]]
) -> None:
    said, container = bench.run(
        "for f in /etc/hosts /etc/resolv.conf /etc/hostname /proc/sys/kernel/hostname; do"
        " (echo x >> $f) 2>/dev/null && echo $f is writable; done; echo done",
        network="bridge",
    )
    assert said == "done\n"
    assert "/proc/kcore" in inspect(container)["HostConfig"]["MaskedPaths"]


def test_nobody_gains_privileges(bench: Bench) -> None:
    said, _ = bench.run("grep NoNewPrivs /proc/self/status")
    assert said.split() == ["NoNewPrivs:", "1"]


def test_the_engines_host_has_a_name_inside(bench: Bench) -> None:
    said, _ = bench.run("grep -c 'host.docker.internal$' /etc/hosts", network="bridge")
    assert said == "1\n"


def test_limits_reach_the_container(bench: Bench, inspect: Callable[[ContainerId], dict[str, Any]]) -> None:
    limits = {"cpus": 0.5, "memory": 64 * 2**20, "memory_swap": 64 * 2**20, "pids_limit": 20, "shm_size": 2**20}
    container = bench.create("true", **limits)
    told = inspect(container)["HostConfig"]
    assert told["NanoCpus"] == 500_000_000
    assert (told["Memory"], told["MemorySwap"], told["PidsLimit"], told["ShmSize"]) == (2**26, 2**26, 20, 2**20)
    assert told["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "100g"}}
    assert told["AutoRemove"] is False


def test_a_container_over_its_memory_is_told_as_out_of_memory(bench: Bench) -> None:
    _, container = bench.run(
        "exec python3 -c 'x = bytearray(200_000_000)'", memory=32 * 2**20, memory_swap=32 * 2**20
    )
    facts = bench.engine.inspect(container).exit
    assert isinstance(facts, ExitFacts)
    assert (facts.exit_code, facts.oom_killed) == (137, True)


def test_files_arrive_with_owner_and_mode(bench: Bench) -> None:
    files = (
        InputFile(path="/in", mode=0o1777),
        InputFile(path="/in/secret", data=b"s", mode=0o400, uid=1000, gid=5),
        InputFile(path="/new/deep/file", data=b"f"),
        InputFile(path="/tmp/" + "n" * 150, data=b"long name"),
    )
    said, _ = bench.run("stat -c '%a %u %g' /in /in/secret /new/deep/file; cat /in/secret /tmp/nnn*", files)
    assert said == "1777 0 0\n400 1000 5\n644 0 0\nslong name"


def test_a_user_other_than_root_leaves_a_result_in_tmp(bench: Bench) -> None:
    said, container = bench.run("id -u; printf 42 > /tmp/result.json", user="1000:1000")
    assert said == "1000\n"
    assert bench.engine.read_file(container, "/tmp/result.json", 100) == b"42"


def test_a_read_only_container_leaves_its_result_in_an_anonymous_volume_that_goes_with_it(
    bench: Bench, engine_address: Address
) -> None:
    leftovers = Leftovers(engine_address, bench.deployment)
    _, container = bench.run("printf 42 > /out/result.json; touch /x", read_only=True, volumes=("/out",))
    assert bench.engine.read_file(container, "/out/result.json", 100) == b"42"
    assert bench.engine.inspect(container).exit != ExitFacts(exit_code=0)
    assert len(leftovers.volumes()) == 1
    bench.engine.remove(container)
    assert leftovers.volumes() == []
    leftovers.close()


def test_a_running_containers_file_can_be_read(bench: Bench) -> None:
    container = bench.create("printf 1 > /now; echo there; sleep 600")
    stream = bench.engine.attach_logs(container)
    bench.engine.start(container)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while stream.recv() is None:
            assert selector.select(PATIENCE)
    stream.close()
    assert bench.engine.read_file(container, "/now", 1) == b"1"


def test_a_large_file_is_not_read_beyond_the_limit_and_within_it_is_whole(bench: Bench) -> None:
    _, container = bench.run("head -c 3000000 /dev/zero | tr '\\0' z > /big")
    assert bench.engine.read_file(container, "/big", 3_000_000) == b"z" * 3_000_000


def test_the_default_entrypoint_can_be_taken_away(bench: Bench) -> None:
    said, _ = bench.run("", entrypoint=(), command=("echo", "plain"))
    assert said == "plain\n"


# --- every way to an engine ---------------------------------------------------------------------------


def tls_files(folder: Path) -> TlsFiles:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    return TlsFiles(ca=certificate, certificate=certificate, key=key)


SSH = """#!{python}
import os, socket, sys, threading
assert sys.argv[-5:] == ["--", "far", "docker", "system", "dial-stdio"], sys.argv
assert sys.argv[sys.argv.index("-l") + 1] == "me"
engine = socket.socket(socket.AF_UNIX)
engine.connect({path!r})
def up():
    while data := os.read(0, 65536):
        engine.sendall(data)
    engine.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := engine.recv(65536):
    os.write(1, data)
"""


@pytest.fixture(params=["tcp", "tls", "ssh"])
def way(
    request: pytest.FixtureRequest, engine_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Address]:
    if engine_address.parts.scheme != "unix":
        pytest.skip("the engine is not on a socket of this machine")
    if request.param == "ssh":
        program = tmp_path / "ssh"
        program.write_text(SSH.format(python=sys.executable, path=engine_address.parts.path))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        yield Address(url="ssh://me@far:2222")
        return
    tls, context = None, None
    if request.param == "tls":
        tls = tls_files(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate or "", tls.key)
        context.load_verify_locations(tls.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    relay = Relay(engine_address.parts.path, context)
    yield Address(url=f"tcp://127.0.0.1:{relay.port}", tls=tls)
    relay.close()


def test_every_way_to_an_engine_carries_calls_streams_and_events(
    way: Address, engine_deployment: DeploymentId, base_image: str
) -> None:
    engine = DockerEngine(lambda: way, SystemClock())
    try:
        bench = Bench(engine, engine_deployment, base_image)
        events = engine.events(engine_deployment)
        assert next(events).kind is EngineEventKind.CONNECTED
        said, container = bench.run("seq 1 40000; printf 7 > /result")
        expected = "".join(f"{n}\n" for n in range(1, 40001))
        assert said == expected
        assert read(engine.follow_logs(container)).decode().replace("\r", "") == expected
        assert b"".join(engine.read_logs(container)).decode().replace("\r", "") == expected
        assert engine.read_file(container, "/result", 10) == b"7"
        engine.remove(container)
        kinds = [next(events).kind.value for _ in range(4)]
        assert kinds == ["create", "start", "die", "destroy"]
    finally:
        engine.close()


def test_a_wrong_certificate_is_refused(tmp_path: Path, engine_address: Address) -> None:
    if engine_address.parts.scheme != "unix":
        pytest.skip("the engine is not on a socket of this machine")
    files = tls_files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate or "", files.key)
    relay = Relay(engine_address.parts.path, context)
    address = Address(url=f"tcp://127.0.0.1:{relay.port}", tls=TlsFiles())
    engine = DockerEngine(lambda: address, SystemClock())
    with pytest.raises(EngineUnavailableError, match="certificate"):
        engine.ping()
    engine.close()
    relay.close()
