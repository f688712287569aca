"""An engine that we start outlives us, is remembered, and exactly it is stopped again."""

import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from machines import engine_like

from orchestrator.bootstrap.engine_process import Daemon, answers, start_engine, stop_engine
from orchestrator.bootstrap.stop import main
from orchestrator.clock import SystemClock
from orchestrator.errors import RepairError

CLOCK = SystemClock()


def quiet(_: str) -> None:
    pass


class HastyClock:
    """A clock on which the first wait takes an hour."""

    def __init__(self) -> None:
        self._passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self._passed

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._passed += seconds if self._passed else 3600
        return event.wait(seconds)


def test_it_is_started_remembered_and_stopped(tmp_path: Path) -> None:
    daemon, home = engine_like(tmp_path), tmp_path / "home"
    start_engine(home, daemon, CLOCK, quiet)
    record = msgspec.json.decode((home / "engine.json").read_bytes())
    assert answers(daemon.socket)
    assert os.getsid(record["pid"]) == record["pid"]
    assert record["socket"] == str(daemon.socket)
    assert (home / "dockerd.log").read_text() == "engine is up\n"
    assert stop_engine(home, CLOCK)
    assert not answers(daemon.socket)
    assert not (home / "engine.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(record["pid"], 0)


def test_it_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    daemon = engine_like(tmp_path)
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from machines import engine_like\n"
        "from orchestrator.bootstrap.engine_process import start_engine\n"
        "from orchestrator.clock import SystemClock\n"
        "folder = Path(sys.argv[1]); start_engine(folder, engine_like(folder), SystemClock(), print)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], check=True)
    assert answers(daemon.socket)
    assert main([str(tmp_path)]) == 0
    assert not answers(daemon.socket)


def test_nothing_is_stopped_that_we_did_not_start(tmp_path: Path) -> None:
    assert not stop_engine(tmp_path, CLOCK)
    daemon = engine_like(tmp_path)
    start_engine(tmp_path, daemon, CLOCK, quiet)
    file = tmp_path / "engine.json"
    record = msgspec.json.decode(file.read_bytes())
    other_boot = record["identity"].replace(record["identity"].split(":")[0], "another-boot")
    file.write_bytes(msgspec.json.encode({**record, "identity": other_boot}))
    assert not stop_engine(tmp_path, CLOCK)
    assert answers(daemon.socket)
    file.write_bytes(msgspec.json.encode(record))
    assert stop_engine(tmp_path, CLOCK)


def test_one_that_ends_at_once_shows_the_end_of_its_log_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "dockerd.log").write_text("from an earlier life\n")
    command = ("sh", "-c", "echo failed to start daemon; echo iptables: Failed to initialize nft >&2; exit 1")
    with pytest.raises(RepairError, match="Failed to initialize nft") as caught:
        start_engine(tmp_path, Daemon(command=command, socket=tmp_path / "no.sock"), CLOCK, quiet)
    assert "earlier life" not in str(caught.value)
    assert "iptables-legacy" in caught.value.fix
    assert not (tmp_path / "engine.json").exists()


def test_one_that_never_answers_is_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()")
    pids: list[int] = []

    class Watching(HastyClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            pids.append(msgspec.json.decode((tmp_path / "engine.json").read_bytes())["pid"])
            return super().wait(event, seconds)

    with pytest.raises(RepairError, match="did not answer within 90 s"):
        start_engine(tmp_path, Daemon(command=command, socket=tmp_path / "no.sock"), Watching(), quiet)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not (tmp_path / "engine.json").exists()


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="cannot be started"):
        start_engine(tmp_path, Daemon(command=("no-such-engine",)), CLOCK, quiet)


@pytest.mark.engine
def test_a_real_engine_starts_beside_another_and_stops(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("starting an engine needs root, and dockerd on this machine")
    socket = tmp_path / "docker.sock"
    places = ("--data-root", tmp_path / "data", "--exec-root", tmp_path / "exec", "--pidfile", tmp_path / "pid")
    # a network of its own: an engine that stops takes the bridge of another one with it
    command = ("unshare", "--net", "dockerd", "-H", f"unix://{socket}", *map(str, places))
    start_engine(tmp_path, Daemon(command=command, socket=socket), CLOCK, quiet)
    try:
        assert answers(socket)
    finally:
        assert stop_engine(tmp_path, CLOCK)
    assert not answers(socket)
