"""The proxy changes nothing, sees everything, and stands still where it is told to."""

import re
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from engine_proxy import EngineProxy, Step
from http_wire import Framing, Source, read_answer, read_request
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client, read_head
from orchestrator.engines.docker.dial import dial
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, ContainerId, DeploymentId
from orchestrator.spec.container import ContainerSpec, EngineEventKind, InputFile

_LIMIT = 30


def _sent(data: bytes, cuts: list[int]) -> socket.socket:
    """A socket on which `data` arrives, cut there, and then its end."""
    ours, theirs = socket.socketpair()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})

    def send() -> None:
        with theirs:
            for start, end in pairwise(places):
                theirs.sendall(data[start:end])

    threading.Thread(target=send, daemon=True).start()
    return ours


def _chunked(parts: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*filter(None, parts), b""])


_cuts = st.lists(st.integers(min_value=0, max_value=10_000))
_bodies = st.lists(st.binary(max_size=300), max_size=5)


@given(parts=_bodies, cuts=_cuts, framing=st.sampled_from([Framing.LENGTH, Framing.CHUNKED]))
def test_a_body_ends_where_its_head_says_and_what_follows_is_the_next_head(
    parts: list[bytes], cuts: list[int], framing: Framing
) -> None:
    if framing is Framing.CHUNKED:
        said, body = b"Transfer-Encoding: chunked", _chunked(parts)
    else:
        body = b"".join(parts)
        said = b"Content-Length: %d" % len(body)
    head = b"POST /v1.41/containers/create?name=a HTTP/1.1\r\n" + said + b"\r\n\r\n"
    other = b"GET /_ping HTTP/1.1\r\n\r\n"
    with _sent(head + body + other, cuts) as sock:
        source = Source(sock, piece=64)
        first = source.head()
        request = read_request(first)
        assert first == head
        assert (request.method, request.path, request.query) == ("POST", "/containers/create", {"name": "a"})
        pieces = list(source.body(request.framing, request.length))
        assert b"".join(pieces) == body
        assert all(len(piece) <= 64 for piece in pieces)
        assert source.head() == other
        assert source.head() == b""


@given(data=st.binary(max_size=500), cuts=_cuts)
def test_lines_add_up_to_what_came(data: bytes, cuts: list[int]) -> None:
    with _sent(data, cuts) as sock:
        assert list(Source(sock).lines()) == re.findall(rb"[^\n]*\n|[^\n]+", data)


@pytest.mark.parametrize(
    ("status", "headers", "method", "framing"),
    [
        (200, "Content-Length: 3", "GET", Framing.LENGTH),
        (200, "Content-Length: 3", "HEAD", Framing.NONE),
        (204, "", "POST", Framing.NONE),
        (304, "Content-Length: 3", "POST", Framing.NONE),
        (101, "Upgrade: tcp", "POST", Framing.TO_THE_END),
        (200, "", "GET", Framing.TO_THE_END),
    ],
)
def test_an_answers_end_is_known_by_its_head_and_its_request(
    status: int, headers: str, method: str, framing: Framing
) -> None:
    request = read_request(f"{method} / HTTP/1.1\r\n\r\n".encode())
    answer = read_answer(f"HTTP/1.1 {status} X\r\n{headers}\r\n\r\n".encode(), request)
    assert answer.framing is framing


@pytest.fixture
def proxy(engine_address: Address, tmp_path: Path) -> Iterator[EngineProxy]:
    with EngineProxy(engine_address, tmp_path / "e.sock") as proxy:
        yield proxy


@pytest.fixture
def through(proxy: EngineProxy) -> Iterator[DockerEngine]:
    """The engine as it looks through the proxy."""
    engine = DockerEngine(lambda: Address(url=proxy.url), SystemClock(), timeout=_LIMIT)
    yield engine
    engine.close()


def _spec(deployment: DeploymentId, image: str, script: str) -> ContainerSpec:
    labels = {DEPLOYMENT_LABEL: deployment, KIND_LABEL: "try", "orchestrator.try_id": "0" * 16}
    return ContainerSpec(
        name=f"orc-{deployment}-proxied",
        image=image,
        image_name=image,
        command=("sh", "-ec", script),
        labels=labels,
        network="none",
    )


@pytest.mark.engine
def test_a_whole_life_goes_through_and_is_seen_in_order(
    proxy: EngineProxy, through: DockerEngine, engine_deployment: DeploymentId, base_image: str
) -> None:
    events = through.events(engine_deployment)
    assert next(events).kind is EngineEventKind.CONNECTED
    container = through.create(_spec(engine_deployment, base_image, "cat /in; cp /in /out; exit 3"))
    through.put_files(container, [InputFile(path="/in", data=b"x" * 20_000)])
    stream = through.attach_logs(container)
    through.start(container)
    kinds = [next(events).kind for _ in range(3)]
    assert kinds == [EngineEventKind.CREATE, EngineEventKind.START, EngineEventKind.DIE]
    stream.close()
    assert b"".join(through.read_logs(container)).count(b"x") == 20_000
    assert through.read_file(container, "/out", 100_000) == b"x" * 20_000
    assert [facts.id for facts in through.list_ours(engine_deployment)] == [container]
    through.remove(container)
    asked = [each.request.call for each in proxy.seen if each.step is Step.ASKED and "proxied" in each.container]
    assert asked == [
        "POST /containers/create",
        "PUT /containers/<id>/archive",
        "POST /containers/<id>/attach",
        "POST /containers/<id>/start",
        "GET /containers/<id>/logs",
        "GET /containers/<id>/archive",
        "GET /containers/<id>/json",
        "DELETE /containers/<id>",
    ]
    assert [each.action for each in proxy.seen if each.step is Step.EVENT][:3] == ["create", "start", "die"]


@pytest.mark.engine
def test_a_half_closed_hijacked_connection_stays_open_the_other_way(
    proxy: EngineProxy, docker_engine: DockerEngine, engine_deployment: DeploymentId, base_image: str
) -> None:
    container = _speaking_container(proxy, engine_deployment, base_image)
    try:
        with dial(Address(url=proxy.url), _LIMIT) as sock:
            target = f"/v1.41/containers/{container}/attach?stream=1&stdin=1&stdout=1"
            sock.sendall(
                f"POST {target} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
            )
            assert read_head(sock)[0] == 101
            docker_engine.start(container)
            sock.sendall(b"\x00\xffto the container")
            sock.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
    finally:
        docker_engine.remove(container, force=True)
    assert answer[8:] == b"\x00\xffto the container"


def _speaking_container(proxy: EngineProxy, deployment: DeploymentId, image: str) -> ContainerId:
    """A container that repeats its input, which nothing of ours ever makes."""
    client = Client(lambda: Address(url=proxy.url), _LIMIT)
    body = b'{"Image": "%s", "Cmd": ["cat"], "OpenStdin": true, "StdinOnce": true, "Labels": {"%s": "%s"}}' % (
        image.encode(),
        DEPLOYMENT_LABEL.encode(),
        deployment.encode(),
    )
    reply = client.call("POST", "/containers/create", body=body)
    client.close()
    assert reply.status == 201, reply.text
    return ContainerId(msgspec.json.decode(reply.body)["Id"])


@pytest.mark.engine
def test_at_a_moment_one_connection_stands_still_and_the_others_go_on(
    proxy: EngineProxy, through: DockerEngine, engine_deployment: DeploymentId, base_image: str
) -> None:
    moment = proxy.at_call(Step.ANSWERED, "POST", "/create", "proxied")
    made: list[ContainerId] = []
    spec = _spec(engine_deployment, base_image, "true")
    thread = threading.Thread(target=lambda: made.append(through.create(spec)), daemon=True)
    thread.start()
    moment.wait()
    there = [facts.id for facts in through.list_ours(engine_deployment)]
    assert made == []
    moment.let_go()
    thread.join(_LIMIT)
    assert made == there
    through.remove(made[0])
