"""The faults that the fake engine has on demand."""

import threading
from typing import Any

import pytest

from orchestrator.clock import SystemClock
from orchestrator.errors import EngineTimeoutError, EngineUnavailableError
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, DeploymentId
from orchestrator.ports import Stream
from orchestrator.spec.container import ContainerSpec, ContainerState, EngineEvent, EngineEventKind
from orchestrator.testing.call_log import CountingEngine
from orchestrator.testing.fake_engine import FakeEngine, Outage
from orchestrator.testing.fake_output import frame
from orchestrator.testing.programs import Program, says

D = DeploymentId("00000000")
STAYS = Program(stays=True)


def spec(name: str = "orc-x", **changes: Any) -> ContainerSpec:
    labels = {DEPLOYMENT_LABEL: D, KIND_LABEL: "try"}
    return ContainerSpec(name=name, image="i", image_name="i", labels=labels, **changes)


def engine(program: Program) -> FakeEngine:
    return FakeEngine(SystemClock(), lambda _: program)


def heard(fake: FakeEngine, events: Any) -> list[tuple[str, int | None]]:
    """What a listener heard until the engine was closed."""
    fake.close()
    return [(event.kind.value, event.exit_code) for event in events]


def test_a_call_can_fail_before_it_took_effect() -> None:
    fake = engine(STAYS)
    container = fake.create(spec())
    fake.faults.fail("start", EngineTimeoutError("silence"))
    with pytest.raises(EngineTimeoutError):
        fake.start(container)
    assert fake.inspect(container).state is ContainerState.CREATED
    fake.start(container)
    assert fake.inspect(container).state is ContainerState.RUNNING


def test_a_call_can_fail_after_it_took_effect() -> None:
    fake = engine(STAYS)
    container = fake.create(spec())
    fake.faults.fail("start", EngineTimeoutError("silence"), after_effect=True)
    with pytest.raises(EngineTimeoutError):
        fake.start(container)
    assert fake.inspect(container).state is ContainerState.RUNNING


def test_a_fault_strikes_as_often_as_planned() -> None:
    fake = engine(STAYS)
    fake.faults.fail("ping", EngineUnavailableError("away"), times=2)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError):
            fake.ping()
    fake.ping()


def test_a_call_can_hang_after_its_effect_until_it_is_let_go() -> None:
    fake = engine(STAYS)
    container = fake.create(spec())
    pause = fake.faults.pause("start", after_effect=True)
    caller = threading.Thread(target=fake.start, args=(container,))
    caller.start()
    assert pause.reached.wait(10)
    assert fake.inspect(container).state is ContainerState.RUNNING
    assert caller.is_alive()
    pause.proceed.set()
    caller.join(10)
    assert not caller.is_alive()


def test_events_get_lost_and_doubled_on_demand() -> None:
    fake = engine(Program(exit_code=2))
    events = fake.events(D)
    fake.board.lose(EngineEventKind.START)
    fake.board.duplicate(EngineEventKind.DIE)
    fake.start(fake.create(spec("orc-a")))
    fake.start(fake.create(spec("orc-b")))
    assert heard(fake, events) == [
        ("connected", None),
        ("create", None),
        ("die", 2),
        ("die", 2),
        ("create", None),
        ("start", None),
        ("die", 2),
    ]


def test_events_come_late_on_demand_and_in_order() -> None:
    fake = engine(Program())
    events = fake.events(D)
    fake.board.hold()
    fake.start(fake.create(spec()))
    listener: list[EngineEvent] = [next(events)]
    fake.board.release()
    listener += [next(events) for _ in range(3)]
    assert [event.kind.value for event in listener] == ["connected", "create", "start", "die"]
    fake.close()


def test_when_only_the_connection_is_lost_containers_run_on_and_their_end_is_told_to_nobody() -> None:
    fake = engine(STAYS)
    events = fake.events(D)
    container = fake.create(spec())
    stream = fake.attach_logs(container)
    fake.start(container)
    fake.go_down()
    with pytest.raises(EngineUnavailableError):
        fake.inspect(container)
    assert stream.recv() == b""
    fake.finish("orc-x", 5)
    fake.come_up()
    facts = fake.inspect(container)
    assert facts.exit is not None
    assert facts.exit.exit_code == 5
    kinds = [kind for kind, _ in heard(fake, events)]
    assert kinds == ["connected", "create", "start", "disconnected", "connected"]
    stream.close()


def test_an_orderly_stop_of_the_engine_tells_the_ends_it_caused() -> None:
    fake = engine(STAYS)
    events = fake.events(D)
    fake.start(fake.create(spec()))
    fake.go_down(Outage.STOPPED)
    assert heard(fake, events)[-3:] == [("kill", None), ("die", 143), ("disconnected", None)]


@pytest.mark.parametrize(
    ("outage", "ended", "code"),
    [(Outage.CRASHED, None, 143), (Outage.CRASHED, 3, 3), (Outage.POWER, None, 255)],
    ids=["crashed", "crashed and ended meanwhile", "power cut"],
)
def test_a_crash_of_the_engine_leaves_exit_codes_only(outage: Outage, ended: int | None, code: int) -> None:
    fake = engine(STAYS)
    events = fake.events(D)
    container = fake.create(spec())
    fake.start(container)
    fake.go_down(outage)
    if ended is not None:
        fake.finish(container, ended)
    fake.come_up()
    facts, since = fake.inspect(container), fake.life().since
    assert facts.exit is not None
    assert facts.exit.exit_code == code
    assert [kind for kind, _ in heard(fake, events)][-3:] == ["start", "disconnected", "connected"]
    assert since is not None
    assert facts.started_at is not None
    assert facts.started_at < since


@pytest.mark.parametrize("outage", [Outage.STOPPED, Outage.CRASHED])
def test_with_live_restore_containers_outlive_the_engine(outage: Outage) -> None:
    fake = engine(STAYS)
    fake.live_restore = True
    events = fake.events(D)
    container = fake.create(spec())
    fake.start(container)
    life = fake.life()
    fake.go_down(outage)
    fake.come_up()
    assert fake.inspect(container).state is ContainerState.RUNNING
    assert fake.life() == life
    assert [kind for kind, _ in heard(fake, events)][-3:] == ["start", "disconnected", "connected"]


def test_a_running_program_writes_what_the_test_says() -> None:
    fake = engine(STAYS)
    container = fake.create(spec())
    stream = fake.attach_logs(container)
    fake.start(container)
    fake.write("orc-x", b"half ")
    fake.write("orc-x", b"line\n", Stream.STDERR)
    assert stream.recv() == frame(Stream.STDOUT, b"half ")
    assert stream.recv() == frame(Stream.STDERR, b"line\n")
    assert stream.recv() is None
    assert list(fake.read_logs(container)) == [frame(Stream.STDERR, b"line\n")]
    fake.finish("orc-x")
    assert list(fake.read_logs(container))[1:] == [frame(Stream.STDOUT, b"half ")]
    assert stream.recv() == b""
    stream.close()
    fake.close()


def test_a_follower_may_miss_the_tail_that_a_read_afterwards_has() -> None:
    fake = FakeEngine(SystemClock(), lambda _: STAYS, follow_loses_tail=True)
    container = fake.create(spec())
    fake.start(container)
    stream = fake.follow_logs(container)
    fake.write("orc-x", b"one\n")
    fake.write("orc-x", b"two\n")
    fake.finish("orc-x")
    assert stream.recv() == frame(Stream.STDOUT, b"one\n")
    assert stream.recv() == b""
    assert list(fake.read_logs(container))[-1] == frame(Stream.STDOUT, b"two\n")
    stream.close()


def test_starts_are_counted_for_each_container() -> None:
    fake = engine(says("x"))
    container = fake.create(spec())
    fake.start(container)
    fake.start(container)
    assert fake.container("orc-x").starts == 2


def test_any_engines_calls_can_be_counted() -> None:
    counting = CountingEngine(engine(Program()))
    container = counting.create(spec())
    mark = counting.calls.mark()
    counting.start(container)
    counting.inspect(container)
    counting.inspect(container)
    assert [call.verb for call in counting.calls.since(mark)] == ["start", "inspect", "inspect"]
    assert (counting.calls.count("inspect"), counting.calls.count("list_ours")) == (2, 0)
    assert counting.calls.all[0].subject == "orc-x"
    counting.close()
