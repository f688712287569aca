"""Who is asked to approve in `dags test`: a person at the terminal, once for each try of a task, or nobody."""

import queue
from datetime import UTC, datetime

from msgspec.structs import replace

from orchestrator.cli.approvals import Asking
from orchestrator.ids import TaskKey
from orchestrator.planning.awaits import ApprovalWait
from orchestrator.planning.rows import TaskInstance
from orchestrator.states import TaskState

KEY = TaskKey("d", "r", "t")
WAITING = TaskInstance(
    key=KEY,
    state=TaskState.UP_FOR_RESCHEDULE,
    tries=1,
    due_at=datetime(2024, 5, 1, tzinfo=UTC),
    awaits=ApprovalWait(prompt="Ship it?"),
)


class Heard:
    """A person who says no, and what came of it."""

    def __init__(self, *, answer: bool | None = None) -> None:
        self.questions: list[str] = []
        self.decided: queue.SimpleQueue[tuple[TaskKey, bool]] = queue.SimpleQueue()
        self.asking = Asking(self._ask, lambda key, approved: self.decided.put((key, approved)), answer=answer)

    def _ask(self, question: str) -> bool:
        self.questions.append(question)
        return False


def test_a_person_is_asked_once_for_each_try() -> None:
    heard = Heard()
    for task in (replace(WAITING, state=TaskState.QUEUED), WAITING, WAITING, replace(WAITING, tries=2)):
        heard.asking.take(task)
    assert [heard.decided.get(timeout=9) for _ in range(2)] == [(KEY, False)] * 2
    assert heard.questions == ["t: Ship it?"] * 2


def test_with_an_answer_nobody_is_asked() -> None:
    heard = Heard(answer=True)
    heard.asking.take(WAITING)
    assert heard.decided.get(timeout=9) == (KEY, True)
    assert heard.questions == []
