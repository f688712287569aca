"""What of the store lies beside the database in the home: the lock that one scheduler holds, and the copy of the
deployment's id that ties home and database together.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import SchedulerRunningError, StoreError, StoreUnavailableError
from orchestrator.ids import DeploymentId, new_deployment_id

#: The folder in a home for what belongs to its running processes.
RUN = "run"


class HomeLock:
    """`<home>/run/scheduler.lock`: held by one process at a time, let go by the kernel when it dies."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / RUN / "scheduler.lock"
        self._held: int | None = None

    def take(self) -> None:
        """Hold it from now on; nothing new where this lock is held already. `SchedulerRunningError` names the
        process that holds it."""
        if self._held is not None:
            return
        with told_of_home(self._home):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise SchedulerRunningError(
                f"a scheduler{f' (process {holder})' if holder else ''} runs for {self._home} already",
                fix="use that one, or end it first: Ctrl-C where `up` or `scheduler` was started"
                " (schedulers that stand by for each other need PostgreSQL: setting database.url)",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._held = descriptor

    def release(self) -> None:
        """Let it go; idempotent."""
        if self._held is not None:
            os.ftruncate(self._held, 0)
            os.close(self._held)
            self._held = None


def begin_home(home: Path) -> None:
    """Make the home and its folder for running processes, where there are none. A new one keeps out of git."""
    if (home / RUN).is_dir():
        return
    (home / RUN).mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def deployment_file(home: Path) -> Path:
    return home / "deployment"


def claim_home(home: Path, deployment: DeploymentId) -> None:
    """Tie the home to the deployment of its database. Raises `StoreError` where it is tied to another one."""
    file = deployment_file(home)
    known = read_claim(home)
    if known is None:
        with told_of_home(home):
            begin_home(home)  # over a server the database may be there before it
            new = file.with_name(f"deployment.{os.getpid()}")
            new.write_text(f"{deployment}\n")
            new.replace(file)
    elif known != deployment:
        raise StoreError(
            f"the database is of deployment {deployment}, but its home {home} is of deployment {known}",
            fix=f"put the database of {known} back; or, to give the home to {deployment}: rm {file}"
            f" (containers of {known} are then nobody's)",
        )


def read_claim(home: Path) -> DeploymentId | None:
    """The deployment that a home is tied to, None while there is none."""
    try:
        return DeploymentId(deployment_file(home).read_text().strip())
    except FileNotFoundError:
        return None


def trials_id(home: Path) -> DeploymentId:
    """What the deployments of a home's foreground runs begin with; made at the first of them. It is not the
    database's: those runs need none, and what a killed one leaves behind must be recognised all the same."""
    file = home / RUN / "trials"
    with suppress(FileNotFoundError):
        return DeploymentId(file.read_text().strip())
    with told_of_home(home):
        begin_home(home)
        new = file.with_name(f"trials.{os.getpid()}")
        try:
            new.write_text(f"{new_deployment_id()}\n")
            with suppress(FileExistsError):  # another process was quicker: its id counts
                os.link(new, file)
        finally:
            new.unlink(missing_ok=True)
    return DeploymentId(file.read_text().strip())


@contextmanager
def told_of_home(home: Path) -> Iterator[None]:
    """Raise what the machine says to a write within as a `StoreUnavailableError` that names the home."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreUnavailableError(
            f"the home {home} cannot be written: {error.strerror or error}",
            fix="free some space there, or set ORCHESTRATOR_HOME to a folder on another disk"
            if full
            else "make it writable for your user, or set ORCHESTRATOR_HOME to a folder that is",
        ) from error
