"""Threads that do what is submitted, and never keep a process from ending."""

import queue
import threading
from collections.abc import Callable

from orchestrator.scheduler.workers import Workers

SOON = 20.0


def gated(begun: threading.Semaphore, gate: threading.Event) -> Callable[[], None]:
    def work() -> None:
        begun.release()
        gate.wait(SOON)

    return work


def test_work_is_done_in_order() -> None:
    workers, done = Workers(1, "test"), queue.SimpleQueue[int]()
    for number in range(100):
        workers.submit(lambda number=number: done.put(number))
    assert [done.get(timeout=SOON) for _ in range(100)] == list(range(100))
    workers.close()
    assert workers.join(SOON)


def test_as_many_as_allowed_work_at_one_time_and_no_more() -> None:
    workers, begun, gate = Workers(3, "test"), threading.Semaphore(0), threading.Event()
    for _ in range(5):
        workers.submit(gated(begun, gate))
    for _ in range(3):
        assert begun.acquire(timeout=SOON)
    assert not begun.acquire(timeout=0)
    gate.set()
    for _ in range(2):
        assert begun.acquire(timeout=SOON)
    workers.close()
    assert workers.join(SOON)


def test_two_that_come_while_one_is_idle_work_at_one_time() -> None:
    workers, begun, gate = Workers(2, "test"), threading.Semaphore(0), threading.Event()
    open_gate = threading.Event()
    open_gate.set()
    workers.submit(gated(begun, open_gate))
    assert begun.acquire(timeout=SOON)
    for _ in range(2):
        workers.submit(gated(begun, gate))
    for _ in range(2):
        assert begun.acquire(timeout=SOON)
    gate.set()
    workers.close()
    assert workers.join(SOON)


def test_work_that_raises_harms_no_other() -> None:
    workers, done = Workers(1, "test"), threading.Event()
    workers.submit(lambda: {}["nothing"])
    workers.submit(done.set)
    assert done.wait(SOON)
    workers.close()
    assert workers.join(SOON)


def test_after_close_nothing_begins_and_what_is_under_way_is_waited_for_as_long_as_one_likes() -> None:
    workers, begun, gate = Workers(1, "test"), threading.Semaphore(0), threading.Event()
    workers.submit(gated(begun, gate))
    assert begun.acquire(timeout=SOON)
    workers.submit(begun.release)
    workers.close()
    workers.submit(begun.release)
    assert not workers.join(0.01)
    gate.set()
    assert workers.join(SOON)
    assert not begun.acquire(timeout=0)


def test_its_threads_are_daemons_and_made_only_when_needed() -> None:
    def named() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("only-when-needed")]

    workers, begun, gate = Workers(8, "only-when-needed"), threading.Semaphore(0), threading.Event()
    assert named() == []
    workers.submit(gated(begun, gate))
    assert begun.acquire(timeout=SOON)
    assert [thread.daemon for thread in named()] == [True]
    gate.set()
    workers.close()
    assert workers.join(SOON)
