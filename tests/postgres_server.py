"""A PostgreSQL server of the tests' own: its data in a folder that goes with it, its socket in there too, so that
it meets no other server, and nobody from outside meets it.

    def test_it(postgres_database: PostgresDatabase) -> None: ...      # an upgraded database of this test's own
"""

import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL

from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.errors import OrchestratorError
from orchestrator.store import upgrade
from orchestrator.store.postgresql import PostgresDatabase
from orchestrator.store.tables import METADATA

#: With all that URLs, files of passwords and shells could make something of.
USER, PASSWORD = "orchestrator", r"sw rd/fi:s\h@%$'x"
_PATIENCE = 60
#: Nothing needs to outlive the machine here.
_QUICK = ("fsync=off", "full_page_writes=off")
TEMPLATE = "upgraded"
#: One that sorts as no program does, and needs nothing of the machine; where the server is too old for that, none.
_LANGUAGE, _NO_LANGUAGE = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"), ("--locale=C.UTF-8",)
#: Debian's package would make and start a server of its own.
_NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


@functools.cache
def need_binaries() -> Path:
    """Where the server's programs are; installed if need be (root, on Debian). The test fails where they cannot be
    had: what a database promises is not shown without it."""
    machine = LocalMachine()
    if _newest() is None and machine.is_root() and machine.is_debian():
        try:
            _install(machine)
        except OrchestratorError as error:
            pytest.fail(f"needs PostgreSQL, whose package cannot be had: {error}")
    return _newest() or pytest.fail("needs PostgreSQL's server programs in /usr/lib/postgresql/*/bin, or on PATH")


def _newest() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


def _install(machine: LocalMachine) -> None:
    if not _NO_CLUSTER.exists():
        _NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        _NO_CLUSTER.write_text("create_main_cluster = false\n")
    kept = ("-o", "Dpkg::Options::=--force-confold")
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    machine.run((*quiet, "update"), print)
    machine.run((*quiet, *kept, "install", "-y", "--no-install-recommends", "postgresql"), print)


class PostgresServer:
    """A server, stopped or running. What it keeps outlives `stop`, `kill` and `freeze`."""

    def __init__(self, settings: Sequence[str] = _QUICK) -> None:
        self._binaries = need_binaries()
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="orc-pg-"))
        self._user = _harmless_user()
        self._numbers = count(1)
        self._free: list[str] = []
        self._undertaker = self._appoint_undertaker()
        self._make()

    def url(self, database: str, **query: str) -> URL:
        """With everything that one needs to connect."""
        where = {"host": str(self._folder), **query}
        return URL.create("postgresql", USER, PASSWORD, database=database, query=where)

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    def start(self) -> None:
        """Returns once it answers."""
        settings = " ".join(f"-c {each}" for each in (f"unix_socket_directories={self._folder}", *self._settings))
        self._control("start", "--options", f"-h '' {settings}", "--log", f"{self._folder}/log")

    def stop(self) -> None:
        """In order, and at once: connections are ended."""
        self._control("stop", "--mode", "fast")

    def kill(self) -> None:
        """As a machine that loses its power does, but for what is in the kernel's hands."""
        self._control("stop", "--mode", "immediate")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still; connections stay, and nothing is answered."""
        pids = [self.pid, *_children(self.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def remove(self) -> None:
        """Also where it runs."""
        assert self._undertaker.stdin is not None
        self._undertaker.stdin.close()
        self._undertaker.wait(_PATIENCE)
        assert not self._folder.exists()

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection that may do anything, outside any transaction."""
        with psycopg.connect(
            host=str(self._folder), user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            yield connection

    def make_database(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = f"test{next(self._numbers)}"
        words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self.admin() as admin:
            admin.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        with self.admin() as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The name of an upgraded database with no rows but its deployment's. It is emptied for the next one
        afterwards, since a server takes its time to make one, and longer to drop it."""
        name = self._free.pop() if self._free else self.make_database(TEMPLATE)
        yield name
        with self.admin(name) as admin:
            admin.execute(_END_OTHERS)
            admin.execute(_emptied())
        self._free.append(name)

    # --- its processes ---------------------------------------------------------------------------------

    def _appoint_undertaker(self) -> subprocess.Popen[bytes]:
        """Who ends the server and removes its folder when we say so, or die."""
        bury = 'read -r _; "$0" --pgdata "$1/data" --mode immediate --silent stop; rm -rf "$1"'
        return subprocess.Popen(
            ["sh", "-c", bury, self._binaries / "pg_ctl", self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._as_user(),
        )

    def _make(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user is not None:
            for place in (self._folder, password):
                os.chown(place, self._user.pw_uid, self._user.pw_gid)
        known = subprocess.run(
            [self._binaries / "initdb", "--help"], check=True, capture_output=True, text=True
        ).stdout
        language = _LANGUAGE if "--icu-locale" in known else _NO_LANGUAGE
        options = ("--auth=scram-sha-256", "--encoding=UTF8", *language, "--no-sync", "--no-instructions")
        self._run(
            "initdb", "--pgdata", f"{self._folder}/data", "--username", USER, "--pwfile", str(password), *options
        )
        password.unlink()

    def _control(self, *words: str) -> None:
        """Returns when it is done."""
        self._run("pg_ctl", "--pgdata", f"{self._folder}/data", "--wait", "--timeout", str(_PATIENCE), *words)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,  # a server would hold the pipe
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self._as_user(),
        )
        log = self._folder / "log"
        told = f"{done.stdout or ''}{log.read_text() if log.exists() else ''}"
        assert done.returncode == 0, f"{program} {' '.join(arguments)}:\n{told}"

    def _as_user(self) -> Mapping[str, object]:
        """A server refuses to be root's."""
        if self._user is None:
            return {"cwd": self._folder}
        return {"cwd": self._folder, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": ()}


def _harmless_user() -> pwd.struct_passwd | None:
    """Whose the server is where we are root."""
    if os.getuid() != 0:
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
#: Tables with rows that an upgrade makes, of which the template has a copy.
_KEPT = ("alembic_version", "deployment", "leader")
_KEEP = "CREATE TABLE kept.{0} AS TABLE public.{0}"


def _emptied() -> bytes:
    """As an upgrade leaves it."""
    tables = [*reversed(METADATA.sorted_tables), "alembic_version"]
    deleted = [f"DELETE FROM public.{table}" for table in tables]  # noqa: S608 - names of our tables
    kept = [f"INSERT INTO public.{table} TABLE kept.{table}" for table in _KEPT]
    return "; ".join((*deleted, *kept, "ALTER SEQUENCE public.requests_id_seq RESTART")).encode()


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for all tests, none of which may stop it, with a database to copy: `TEMPLATE`."""
    server = PostgresServer()
    try:
        server.start()
        with tempfile.TemporaryDirectory() as home, server.admin() as admin:
            admin.execute(f"CREATE DATABASE {TEMPLATE}".encode())
            upgrade(PostgresDatabase(Path(home) / "home", server.url(TEMPLATE)))
        with server.admin(TEMPLATE) as admin:
            admin.execute("; ".join(("CREATE SCHEMA kept", *map(_KEEP.format, _KEPT))).encode())
        yield server
    finally:
        server.remove()


@pytest.fixture
def empty_postgres(postgres_server: PostgresServer, tmp_path: Path) -> PostgresDatabase:
    """A database of this test's own with nothing in it, and a home that is not there yet."""
    return PostgresDatabase(tmp_path / "home", postgres_server.url(postgres_server.make_database()))


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[PostgresDatabase]:
    """An upgraded database of this test's own; all of them are of one deployment."""
    (tmp_path / "home").mkdir(exist_ok=True)
    with postgres_server.lent() as name:
        yield PostgresDatabase(tmp_path / "home", postgres_server.url(name))
