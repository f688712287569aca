"""A real registry on loopback, which engines take without TLS. Its program comes from Debian's package, unpacked
into a folder of the test session; nothing is installed.
"""

import os
import shutil
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.bootstrap.engine_process import wait_until
from orchestrator.bootstrap.machine import LocalMachine
from orchestrator.clock import SystemClock
from orchestrator.errors import RepairError

_LIMIT = timedelta(seconds=30)
_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: "{data}"}}}}
http: {{addr: "{address}"}}
{auth}
"""
_LOCKED = "auth: {{htpasswd: {{realm: test, path: {path}}}}}"
#: Who is let in, with which password, and what registries are told of it.
READER, PASSWORD = "reader", "correct-horse"
_READERS = f"{READER}:$2b$04$UzNC3SW71.ExINeQn97aveAfBK1rN206ZJT.Thr9.YmUVRiv1uYVu\n"


def need_registry_program(folder: Path) -> Path:
    """The registry's program; skips where it cannot be had."""
    found = shutil.which("docker-registry")
    if found:
        return Path(found)
    machine = LocalMachine()
    if not (machine.is_root() and machine.is_debian()):
        pytest.skip("needs docker-registry, or root on Debian to get its package")
    get = "apt-get download -qq docker-registry"
    script = f'cd "$0" && ({get} || (apt-get update -qq && {get}))'
    try:
        machine.run(("sh", "-c", script, str(folder)), print)
        machine.run(("dpkg", "-x", str(next(folder.glob("docker-registry_*.deb"))), str(folder / "root")), print)
    except RepairError as error:
        pytest.skip(f"needs Debian's package docker-registry: {error}")
    return folder / "root/usr/bin/docker-registry"


class Registry:
    """One running registry. `locked` lets nobody in but READER."""

    def __init__(self, program: Path, folder: Path, *, locked: bool = False) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        auth = _LOCKED.format(path=folder / "readers") if locked else ""
        (folder / "readers").write_text(_READERS)
        config = folder / "config.yml"
        config.write_text(_CONFIG.format(data=folder / "data", address=self.address, auth=auth))
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [program, "serve", config], stdout=log, stderr=log, env={"PATH": os.defpath}
            )
        assert wait_until(SystemClock(), _LIMIT, self._answers), (folder / "log").read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
