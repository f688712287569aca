"""The scheduler's local socket: it wakes, it tells, and no client can hold it up, fill its memory or end it."""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from orchestrator.ids import TaskKey, TryKey
from orchestrator.planning.explain import Explained, Question
from orchestrator.planning.rows import Answer, Reason
from orchestrator.scheduler import local_socket
from orchestrator.scheduler.local_socket import Following, LocalSocket, ask, wake
from orchestrator.scheduler.notices import LogGrew, Notice, RequestAnswered
from orchestrator.states import ReasonCode

SOON = 20.0
KEY = TryKey(TaskKey("d", "r", "t"), 1)
_HELLO_FOLLOW = b"\x00\x00\x00\x0e\x81\xa5wants\xa6follow"


class Served:
    """A socket that is served, and how often it was woken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.woken = threading.Semaphore(0)
        self.socket = LocalSocket(path)
        self.questions: list[Question] = []
        self.socket.start(self.woken.release, self._answer)

    def _answer(self, question: Question, answer: Callable[[Explained], None]) -> None:
        """To a question about `slow` nothing, to one about `threads` from another thread."""
        self.questions.append(question)
        told = Explained(reason=Reason(code=ReasonCode.PAUSED, text=question.dag_id))
        if question.dag_id == "threads":
            in_a_thread(lambda: answer(told))
        elif question.dag_id != "slow":
            answer(told)

    def wait_woken(self) -> None:
        assert self.woken.acquire(timeout=SOON)

    def is_well(self) -> None:
        """It wakes and tells as ever."""
        assert wake(self.path)
        self.wait_woken()
        with Following(self.path) as following:
            self.socket.publish(LogGrew(key=KEY))
            assert next(following.notices()) == LogGrew(key=KEY)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "run" / "s.sock")
    yield made
    made.socket.close()


def connected(served: Served) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SOON)
    try:
        connection.connect(str(served.path))
    except OSError:
        connection.close()
        raise
    return connection


def until_cut_off(connection: socket.socket) -> int:
    """How many bytes came before the other side hung up."""
    heard = 0
    try:
        while data := connection.recv(1 << 20):
            heard += len(data)
    except ConnectionResetError:
        pass
    return heard


def in_a_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_who_wakes_is_heard_each_time(served: Served) -> None:
    for _ in range(3):
        assert wake(served.path)
        served.wait_woken()


def test_every_follower_hears_every_notice_in_order(served: Served) -> None:
    notices: list[Notice] = [RequestAnswered(request_id=number, answer=Answer(ok=True)) for number in range(200)]
    with Following(served.path) as first, Following(served.path) as second:
        for notice in notices:
            served.socket.publish(notice)
        for following in (first, second):
            heard = following.notices()
            assert [next(heard) for _ in notices] == notices


def test_a_following_misses_nothing_from_its_making_on(served: Served) -> None:
    for number in range(50):
        with Following(served.path) as following:
            notice = RequestAnswered(request_id=number, answer=Answer(ok=True))
            served.socket.publish(notice)
            assert next(following.notices()) == notice


def test_an_answer_is_waited_for(served: Served) -> None:
    with Following(served.path) as following:
        for number in (7, 8):
            served.socket.publish(RequestAnswered(request_id=number, answer=Answer(ok=True)))
        assert following.answer_to(8, SOON)
        assert not following.answer_to(9, 0.01)


def test_a_follower_that_reads_nothing_is_cut_off_and_the_others_are_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "_BACKLOG", 10_000)
    answer = RequestAnswered(request_id=1, answer=Answer(ok=True, data={"text": "x" * 1000}))
    slow = connected(served)
    with slow, Following(served.path) as quick:
        slow.sendall(_HELLO_FOLLOW)
        assert slow.recv(5)
        heard = quick.notices()
        for _ in range(2000):
            served.socket.publish(answer)
            assert next(heard) == answer
        assert until_cut_off(slow) < 2000 * 1000
    served.is_well()


@pytest.mark.parametrize(
    "nonsense",
    [b"\xff" * 5000, b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x00", b"GET / HTTP/1.1\r\n\r\n" + b"x" * 5000],
)
def test_a_client_that_talks_nonsense_is_cut_off(served: Served, nonsense: bytes) -> None:
    with connected(served) as client:
        client.sendall(nonsense)
        assert until_cut_off(client) == 0
    served.is_well()


def test_a_client_that_announces_more_than_it_may_say_is_cut_off_before_it_says_it(served: Served) -> None:
    with connected(served) as client:
        client.sendall(b"\x7f\xff\xff\xff")
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            client.sendall(b"x" * (1 << 22))
    served.is_well()


def test_clients_that_come_and_go_at_once_harm_nobody(served: Served) -> None:
    def storm() -> None:
        for _ in range(100):
            with suppress(BlockingIOError), connected(served) as client:  # many wait to be taken
                client.sendall(_HELLO_FOLLOW)

    storms = [in_a_thread(storm) for _ in range(3)]
    for _ in range(300):
        served.socket.publish(LogGrew(key=KEY))
    for each in storms:
        each.join(SOON)
    served.is_well()


@pytest.mark.parametrize("dag_id", ["at_once", "threads"])
def test_who_asks_gets_the_answer_to_the_own_question(served: Served, dag_id: str) -> None:
    question = Question(dag_id=dag_id, run_id="r", task_id="t" * 250)
    with Following(served.path) as following:
        answer = ask(served.path, question, SOON)
        served.socket.publish(LogGrew(key=KEY))
        assert next(following.notices()) == LogGrew(key=KEY), "answers are for who asked alone"
    assert answer == Explained(reason=Reason(code=ReasonCode.PAUSED, text=dag_id))
    assert served.questions == [question]


def test_who_gets_no_answer_in_time_goes_on_and_is_not_missed(served: Served) -> None:
    assert ask(served.path, Question(dag_id="slow"), 0.01) is None
    served.is_well()


def test_where_no_scheduler_listens_a_question_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(tmp_path / "none.sock", Question(dag_id="d"), SOON)


def test_a_fault_in_being_woken_costs_one_client(tmp_path: Path) -> None:
    faults = iter([RuntimeError("broken")])

    def on_wake() -> None:
        for fault in faults:
            raise fault

    made = LocalSocket(tmp_path / "s.sock")
    made.start(on_wake, lambda _question, _answer: None)
    assert wake(tmp_path / "s.sock")
    with Following(tmp_path / "s.sock") as following:
        made.publish(LogGrew(key=KEY))
        assert next(following.notices()) == LogGrew(key=KEY)
    made.close()


def test_more_clients_than_it_takes_wait_for_one_to_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "_MOST_CLIENTS", 3)
    first, *others = [connected(served) for _ in range(5)]
    for client in (first, *others):
        client.sendall(_HELLO_FOLLOW)
    for client in (first, *others[:2]):
        assert client.recv(5)
    first.close()
    assert others[2].recv(5)
    for client in others:
        client.close()
    served.is_well()


def test_while_nobody_can_be_taken_it_does_not_spin(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As without file handles."""
    tried = threading.Semaphore(0)
    answers = iter([OSError(24, "Too many open files")])
    accept = served.socket._listener.accept

    class Listener:
        def accept(self) -> object:
            tried.release()
            for refusal in answers:
                raise refusal
            return accept()

    real = served.socket._listener
    served.socket._selector.unregister(real)
    listener = _Like(real, Listener().accept)
    monkeypatch.setattr(served.socket, "_listener", listener)
    served.socket._selector.register(cast("socket.socket", listener), selectors.EVENT_READ)
    with connected(served) as client:
        client.sendall(_HELLO_FOLLOW)
        assert tried.acquire(timeout=SOON)
        assert not tried.acquire(timeout=0)
        assert client.recv(5)


def test_a_path_that_is_too_long_for_the_kernel_is_reached_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    served = Served(folder / "scheduler.sock")
    served.is_well()
    served.socket.close()
    assert list(folder.iterdir()) == []
    assert not wake(folder / "scheduler.sock")


def test_the_folder_is_the_owners_alone(served: Served) -> None:
    assert served.path.parent.stat().st_mode & 0o077 == 0


def test_the_socket_of_a_dead_scheduler_is_replaced(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(tmp_path / "s.sock"))
    dead.close()
    assert not wake(tmp_path / "s.sock")
    served = Served(tmp_path / "s.sock")
    served.is_well()
    served.socket.close()


def test_of_two_at_one_home_the_later_one_is_reached_whatever_becomes_of_the_other(tmp_path: Path) -> None:
    """As when one leads, stands still, and wakes up when another one leads."""
    before, now = Served(tmp_path / "s.sock"), Served(tmp_path / "s.sock")
    now.is_well()
    before.socket.close()
    now.is_well()
    now.socket.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_scheduler_there_is_nobody_to_wake_or_follow(tmp_path: Path) -> None:
    assert not wake(tmp_path / "none.sock")
    with Following.if_any(tmp_path / "none.sock") as following:
        assert following is None


def test_a_scheduler_that_goes_away_ends_its_followers(served: Served) -> None:
    with Following(served.path) as following:
        heard = following.notices()
        served.socket.publish(LogGrew(key=KEY))
        assert next(heard) == LogGrew(key=KEY)
        served.socket.close()
        assert list(heard) == []
        assert not following.answer_to(1, SOON)
    assert not served.path.exists()


def test_a_scheduler_that_is_stuck_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "_GREETING", 0.05)
    stuck = LocalSocket(tmp_path / "s.sock")  # it listens and is never served
    with Following.if_any(tmp_path / "s.sock") as following:
        assert following is None
    stuck.close()


class _Like:
    """A listener that accepts in another way."""

    def __init__(self, listener: socket.socket, accept: Callable[[], object]) -> None:
        self._listener = listener
        self.accept = accept
        self.fileno = listener.fileno
        self.close = listener.close
