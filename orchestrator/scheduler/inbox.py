"""The one way into the loop: whatever happens anywhere is posted here and taken in whole turns."""

import queue
from collections.abc import Callable

from orchestrator.planning.events import Event
from orchestrator.planning.explain import Explained, Question
from orchestrator.spec.value import Value


class Wake(Value, frozen=True, kw_only=True):
    """A face wrote a request: look at the unanswered ones now."""


class Asked(Value, frozen=True, kw_only=True):
    """A face asks why something does not run; `answer` takes what the loop knows, and never waits."""

    question: Question
    answer: Callable[[Explained], None]


class EngineConnected(Value, frozen=True, kw_only=True):
    """The event stream is attached (again), or something went unheard: the engine must be asked for everything."""


class Fenced(Value, frozen=True, kw_only=True):
    """The database says that another scheduler leads."""


class Quit(Value, frozen=True, kw_only=True):
    """The process is asked to stop; containers keep running."""


Message = Event | Wake | Asked | EngineConnected | Fenced | Quit


class Inbox:
    """A queue of messages, taken by one thread and posted to by any."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def post(self, message: Message) -> None:
        self._queue.put(message)

    def take(self, seconds: float) -> list[Message]:
        """All messages there are; waits up to `seconds` for a first one."""
        try:
            messages = [self._queue.get(timeout=max(seconds, 0.0))] if seconds > 0 else [self._queue.get_nowait()]
        except queue.Empty:
            return []
        while True:
            try:
                messages.append(self._queue.get_nowait())
            except queue.Empty:
                return messages
