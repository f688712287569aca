"""Is there an engine that answers? On Debian and its children, as root, one is installed from the distribution's
packages and started; an engine that answers is never touched.
"""

import getpass
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from orchestrator.bootstrap.engine_process import STANDARD_SOCKET, Daemon, answers, start_engine, wait_until
from orchestrator.bootstrap.machine import Machine, install_packages
from orchestrator.bootstrap.steps import Finding, Say, Step, fail, ok
from orchestrator.clock import Clock
from orchestrator.engines.docker.address import DENIED, Attempt, Search
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import EngineDeniedError, EngineUnavailableError, RepairError

NAME = "engine"
_PACKAGES = ("docker.io", "iptables")
_GIB = 1 << 30
_SERVICE_LIMIT = timedelta(seconds=90)


def engine_step(
    search: Callable[[], Search], machine: Machine, home: Path, clock: Clock, daemon: Daemon | None = None
) -> Step:
    """The step `engine`. `search` looks for an engine anew each time it is asked; `daemon` is how one is
    started where no service manager does."""
    started = daemon or Daemon()
    return Step(
        name=NAME,
        look=lambda: _look(search(), machine, clock),
        repair=lambda say: _repair(machine, home, clock, started, say),
    )


def _look(search: Search, machine: Machine, clock: Clock) -> Finding:
    if search.address is None:
        return _none_found(search.attempts, machine)
    address = search.address
    engine = DockerEngine(lambda: address, clock, timeout=10)
    try:
        capacity = engine.capacity()
    except EngineDeniedError as error:
        return fail(error.message, error.fix)
    except EngineUnavailableError as error:
        source = search.attempts[-1].source
        if address.url == f"unix://{STANDARD_SOCKET}":
            return _none_found(search.attempts, machine)
        return fail(f"{error.message} ({source} says {address.url})", f"start that engine, or correct {source}")
    finally:
        engine.close()
    return ok(
        f"Docker Engine {capacity.version} (API {capacity.api_version}) at {address.url}: {capacity.cpus} cores, "
        f"{capacity.memory / _GIB:.1f} GiB, {capacity.os}/{capacity.architecture}"
    )


def _none_found(attempts: Sequence[Attempt], machine: Machine) -> Finding:
    denied = [each.url for each in attempts if each.problem == DENIED]
    if denied:
        error = EngineDeniedError(denied[0])
        return fail(error.message, error.fix)
    tried = "; ".join(f"{each.url}: {each.problem or 'does not answer'}" for each in attempts)
    text = f"no Docker engine answers ({tried})"
    if not machine.is_root() or not (machine.which("dockerd") or machine.is_debian()):
        return fail(text, _by_hand(machine))
    if machine.which("dockerd"):
        return fail(text, "`orchestrator doctor --fix` starts the installed one", repairable=True)
    return fail(text, "`orchestrator doctor --fix` installs and starts one", repairable=True)


def _by_hand(machine: Machine) -> str:
    start = "systemctl start docker" if machine.has_systemd() else "(setsid dockerd >dockerd.log 2>&1 &)"
    if machine.which("dockerd"):
        return f"as root: {start}"
    if machine.is_debian():
        return (
            f"as root: apt-get update && apt-get install -y --no-install-recommends {' '.join(_PACKAGES)} && "
            f"usermod -aG docker {getpass.getuser()} && {start}; then log in again"
        )
    return "install and start Docker Engine or Docker Desktop, or set DOCKER_HOST to an engine elsewhere"


def _repair(machine: Machine, home: Path, clock: Clock, daemon: Daemon, say: Say) -> None:
    missing = [package for package in _PACKAGES if not _there(machine, package)]
    if missing and machine.is_debian():
        say(f"installing {' and '.join(missing)} from the distribution's packages")
        install_packages(machine, missing, say)
    if answers(daemon.socket):  # its package started it
        return
    if not machine.has_systemd():
        start_engine(home, daemon, clock, say)
        return
    say("starting the service docker")
    machine.run(("systemctl", "start", "docker"), say)
    if not wait_until(clock, _SERVICE_LIMIT, lambda: answers(daemon.socket)):
        raise RepairError(
            f"the service docker runs and does not answer at {daemon.socket}", fix="see `journalctl -u docker`"
        )


def _there(machine: Machine, package: str) -> bool:
    return machine.which("dockerd" if package == "docker.io" else package) is not None
