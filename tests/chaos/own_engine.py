"""An engine of the tests' own, which they may stop and kill: a dockerd beside the one that everybody uses, in a
network namespace and with folders of its own."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from engine_proxy import PATIENCE

from orchestrator.clock import Clock, SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import OrchestratorError
from orchestrator.ids import ContainerId

_PROGRAMS = ("dockerd", "unshare", "nsenter", "setpriv")
#: Seconds between two looks at whether it answers.
_LOOK = 0.1
_NEVER = threading.Event()


class OwnEngine:
    """A dockerd that is started, stopped and killed at will; a context manager. Skips where there can be none."""

    def __init__(self) -> None:
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if os.geteuid() != 0 or missing:
            pytest.skip(f"needs to be root, and {', '.join(missing) or 'nothing else'}, for an engine of its own")
        self._clock: Clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # a socket's path must be short; and not below what pytest keeps of the last runs
        self._folder = Path(tempfile.mkdtemp(prefix="orce"))
        self.address = Address(url=f"unix://{self._folder}/e.sock")
        # a process that keeps the namespace while no engine runs
        self._keeper = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                self._remove_containers()
                self.stop()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Whatever is left, of an engine that could not be started again, too."""
        for pid in self.processes():
            _wait_end(pid, signal.SIGKILL)
        self._keeper.communicate()
        self._keeper.wait(PATIENCE)
        self._unmount()
        shutil.rmtree(self._folder)

    def start(self, *, live_restore: bool = False) -> None:
        """Returns once it answers."""
        folder, self.live_restore = self._folder, live_restore
        names = ("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")
        places = [word for option, name in names for word in (option, str(folder / name))]
        # it ends with this process, should nobody get to stop it
        within = ("nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", "setpriv", "--pdeathsig", "TERM")
        # containers of several engines must not share a namespace of containerd, should that be shared
        containerd = ("--containerd-namespace", folder.name, "--containerd-plugins-namespace", f"p{folder.name}")
        self._log = (folder / "log").open("ab")
        self._process = subprocess.Popen(
            [
                *within,
                *("dockerd", "-H", self.address.url),
                *places,
                *containerd,
                *(["--live-restore"] if live_restore else []),
            ],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        engine = DockerEngine(lambda: self.address, self._clock)
        until = self._clock.monotonic() + PATIENCE
        while not self._answers(engine):
            assert self._process.poll() is None, self._said()
            assert self._clock.monotonic() < until, self._said()
            self._clock.wait(_NEVER, _LOOK)
        engine.close()

    def stop(self) -> None:
        """In order: TERM, and its end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """With its containerd, if that is its own, which it takes along. As long as nobody reaps that, the next
        dockerd would take it for one that lives, and wait for it in vain."""
        told = self._folder / "exec" / "containerd" / "containerd.pid"
        containerd = _read(told)
        self._end(signal.SIGKILL)
        if containerd:
            _wait_end(int(containerd))
            told.unlink()

    def take_image(self, image: str, source: Address) -> None:
        """Have an image that another engine has, under the same name."""
        with tempfile.TemporaryFile() as bytes_of_it:
            theirs, ours = Client(lambda: source, PATIENCE), Client(lambda: self.address, PATIENCE)
            with theirs.open(f"/images/{quote(image)}/get", {}) as response:
                shutil.copyfileobj(response, bytes_of_it)
            reply = ours.call("POST", "/images/load", {"quiet": "1"}, bytes_of_it, "application/x-tar")
            assert reply.status == 200, reply.text
            theirs.close()
            ours.close()

    def log_of(self, container: ContainerId) -> Path:
        """Where it keeps what a container wrote."""
        (log,) = (self._folder / "data" / "containers" / container).glob("*-json.log")
        return log

    def processes(self) -> list[int]:
        """All there are: its own, and those of its containers."""
        lines = {int(each.parent.name): _read(each) for each in Path("/proc").glob("[0-9]*/cmdline")}
        parents = {
            pid: int((_read(Path(f"/proc/{pid}/stat")) or ") ? 0").rpartition(")")[2].split()[1]) for pid in lines
        }
        found = {pid for pid, line in lines.items() if str(self._folder) in line}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE)
        self._process = None
        self._log.close()

    def _remove_containers(self) -> None:
        engine = DockerEngine(lambda: self.address, self._clock)
        for each in engine.list_owned("orchestrator.deployment"):
            engine.remove(each.id, force=True)
        engine.close()

    def _unmount(self) -> None:
        """What an engine that was killed left mounted below its folders."""
        told = Path("/proc/self/mounts").read_text().splitlines()
        mounted = [line.split()[1] for line in told if line.split()[1].startswith(f"{self._folder}/")]
        for place in reversed(mounted):
            subprocess.run(["umount", "--lazy", place], check=True)

    def _said(self) -> str:
        return (self._folder / "log").read_text()[-4000:]

    @staticmethod
    def _answers(engine: DockerEngine) -> bool:
        try:
            engine.ping()
        except OrchestratorError:
            return False
        return True


def _read(path: Path) -> str:
    """Empty of a process that has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _wait_end(pid: int, number: signal.Signals | None = None) -> None:
    """Until a process has ended, of a signal or by itself; it may have, before."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    if number is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), f"process {pid} goes on"
    os.close(descriptor)
