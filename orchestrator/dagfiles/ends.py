"""How a request fails, in words: a worker that gave no answer is read from its report, which holds a traceback
and the status of its end."""

import contextlib
import re
import signal
import socket

from orchestrator.dagfiles.forking import ENDED
from orchestrator.dagfiles.wire import Limits
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_TEMPLATE = re.compile(r'File "<template (?P<field>[^>]*)>"')
_OVERTIME = "Timeout ("
_ENDED = re.compile(rf"{ENDED}(-?\d+)\n$")
_REPORT_LIMIT = 1 << 20


class End(Value, frozen=True, kw_only=True):
    """`status` is the exit code, negative for a signal; `overdue`: it was ended from outside, past its time."""

    report: str
    status: int
    overdue: bool

    @property
    def over_time(self) -> bool:
        return self.overdue or self.report.startswith(_OVERTIME) or self.status == -signal.SIGXCPU

    def line_in(self, file: str) -> int | None:
        """Where the innermost frame of this file stood."""
        shown = file.encode("ascii", "backslashreplace").decode()
        for frame in _FRAME.finditer(self.report):
            if frame["file"] == shown:
                return int(frame["line"])
        return None

    @property
    def template_field(self) -> str:
        """The field whose template was being rendered, or empty."""
        found = _TEMPLATE.search(self.report)
        return found["field"] if found else ""

    def words(self, what: str, limits: Limits) -> str:
        if self.over_time:
            return f"{what} was not over after {limits.seconds:g} s"
        if self.status < 0:
            return f"the process of {what} was ended by {_signal_name(-self.status)}"
        last = self.report.strip().rpartition("\n")[2]
        return f"the process of {what} ended by itself with exit code {self.status}{f': {last}' if last else ''}"


def read_end(report: socket.socket, seconds: float, *, overdue: bool) -> End | None:
    """What a report says of an end; None where it says nothing of one for so many seconds."""
    report.settimeout(seconds)
    data = bytearray()
    with contextlib.suppress(OSError):
        while len(data) < _REPORT_LIMIT and (chunk := report.recv(1 << 16)):
            data += chunk
            if found := _ENDED.search(text := data.decode(errors="replace")):
                return End(report=text[: found.start()], status=int(found[1]), overdue=overdue)
    return None


def refusal(facts: RenderFacts, field: str, words: str, fix: str) -> Reason:
    """`flights.py:12: rank: command: 'dss' is undefined; ... (fix: ...)`"""
    place = f"{facts.dag.file}:{facts.spec.line}: {facts.spec.task_id}"
    what = ": ".join(part for part in (place, field, words) if part)
    return Reason(code=ReasonCode.RENDER_ERROR, text=f"{what} (fix: {fix})" if fix else what)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
