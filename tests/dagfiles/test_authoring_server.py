"""The server as a process: what it inherits, what survives it, what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authoring_project import SOUND, facts_of, make_project, write

from orchestrator.clock import SystemClock
from orchestrator.dagfiles import process, servers
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.errors import AuthoringServerError
from orchestrator.settings import Project
from orchestrator.spec.dag import ContainerTemplate


@pytest.fixture
def own(empty_project: Project) -> Iterator[AuthoringServer]:
    """A server that a test may hurt."""
    write(empty_project, "sound.py", SOUND.format(dag_id="sound"))
    server = AuthoringServer(empty_project, SystemClock())
    yield server
    server.close()


def pid_of(server: AuthoringServer) -> int:
    running = server._process._server
    assert running is not None
    return running.process.pid


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def becomes_gone(pid: int) -> bool:
    return any(gone(pid) or threading.Event().wait(0.02) for _ in range(500))


def test_jinja_is_not_loaded_where_the_client_is(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "a.py").write_text(SOUND.format(dag_id="a").replace("true", "echo {{ ds }}"))
    program = """
import sys
from pathlib import Path
from orchestrator.clock import SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.dagfiles.watch import DagFolder
from orchestrator.settings import open_project
server = AuthoringServer(open_project(Path.cwd(), {}), SystemClock())
parsed = server.parse("a.py")
server.close()
assert parsed.dags[0].dag_id == "a", parsed
print([name for name in sys.modules if name.partition(".")[0] in ("jinja2", "pendulum", "croniter")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_worker_has_no_descriptor_and_no_variable_of_ours(empty_project: Project, own: AuthoringServer) -> None:
    write(
        empty_project,
        "look.py",
        """\
        import os
        seen = {int(fd): os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}")}
        kinds = {fd: name.partition(":")[0] for fd, name in seen.items()}
        assert kinds == {0: "/dev/null", 1: "/dev/null", 2: "/dev/null", 3: "socket", 4: "socket"}, kinds
        import ctypes
        assert not os.environ and ctypes.CDLL(None).getenv(b"PATH") == 0
        assert os.getsid(0) == os.getpid()
        """,
    )
    with (empty_project.root / "held open").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        assert own.parse("look.py").problems == ()


def test_many_requests_at_once_get_their_own_answers(empty_project: Project, own: AuthoringServer) -> None:
    for number in range(12):
        write(empty_project, f"many{number}.py", SOUND.format(dag_id=f"many{number}"))

    def one(number: int) -> tuple[str, str]:
        parsed = own.parse(f"many{number}.py")
        said = own.render(
            facts_of(ContainerTemplate(command="{{ ti.xcom_pull('a') }} {{ dag_run.conf.n }}"), conf={"n": number}),
            lambda key: f'"{key.task_id}{number}"'.encode(),
        )
        assert isinstance(said, ContainerTemplate), said
        return parsed.dags[0].dag_id, str(said.command)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [(f"many{n}", f"a{n} {n}") for n in range(12)]


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_died_or_hangs_is_replaced(
    own: AuthoringServer, kill: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.3)
    monkeypatch.setattr(process, "_END", 0.3)
    monkeypatch.setattr(servers, "END", 0.3)
    own._parse_limits = type(own._parse_limits)(seconds=3.0, memory=1 << 29)
    assert own.parse("sound.py").dags
    first = pid_of(own)
    os.kill(first, kill)
    assert own.parse("sound.py").dags
    assert own.parse("sound.py").dags
    assert pid_of(own) != first
    assert becomes_gone(first)


def test_a_file_that_kills_the_server_hurts_itself_only(empty_project: Project, own: AuthoringServer) -> None:
    write(empty_project, "killer.py", "import os\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)\n")
    with ThreadPoolExecutor(4) as pool:
        killed, *others = pool.map(own.parse, ["killer.py", *["sound.py"] * 6])
    assert [problem.rule for problem in killed.problems] == ["parse_ended"]
    assert all(parsed.dags for parsed in others)


def test_what_the_answering_side_raises_comes_through(own: AuthoringServer) -> None:
    def result(_: object) -> bytes:
        raise OSError("the database is away")

    with pytest.raises(OSError, match="the database is away"):
        own.render(facts_of(ContainerTemplate(command="{{ ti.xcom_pull('a') }}")), result)
    assert own.parse("sound.py").dags


def test_nothing_that_a_file_starts_outlives_its_parse(empty_project: Project, own: AuthoringServer) -> None:
    write(
        empty_project,
        "starter.py",
        """\
        import pathlib, subprocess
        child = subprocess.Popen(["/bin/sleep", "600"])
        pathlib.Path("child").write_text(str(child.pid))
        """,
    )
    assert own.parse("starter.py").problems == ()
    assert becomes_gone(int((empty_project.root / "child").read_text()))


def test_closing_ends_the_server_and_its_workers(empty_project: Project, own: AuthoringServer) -> None:
    worker = endless_worker(empty_project, own)
    server = pid_of(own)
    own.close()
    assert becomes_gone(server)
    assert becomes_gone(worker)
    with pytest.raises(AuthoringServerError, match="closed"):
        own.parse("sound.py")
    own.close()


def test_workers_end_when_the_server_is_killed(empty_project: Project, own: AuthoringServer) -> None:
    worker = endless_worker(empty_project, own)
    os.kill(pid_of(own), signal.SIGKILL)
    assert becomes_gone(worker)


def endless_worker(project: Project, server: AuthoringServer) -> int:
    """The pid of a worker that never ends by itself."""
    os.mkfifo(project.root / "fifo")
    write(project, "endless.py", "import os\nopen('fifo', 'w').write(str(os.getpid()))\nwhile True: pass\n")

    def parse() -> None:
        try:
            server.parse("endless.py")
        except AuthoringServerError:
            return

    threading.Thread(target=parse, daemon=True).start()
    pid = int((project.root / "fifo").read_text())
    (project.root / "fifo").unlink()
    write(project, "endless.py", "")  # a second attempt ends at once
    return pid


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    write(project, "sound.py", SOUND.format(dag_id="sound"))
    program = """
import os, signal
from pathlib import Path
from orchestrator.clock import SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.settings import open_project
server = AuthoringServer(open_project(Path.cwd(), {}), SystemClock())
server.parse("sound.py")
print(server._process._server.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert becomes_gone(int(done.stdout))


def test_a_server_that_cannot_start_says_why(own: AuthoringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MODULE", "orchestrator.nowhere")
    with pytest.raises(AuthoringServerError, match=r"No module named orchestrator\.nowhere"):
        own.parse("sound.py")
