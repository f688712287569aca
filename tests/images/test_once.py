"""Work by key is done once, however many ask at one time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from orchestrator.clock import SystemClock
from orchestrator.images.once import Once, Progress
from orchestrator.planning.rows import Reason
from orchestrator.states import ReasonCode


def reason(text: str) -> Reason:
    return Reason(code=ReasonCode.IMAGE_BUILDING, text=text)


class Work:
    """Counts its calls and goes on only when it may."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.began, self.may_end = threading.Event(), threading.Event()
        self._error = error

    def __call__(self, tell: Progress) -> str:
        self.calls += 1
        tell(reason("half"))
        self.began.set()
        assert self.may_end.wait(20)
        tell(reason("whole"))
        if self._error:
            raise self._error
        return "value"


def joined(once: Once[str], work: Work, waiters: int) -> tuple[list[object], list[list[str]]]:
    """Run `work` from one thread and let others join; outcomes and what each heard."""
    heard: list[list[str]] = [[] for _ in range(waiters + 1)]
    ready = threading.Semaphore(0)

    def listen(index: int) -> Progress:
        def progress(said: Reason) -> None:
            heard[index].append(said.text)
            ready.release()

        return progress

    with ThreadPoolExecutor(waiters + 1) as pool:
        first = pool.submit(once.run, "key", work, listen(0))
        assert work.began.wait(20)
        others = [pool.submit(once.run, "key", work, listen(index + 1)) for index in range(waiters)]
        for _ in range(waiters + 1):  # each of them has heard "half"
            assert ready.acquire(timeout=20)
        work.may_end.set()
        return [each.exception() or each.result() for each in (first, *others)], heard


def test_all_who_ask_share_one_doing_and_hear_of_it() -> None:
    work = Work()
    outcomes, heard = joined(Once(SystemClock()), work, waiters=3)
    assert outcomes == ["value"] * 4
    assert heard == [["half", "whole"]] * 4
    assert work.calls == 1


def test_all_who_ask_share_a_failure_and_the_next_one_tries_anew() -> None:
    once: Once[str] = Once(SystemClock())
    work = Work(error=ValueError("no"))
    outcomes, _ = joined(once, work, waiters=2)
    assert [type(each) for each in outcomes] == [ValueError] * 3
    good = Work()
    good.may_end.set()
    assert once.run("key", good, lambda _: None) == "value"


def test_who_waits_may_lose_patience_and_the_work_goes_on() -> None:
    once: Once[str] = Once(SystemClock())
    work = Work()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(once.run, "key", work, lambda _: None)
        assert work.began.wait(20)
        with pytest.raises(TimeoutError):
            once.run("key", work, lambda _: None, timedelta(milliseconds=1))
        work.may_end.set()
        assert first.result() == "value"


def test_keys_do_not_wait_for_one_another() -> None:
    once: Once[str] = Once(SystemClock())
    slow, quick = Work(), Work()
    quick.may_end.set()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(once.run, "slow", slow, lambda _: None)
        assert slow.began.wait(20)
        assert once.run("quick", quick, lambda _: None) == "value"
        slow.may_end.set()
        assert first.result() == "value"
