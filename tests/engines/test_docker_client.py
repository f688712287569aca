import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted_engine import VERSION, Script, ScriptedEngine, answer

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.errors import EngineError, EngineTimeoutError, EngineUnavailableError

Serve = Callable[..., tuple[ScriptedEngine, Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[ScriptedEngine | Client] = []

    def begin(
        script: Script, *, version: dict[str, str] = VERSION, timeout: float = 10
    ) -> tuple[ScriptedEngine, Client]:
        engine = ScriptedEngine(tmp_path, script, version)
        client = Client(lambda: engine.address, timeout)
        made.extend((client, engine))
        return engine, client

    yield begin
    for each in made:
        each.close()


def says(body: object, status: str = "200 OK", *, close: bool = False) -> Script:
    def script(_: str, connection: socket.socket) -> bool:
        connection.sendall(answer(body, status, close=close))
        return not close

    return script


def test_where_nothing_listens_nothing_was_sent(tmp_path: Path) -> None:
    client = Client(lambda: Address(url=f"unix://{tmp_path}/none.sock"), 1)
    with pytest.raises(EngineUnavailableError, match=r"none\.sock") as error:
        client.call("GET", "/info")
    assert not isinstance(error.value, EngineTimeoutError)


def test_an_address_is_looked_for_until_there_is_one(tmp_path: Path, serve: Serve) -> None:
    engine, _ = serve(says({}))
    answers = iter([EngineUnavailableError("not yet"), engine.address])

    def find() -> Address:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    client = Client(find, 10)
    with pytest.raises(EngineUnavailableError, match="not yet"):
        client.call("GET", "/info")
    assert client.call("GET", "/info").status == 200
    assert client.call("GET", "/info").status == 200
    client.close()


def test_a_call_that_is_sent_and_cut_off_may_have_taken_effect(serve: Serve) -> None:
    _, client = serve(lambda _head, _connection: False)
    with pytest.raises(EngineTimeoutError, match="sent and not answered"):
        client.call("POST", "/containers/x/start")


def test_a_call_that_is_sent_and_never_answered_may_have_taken_effect(serve: Serve) -> None:
    asked = threading.Event()

    def silent(_: str, connection: socket.socket) -> bool:
        asked.set()
        return bool(connection.recv(1))

    _, client = serve(silent, timeout=0.2)
    with pytest.raises(EngineTimeoutError, match="sent and not answered"):
        client.call("POST", "/containers/x/start")
    assert asked.is_set()


def test_a_call_is_sent_once_whatever_becomes_of_it(serve: Serve) -> None:
    engine, client = serve(lambda _head, _connection: False)
    with pytest.raises(EngineTimeoutError):
        client.call("POST", "/containers/x/start")
    assert [each for each in engine.requests if "start" in each] == ["POST /v1.41/containers/x/start HTTP/1.1"]


def test_an_answer_that_breaks_off_is_no_answer(serve: Serve) -> None:
    def broken(_: str, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")
        return False

    _, client = serve(broken)
    with pytest.raises(EngineTimeoutError):
        client.call("GET", "/info")


def test_a_connection_is_kept_for_the_next_call(serve: Serve) -> None:
    engine, client = serve(says({}))
    for _ in range(5):
        client.call("GET", "/info")
    assert engine.connections == 1


def test_a_connection_that_the_engine_closed_is_not_used_again(serve: Serve) -> None:
    engine, client = serve(says({"a": 1}))
    assert client.call("GET", "/info").status == 200
    engine.cut()
    assert client.call("GET", "/info").status == 200
    assert engine.connections == 2


def test_an_engine_that_closes_after_each_answer_is_dialled_anew(serve: Serve) -> None:
    _, client = serve(says({}, close=True))
    assert [client.call("GET", "/info").status for _ in range(3)] == [200, 200, 200]


def test_a_call_never_waits_for_another(serve: Serve) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def script(head: str, connection: socket.socket) -> bool:
        if "slow" in head:
            reached.set()
            go_on.wait(10)
        connection.sendall(answer({}))
        return True

    _, client = serve(script)
    slow = threading.Thread(target=lambda: client.call("GET", "/slow"))
    slow.start()
    assert reached.wait(10)
    assert client.call("POST", "/containers/x/kill").status == 200
    go_on.set()
    slow.join(10)


def test_a_body_left_unread_costs_its_connection_only(serve: Serve) -> None:
    engine, client = serve(says("x" * 1000))
    with client.open("/containers/x/archive", {}) as response:
        assert response.status == 200
    assert client.call("GET", "/info").status == 200
    assert engine.connections == 2


@pytest.mark.parametrize(
    ("theirs", "least", "agreed"),
    [("1.41", "1.12", "1.41"), ("1.60", "1.24", "1.47"), ("1.60", "1.50", "1.50")],
)
def test_the_api_version_is_agreed_once(serve: Serve, theirs: str, least: str, agreed: str) -> None:
    engine, client = serve(says({}), version={"ApiVersion": theirs, "MinAPIVersion": least})
    for _ in range(3):
        client.call("GET", "/info")
    assert client.api_version == agreed
    assert [each.split()[1] for each in engine.requests] == ["/version", *[f"/v{agreed}/info"] * 3]


def test_an_engine_too_old_is_told_what_to_do(serve: Serve) -> None:
    _, client = serve(says({}), version={"ApiVersion": "1.40", "MinAPIVersion": "1.12"})
    with pytest.raises(EngineError, match="too old") as error:
        client.call("GET", "/info")
    assert "20.10" in error.value.fix


def test_nothing_is_sent_after_close(serve: Serve) -> None:
    engine, client = serve(says({}))
    client.call("GET", "/info")
    client.close()
    client.close()
    with pytest.raises(EngineUnavailableError, match="closed"):
        client.call("GET", "/info")
    assert len(engine.requests) == 2


def test_who_may_change_nothing_sends_nothing_but_questions_and_signals(tmp_path: Path, serve: Serve) -> None:
    engine, _ = serve(says({}))
    client = Client(lambda: engine.address, 10, may_change=lambda: False)
    for method, path in (
        ("POST", "/containers/x/start"),
        ("PUT", "/containers/x/archive"),
        ("DELETE", "/volumes/x"),
    ):
        with pytest.raises(EngineUnavailableError, match="cannot tell that it leads") as error:
            client.call(method, path)
        assert not isinstance(error.value, EngineTimeoutError)
    client.call("GET", "/info")
    client.call("POST", "/containers/x/kill")
    client.close()
    assert [request.split(" ")[1].rpartition("/")[2] for request in engine.requests] == ["version", "info", "kill"]
