"""A small project, a scheduler that can be killed, an engine proxy in between, and a record of what really
happened: what the chaos tests play on."""

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import msgspec
from engine_proxy import PATIENCE, EngineProxy
from engine_record import STARTED, EngineRecord
from machine import Leftovers
from output_streams import wait_output
from scheduler_process import SchedulerProcess

from orchestrator.app import App
from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.client import Client
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import ContainerId, TryKey
from orchestrator.ports import LogFlag, Page, Stream
from orchestrator.queries import RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.settings import open_project

_DAGS = Path(__file__).parent / "played_dags"
GATES = (1, 2)


class Stage:
    """One project with the one DAG `dag_id`, which runs once by itself; a context manager.

    With `proxied=False` the scheduler speaks to the engine itself; `given` is what the DAG file finds beside it, by
    name; `settings` are variables of the scheduler's own; `life` is how it is started; `breaks` as of
    `EngineRecord`."""

    def __init__(
        self,
        folder: Path,
        dag_id: str,
        file: str,
        address: Address,
        image: str,
        *,
        proxied: bool = True,
        given: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        life: type[SchedulerProcess] = SchedulerProcess,
        breaks: bool = False,
    ) -> None:
        self._folder = folder
        self._dag_id = dag_id
        self._address = address
        self._image = image
        self._proxied = proxied
        self._settings = settings or {}
        self._life = life
        self._breaks = breaks
        self._opened: set[tuple[ContainerId, int]] = set()
        self._left = ExitStack()
        self._lives: list[SchedulerProcess] = []
        (folder / "dags").mkdir()
        for name, text in (given or {}).items():
            (folder / "dags" / name).write_text(text)
        shutil.copy(_DAGS / file, folder / "dags")
        self.runs = folder / ".orchestrator" / "data" / "runs"
        self.runs.mkdir(parents=True)
        self.runs.chmod(0o777)  # one of the tasks is not root

    def __enter__(self) -> Self:
        enter = self._left.enter_context
        sockets = enter(tempfile.TemporaryDirectory(prefix="orc"))  # a socket's path must be short
        self.proxy = enter(EngineProxy(self._address, Path(sockets) / "engine.sock"))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "ORCHESTRATOR__ENGINE__ADDRESS": self.proxy.url if self._proxied else self._address.url,
            "ORCHESTRATOR__ENGINE__NETWORK": "none",
            "ORCHESTRATOR__TASKS__DEFAULT_IMAGE": self._image,
            **self._settings,
        }
        self._orchestrator("db", "upgrade")
        self.app = App(open_project(self._folder, self._environment))
        self.leftovers = Leftovers(self._address, self.app.deployment())
        self._left.callback(self.leftovers.close)
        self._left.callback(self.leftovers.clear)
        self.engine = DockerEngine(lambda: self._address, SystemClock())
        self._left.callback(self.engine.close)
        self._client = Client(lambda: self._address, PATIENCE)
        self._left.callback(self._client.close)
        self.record = enter(EngineRecord(self._address, self.app.deployment(), breaks=self._breaks))
        return self

    def __exit__(self, *_: object) -> None:
        for number, life in enumerate(self._lives, 1):
            life.end()
            sys.stdout.write(f"--- what scheduler {number} said ---\n" + "".join(life.lines))
        self._left.close()

    # --- the scheduler ----------------------------------------------------------------------------------

    @property
    def scheduler(self) -> SchedulerProcess:
        """The newest one."""
        return self._lives[-1]

    def begin(self) -> None:
        """Start a scheduler; returns once it runs."""
        self.spawn()
        self.scheduler.wait_running()

    def spawn(self) -> SchedulerProcess:
        """Start a scheduler; returns at once."""
        self._lives.append(self._life(self._folder, self._environment))
        return self.scheduler

    def wait_end(self, patience: float = PATIENCE) -> RunView:
        """Until the run has ended and all its tries are collected."""
        return self.wait_view(lambda view: view.run.state.final and all(a.removed_at for a in view.tries), patience)

    def wait_view(self, there: Callable[[RunView], bool], patience: float = PATIENCE) -> RunView:
        """Until this holds of the run; the scheduler's notices, which may be `patience` seconds apart, say when to
        look."""
        with self.app.queries() as queries, Following(self.app.socket) as following, _queued(following) as told:
            while True:
                views = [queries.run(run.key) for run in queries.runs(None, Page(limit=1))]  # of the one DAG
                for view in views:
                    if there(view):
                        return view
                told.get(timeout=patience)

    def _orchestrator(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    # --- its tasks --------------------------------------------------------------------------------------

    def wait_gate(self, container: ContainerId, gate: int) -> None:
        """Until a task stands at a gate, as its output says, read straight from the engine."""
        wait_output(self.engine, container, f"gate {gate}\n".encode())

    def open_gate(self, container: ContainerId, gate: int) -> None:
        """Let a task that stands at a gate go on."""
        self.wait_gate(container, gate)
        self._opened.add((container, gate))
        asked = self._post(f"/containers/{container}/exec", {"Cmd": ["sh", "-c", f": > /tmp/gate{gate}"]})
        self._post(f"/exec/{json.loads(asked)['Id']}/start", {"Detach": True})

    def open_gates(self, task_id: str) -> None:
        """Let a task go on to its end, once it has started; gates that are open stay so."""
        container = self.record.wait(STARTED, task_id)
        for gate in GATES:
            if (container, gate) not in self._opened:
                self.open_gate(container, gate)

    def log(self, key: TryKey) -> dict[Stream, bytes]:
        """What is stored of a try's output."""
        said: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
        for record in self.app.logs().records(key):
            if LogFlag.SYSTEM not in record.flags:
                said[record.stream].append(record.data)
        return {stream: b"".join(pieces) for stream, pieces in said.items()}

    def _post(self, path: str, body: dict[str, object]) -> bytes:
        reply = self._client.call("POST", path, body=msgspec.json.encode(body))
        assert reply.status // 100 == 2, reply.text
        return reply.body


@contextmanager
def _queued(following: Following) -> Iterator["queue.SimpleQueue[object]"]:
    """The notices in a queue, which can be waited for with a limit."""
    told: queue.SimpleQueue[object] = queue.SimpleQueue()

    def read() -> None:
        for notice in following.notices():
            told.put(notice)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        following._connection.shutdown(socket.SHUT_RDWR)  # ends the thread's read
        thread.join(PATIENCE)
