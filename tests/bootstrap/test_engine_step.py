"""Without an engine, `doctor` says exactly what to do, and does it where it can."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from machines import FakeMachine, engine_like

from orchestrator.bootstrap.engine_process import start_engine, stop_engine
from orchestrator.bootstrap.engine_step import engine_step
from orchestrator.bootstrap.steps import Check, Say, Status, run_steps
from orchestrator.clock import SystemClock
from orchestrator.engines.docker.address import Address, Attempt, Search

CLOCK = SystemClock()
NOWHERE = Search(
    address=None, attempts=(Attempt(source="known socket", url="unix:///x.sock", problem="does not exist"),)
)
DENIED = Search(
    address=None, attempts=(Attempt(source="known socket", url="unix:///x.sock", problem="permission denied"),)
)


def line(search: Search, machine: FakeMachine, allowed: Callable[[Check], bool] = lambda _: False) -> Check:
    step = engine_step(lambda: search, machine, Path("/nowhere"), CLOCK)
    (check,) = run_steps([step], lambda _: None, allowed)
    return check


FIXES = {
    "root on Debian": (NOWHERE, FakeMachine(), "installs and starts one"),
    "root, installed": (NOWHERE, FakeMachine(debian=False, programs=("dockerd",)), "starts the installed one"),
    "user on Debian": (
        NOWHERE,
        FakeMachine(root=False),
        "--no-install-recommends docker.io iptables",
    ),
    "user, installed": (
        NOWHERE,
        FakeMachine(root=False, systemd=True, programs=("dockerd",)),
        "systemctl start docker",
    ),
    "elsewhere": (NOWHERE, FakeMachine(debian=False), "Docker Desktop"),
    "not allowed to": (DENIED, FakeMachine(root=False, programs=("dockerd",)), "usermod -aG docker"),
}


@pytest.mark.parametrize("case", FIXES)
def test_the_fix_fits_the_machine(case: str) -> None:
    search, machine, fix = FIXES[case]
    check = line(search, machine)
    assert check.status is Status.FAIL
    assert "unix:///x.sock" in check.text
    assert fix in check.fix
    assert machine.ran == []


@pytest.mark.parametrize("case", ["user on Debian", "user, installed", "elsewhere", "not allowed to"])
def test_what_cannot_be_repaired_is_not_tried(case: str) -> None:
    search, machine, _ = FIXES[case]
    asked: list[Check] = []
    line(search, machine, lambda check: bool(asked.append(check)))
    assert asked == []


def test_an_engine_that_somebody_named_is_not_replaced_by_another(tmp_path: Path) -> None:
    address = Address(url=f"unix://{tmp_path}/gone.sock")
    search = Search(address=address, attempts=(Attempt(source="DOCKER_HOST", url=address.url),))
    machine = FakeMachine()
    check = line(search, machine, lambda _: True)
    assert check.status is Status.FAIL
    assert f"DOCKER_HOST says unix://{tmp_path}/gone.sock" in check.text
    assert "correct DOCKER_HOST" in check.fix
    assert machine.ran == []


def test_missing_packages_are_installed_and_the_engine_is_started(tmp_path: Path) -> None:
    daemon, machine, said = engine_like(tmp_path), FakeMachine(programs=("iptables",)), list[str]()
    step = engine_step(lambda: NOWHERE, machine, tmp_path, CLOCK, daemon)
    assert step.repair is not None
    try:
        step.repair(said.append)
        assert machine.ran == [
            "apt-get update -qq",
            "apt-get install -y -qq -o DPkg::Lock::Timeout=120 --no-install-recommends docker.io",
        ]
        assert any("installing docker.io" in text for text in said)
        machine.ran.clear()
        step.repair(said.append)  # one that answers is left alone
        assert sum("starting" in text for text in said) == 1
    finally:
        assert stop_engine(tmp_path, CLOCK)


def test_an_installed_engine_is_started_by_systemd_where_there_is_one(tmp_path: Path) -> None:
    daemon = engine_like(tmp_path)

    class Systemd(FakeMachine):
        def run(self, command: Sequence[str], say: Say) -> None:
            super().run(command, say)
            start_engine(tmp_path, daemon, CLOCK, say)

    machine = Systemd(systemd=True, programs=("dockerd", "iptables"))
    step = engine_step(lambda: NOWHERE, machine, tmp_path / "other", CLOCK, daemon)
    assert step.repair is not None
    try:
        step.repair(lambda _: None)
        assert machine.ran == ["systemctl start docker"]
        assert not (tmp_path / "other").exists()
    finally:
        assert stop_engine(tmp_path, CLOCK)


@pytest.mark.engine
def test_an_engine_that_answers_is_described(engine_address: Address) -> None:
    search = Search(address=engine_address, attempts=(Attempt(source="x", url=engine_address.url),))
    check = line(search, FakeMachine(), lambda _: pytest.fail("nothing is to be repaired"))
    assert check.status is Status.OK
    assert engine_address.url in check.text
    assert "cores" in check.text
