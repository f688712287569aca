"""Servers out of the nursery, as in the container: here of the same user, but without a network."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from authoring_project import SOUND, facts_of, write

from orchestrator.clock import SystemClock
from orchestrator.dagfiles import process, servers
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.errors import AuthoringServerError
from orchestrator.settings import Project
from orchestrator.spec.dag import ContainerTemplate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nursery is for the container, which has Linux")


class Nursery:
    """One as a child of ours, as the entrypoint starts it; we hold the end that the scheduler is given."""

    def __init__(self, before: str = "") -> None:
        self.ours, theirs = socket.socketpair()
        program = f"{before}from orchestrator.dagfiles.nursery import main; main()"
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", program, str(theirs.fileno())],
                env={},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        self.ours.close()
        assert self.process.wait(10) == 0, "the nursery does not end with the last who may ask it"


def children(nursery: Nursery) -> list[int]:
    pid = nursery.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    if made.process.poll() is None:
        made.close()
    made.ours.close()


@pytest.fixture
def own(empty_project: Project, nursery: Nursery) -> Iterator[AuthoringServer]:
    write(empty_project, "sound.py", SOUND.format(dag_id="sound"))
    project = msgspec.structs.replace(empty_project, nursery=nursery.ours.fileno())
    server = AuthoringServer(project, SystemClock())
    yield server
    server.close()


def test_it_parses_and_renders(own: AuthoringServer) -> None:
    assert own.parse("sound.py").dags[0].dag_id == "sound"
    said = own.render(facts_of(ContainerTemplate(command="{{ ti.xcom_pull('a') }}")), lambda _: b'"one"')
    assert isinstance(said, ContainerTemplate)
    assert said.command == "one"


def test_a_dag_file_has_no_network_of_any_kind(empty_project: Project, own: AuthoringServer) -> None:
    write(
        empty_project,
        "caller.py",
        """\
        import os, socket, subprocess, sys
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
            try:
                socket.socket(family).close()
            except PermissionError:
                continue
            raise AssertionError(f"a socket of family {family}")
        one, other = socket.socketpair()
        one.send(b"among ourselves")
        call = "import socket; socket.socket()"
        below = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
        assert "PermissionError" in below.stderr, below
        """,
    )
    assert own.parse("caller.py").problems == ()


def test_a_server_has_nothing_of_the_nursery_s_but_its_own_socket(
    empty_project: Project, own: AuthoringServer
) -> None:
    write(
        empty_project,
        "look.py",
        """\
        import os
        parent = f"/proc/{os.getppid()}"
        opened = {fd: os.readlink(f"{parent}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"{parent}/fd")}
        assert open(f"{parent}/environ").read() == ""
        assert {opened.pop(fd) for fd in "012"} == {"/dev/null"}, opened
        raise Exception(str(len([kind for kind in opened.values() if kind == "socket"])))
        """,
    )
    (problem,) = own.parse("look.py").problems
    assert problem.text == "Exception: 4", "control, wake and ear, and the report of this one request"


def test_a_file_that_kills_its_server_hurts_itself_only(empty_project: Project, own: AuthoringServer) -> None:
    write(empty_project, "killer.py", "import os\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)\n")
    with ThreadPoolExecutor(4) as pool:
        killed, *others = pool.map(own.parse, ["killer.py", *["sound.py"] * 6])
    assert [problem.rule for problem in killed.problems] == ["parse_ended"]
    assert all(parsed.dags for parsed in others)


def test_a_server_that_hangs_is_replaced(
    nursery: Nursery, own: AuthoringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "END", 0.3)
    monkeypatch.setattr(process, "GRACE", 0.3)
    monkeypatch.setattr(process, "_END", 0.3)
    own._parse_limits = type(own._parse_limits)(seconds=3.0, memory=1 << 29)
    assert own.parse("sound.py").dags
    (first,) = children(nursery)
    os.kill(first, signal.SIGSTOP)
    assert own.parse("sound.py").dags
    assert own.parse("sound.py").dags
    (second,) = children(nursery)
    assert second != first


def test_closing_ends_the_server(nursery: Nursery, own: AuthoringServer) -> None:
    assert own.parse("sound.py").dags
    assert len(children(nursery)) == 1
    own.close()
    assert children(nursery) == []


def test_a_server_that_cannot_start_says_why(empty_project: Project) -> None:
    nursery = Nursery("import orchestrator.dagfiles.servers as s; s.MODULE = 'orchestrator.nowhere'; ")
    own = AuthoringServer(msgspec.structs.replace(empty_project, nursery=nursery.ours.fileno()), SystemClock())
    with pytest.raises(AuthoringServerError, match=r"No module named orchestrator\.nowhere"):
        own.parse("sound.py")
    assert children(nursery) == []
    own.close()
    nursery.close()


def test_without_the_nursery_there_is_no_server(own: AuthoringServer, nursery: Nursery) -> None:
    nursery.process.send_signal(signal.SIGKILL)
    nursery.process.wait(10)
    with pytest.raises(AuthoringServerError, match="nursery is gone"):
        own.parse("sound.py")
