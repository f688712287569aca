"""What the repairs ask of this machine and do to it: who we are, which system it is, which programs there are,
and running one.
"""

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.bootstrap.steps import Say
from orchestrator.errors import RepairError

_LAST_LINES = 20
#: Where administrators' programs are, which a user's PATH may lack.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
#: What Debian's installer says wherever `apt-utils` is not installed, as in most containers.
_NO_NEWS = "debconf: delaying package configuration"
_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class Machine(Protocol):
    """The machine as repairs see it; tests put one of their own in its place."""

    def is_root(self) -> bool: ...

    def is_debian(self) -> bool:
        """Debian or one of its children: `apt-get` installs packages."""

    def has_systemd(self) -> bool:
        """Whether systemd runs as init."""

    def which(self, program: str) -> str | None:
        """The program's path, None where there is none."""

    def run(self, command: Sequence[str], say: Say) -> None:
        """Run to its end; `say` hears its output. `RepairError` with its last lines where it fails."""


class LocalMachine:
    """The machine this process runs on."""

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def is_debian(self) -> bool:
        fields = _os_release(Path("/etc/os-release"))
        kinds = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
        return "debian" in kinds and self.which("apt-get") is not None

    def has_systemd(self) -> bool:
        return Path("/run/systemd/system").is_dir()

    def which(self, program: str) -> str | None:
        return shutil.which(program, path=_environment()["PATH"])

    def run(self, command: Sequence[str], say: Say) -> None:
        last: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise RepairError(f"`{command[0]}` cannot be run: {error}") from error
        with process:
            for line in process.stdout or ():
                if not line.startswith(_NO_NEWS):
                    last.append(line.rstrip())
                    say(line.rstrip())
        if process.returncode != 0:
            told = "\n".join(f"    {line}" for line in last)
            raise RepairError(
                f"`{' '.join(command)}` ended with {process.returncode}:\n{told}",
                fix="correct what it says, then `orchestrator doctor --fix` again",
            )


def install_packages(machine: Machine, packages: Sequence[str], say: Say) -> None:
    """Install packages of the distribution, without what they merely recommend. Needs root on Debian."""
    try:
        machine.run(("apt-get", "update", "-qq"), say)
    except RepairError as error:  # one broken source of many must not be in the way of the others
        say(error.message)
    machine.run(
        ("apt-get", "install", "-y", "-qq", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends", *packages),
        say,
    )


def _environment() -> Mapping[str, str]:
    """Ours, for the programs of the system: proxies and certificates count for them as for us."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, **_UNATTENDED, "PATH": f"{path}:{_SYSTEM_PATH}"}


def _os_release(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key: value.strip("\"'") for key, _, value in pairs}
