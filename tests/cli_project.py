"""A project as a user has one, and the command `orchestrator` as a user calls it: processes of their own, judged
by what they print, how they end, and what they leave."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import docker
import msgspec

from orchestrator.app import App
from orchestrator.ids import DEPLOYMENT_LABEL, RunKey
from orchestrator.ports import Page
from orchestrator.queries import RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.scheduler.notices import Notice
from orchestrator.settings import open_project

REPOSITORY = Path(__file__).parents[1]
#: Seconds for what takes a moment, also on a machine that is busy; and for a run that first builds its images.
PATIENCE = 60.0
LONG = 280.0
_EXAMPLES = ("examples", "example-api", "example-db", "http-fetch", "sql")


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


class CliProject:
    """A folder with `dags/` and a home of its own; `environment` is added to this process's."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.home = folder / ".orchestrator"
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        self.environment = inherited | dict(environment or {})
        (folder / "dags").mkdir(parents=True, exist_ok=True)

    @classmethod
    def copied(cls, folder: Path) -> Self:
        """The example project of this repository, without `dags/examples/` and its images."""
        for name in ("dags", "task-images"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(*_EXAMPLES))
        return cls(folder)

    @classmethod
    def copied_examples(cls, folder: Path) -> Self:
        """`dags/examples/` alone, with all images."""
        shutil.copytree(REPOSITORY / "dags" / "examples", folder / "dags" / "examples")
        shutil.copytree(REPOSITORY / "task-images", folder / "task-images")
        return cls(folder)

    def write(self, file: str, text: str) -> None:
        """A DAG file, which is whole at any moment at which somebody may read it."""
        new = self.folder / "dags" / f".{file}.new"
        new.write_text(text)
        new.replace(self.folder / "dags" / file)

    def run(self, *arguments: str, limit: float = PATIENCE, environment: Mapping[str, str] | None = None) -> Said:
        """Call the command and wait for its end."""
        done = subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, limit: float = PATIENCE) -> Said:
        """The same, which must end well."""
        said = self.run(*arguments, limit=limit)
        assert said.code == 0, f"orchestrator {' '.join(arguments)}: {said}"
        return said

    def json(self, *arguments: str, limit: float = PATIENCE) -> Any:
        """What the command prints as JSON."""
        return msgspec.json.decode(self.ok(*arguments, "--output", "json", limit=limit).stdout)

    def start(self, *arguments: str) -> "Started":
        """Call the command and go on."""
        return Started(command(*arguments), self.folder, self.environment)

    def files(self, root: str = "flights") -> dict[str, bytes]:
        """Every file of a data root, by its path there."""
        folder = self.home / "data" / root
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def clear(self, root: str = "flights") -> None:
        """Empty a data root."""
        shutil.rmtree(self.home / "data" / root, ignore_errors=True)

    def wait_run(self, dag_id: str, limit: float = PATIENCE) -> None:
        """Until the DAG's newest run has ended and its containers are gone; the scheduler's notices say when to
        look."""
        app = App(open_project(self.folder, self.environment))
        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while not any(_over(queries.run(run.key)) for run in queries.runs(dag_id, Page(limit=1))):
                assert told.get(timeout=limit) is not None, "the scheduler went away"

    def wait_runs(self, dag_id: str, number: int, limit: float = PATIENCE) -> None:
        """Until so many runs of the DAG have ended."""
        app = App(open_project(self.folder, self.environment))
        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while sum(run.state.final for run in queries.runs(dag_id, Page(limit=number))) < number:
                assert told.get(timeout=limit) is not None, "the scheduler went away"

    def ended(self, key: RunKey, limit: float = LONG) -> RunView:
        """A run, once it has ended; the scheduler's notices say when to look."""
        app = App(open_project(self.folder, self.environment))
        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while not (view := queries.run(key)).run.state.final:
                assert told.get(timeout=limit) is not None, "the scheduler went away"
            return view

    def wait_collected(self, limit: float = LONG) -> None:
        """Until every run has ended, and its containers are gone."""
        app = App(open_project(self.folder, self.environment))
        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while not all(_over(queries.run(run.key)) for run in queries.runs(None, Page(limit=1000))):
                assert told.get(timeout=limit) is not None, "the scheduler went away"

    def wait_backfill(self, number: int, limit: float = PATIENCE) -> None:
        """Until all runs of a backfill have ended."""
        app = App(open_project(self.folder, self.environment))
        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while (view := queries.backfill(number)).backfill.ended_at is None:
                assert told.get(timeout=limit) is not None, f"the scheduler went away: {view}"

    def wait_task(self, dag_id: str, task_id: str, state: str, limit: float = PATIENCE) -> None:
        """Until a task of the DAG's newest run is in a state; the scheduler's notices say when to look."""
        app = App(open_project(self.folder, self.environment))

        def reached() -> bool:
            newest = queries.runs(dag_id, Page(limit=1))
            tasks = [task for run in newest for task in queries.run(run.key).tasks]
            return any(task.key.task_id == task_id and task.state == state for task in tasks)

        with app.queries() as queries, Following(app.socket) as following, queued(following) as told:
            while not reached():
                assert told.get(timeout=limit) is not None, "the scheduler went away"

    def wait_dags(
        self,
        active: Iterable[str],
        *,
        broken: Iterable[str] = (),
        gone: Iterable[str] = (),
        limit: float = PATIENCE,
    ) -> None:
        """Until the scheduler knows these DAGs, has met these files broken, and has these DAGs no more."""
        app, never = App(open_project(self.folder, self.environment)), threading.Event()
        end = app.clock.monotonic() + PATIENCE

        def reached() -> bool:
            known = {view.dag.dag_id for view in queries.dags(app.clock.now()) if view.dag.active}
            met = {each.parsed.file for each in queries.files() if each.parsed.errors}
            return known.issuperset(active) and met.issuperset(broken) and known.isdisjoint(gone)

        with app.queries() as queries:
            while not reached():
                assert app.clock.monotonic() < end, "the scheduler does not get through its files"
                app.clock.wait(never, 0.05)

    def containers(self) -> list[str]:
        """Names of all containers on the engine that this home made, of whatever kind and state."""
        ours = [file.read_text().strip() for file in (self.home / "deployment", self.home / "run" / "trials")
                if file.exists()]  # fmt: skip
        client = docker.from_env()
        try:
            found = client.containers.list(all=True, filters={"label": DEPLOYMENT_LABEL}, ignore_removed=True)
            return [each.name for each in found if each.labels[DEPLOYMENT_LABEL][:8] in ours]
        finally:
            client.close()


def _over(view: RunView) -> bool:
    return view.run.state.final and all(attempt.removed_at for attempt in view.tries)


@contextmanager
def queued(following: Following) -> Iterator["queue.SimpleQueue[Notice | None]"]:
    """The notices in a queue, which can be waited for with a limit; None when the scheduler has gone away."""
    told: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()

    def read() -> None:
        for notice in following.notices():
            told.put(notice)
        told.put(None)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        with suppress(OSError):  # it may be closed already
            following._connection.shutdown(socket.SHUT_RDWR)  # ends the thread's read
        thread.join(PATIENCE)


def command(*arguments: str) -> list[str]:
    """The command line of `orchestrator` with this interpreter."""
    return [sys.executable, "-m", "orchestrator", *arguments]


class Started:
    """A command that runs, in a session of its own; a context manager, at whose end it is gone."""

    def __init__(self, words: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.session():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        sys.stdout.write(f"--- {' '.join(map(str, self.process.args))} said ---\n{''.join(self.lines)}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_line(self, part: str, limit: float = PATIENCE) -> str:
        """The next line that holds `part`, of those not waited for yet."""
        while (line := self._heard.get(timeout=limit)) is not None:
            if part in line:
                return line
        raise AssertionError(f"it ended without saying {part!r}: {''.join(self.lines[-30:])}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, limit: float = PATIENCE) -> int:
        """Wait for its end: its exit code."""
        code = self.process.wait(limit)
        self._reader.join(PATIENCE)
        return code

    def session(self) -> list[int]:
        """Every process of its session that still runs."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._ours(entry)]

    def _ours(self, entry: Path) -> bool:
        try:
            state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            return False
        return int(session) == self.pid and state != "Z"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line)
                self._heard.put(line)
        self._heard.put(None)
