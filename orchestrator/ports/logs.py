"""What services may expect of the place where logs of tries are kept."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntFlag
from typing import Protocol

from orchestrator.ids import TryKey
from orchestrator.ports.engine import Stream
from orchestrator.spec.value import Value


class LogFlag(IntFlag):
    """What a log record is besides plain output as it came."""

    NONE = 0
    READ_BACK = 1  #: read back from the engine's own log after the fact
    SYSTEM = 2  #: a line of ours, in the index only
    TRUNCATED = 4  #: bytes are known to be missing here
    END = 8  #: the log is whole and nothing follows; in the index only, never in a `LogRecord`
    PART = 16  #: a system line: the output of one of the try's containers is whole, that of another one follows


class LogRecord(Value, frozen=True, kw_only=True):
    """One stretch of a log: payload bytes of one stream, or (SYSTEM) a line of ours in `data`.

    `offset` counts the bytes of the log as it is shown, system lines included, and is never used twice: a
    follower goes on at `offset + len(data)` of the last record it has, whatever was cut back meanwhile."""

    offset: int
    data: bytes
    stream: Stream
    at: datetime
    flags: LogFlag = LogFlag.NONE


class LogWriter(Protocol):
    """Appends to one try's log. One thread at a time. What raises `LogUnavailableError` was not stored, and
    may be tried again."""

    def append(
        self, stretches: Sequence[tuple[Stream, bytes]], at: datetime, flags: LogFlag = LogFlag.NONE
    ) -> None:
        """Add payload, in order: all of it or, where it raises, nothing."""

    def note(self, text: str, at: datetime, flags: LogFlag = LogFlag.NONE) -> None:
        """A system line: shown between the task's own, not part of its bytes. TRUNCATED: bytes miss here."""

    def rewind(self) -> dict[Stream, int]:
        """Cut each stream of the newest part back to its last complete line; returns how many complete lines of
        that part each keeps."""

    def restart(self) -> None:
        """Drop what was stored of the newest part, whose container is to write it anew."""

    def end(self, at: datetime) -> None:
        """Mark the log as whole: nothing is missing and nothing follows."""

    def close(self) -> None:
        """Let go of it; idempotent. What was appended or marked survives a power failure from here on."""


class LogStore(Protocol):
    """Where logs of tries are kept: `<try>.log` and `<try>.idx` (spec images-and-engine 4). Safe to read, from
    any process, while one writes. Every call raises `LogUnavailableError` where the files cannot be used now.

    The log of a try that has several containers, one after the other, has a part for each; a line noted as `PART`
    ends one."""

    def writer(self, key: TryKey) -> LogWriter:
        """Open a log to append to it, creating it if need be; what a crash left half-written is cut off."""

    def records(self, key: TryKey, start: int = 0) -> Iterator[LogRecord]:
        """What is stored now from `start` (an offset as in `LogRecord`) on; empty where there is no log."""

    def ended(self, key: TryKey, part: int = 1) -> bool:
        """Whether the log is marked as whole up to the end of that part, counted from 1."""

    def last_line(self, key: TryKey, stream: Stream, limit: int) -> bytes | None:
        """The last line of the newest part that holds more than white space, without its end; None where there is
        none. Never reads more than `limit` bytes for it (`FileTooLargeError`)."""

    def ends(self, key: TryKey, limit: int) -> dict[Stream, bytes]:
        """The last bytes of each stream of the newest part, `limit` of each at most."""

    def tail(self, key: TryKey, lines: int) -> tuple[str, ...]:
        """The last lines of both streams as text, for messages."""

    def remove(self, key: TryKey) -> None:
        """Delete a log; nothing happens where there is none."""
