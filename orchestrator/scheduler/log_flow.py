"""The way of one try's output from its stream into its log: frames taken apart, secrets masked, known lines
skipped, the rest appended. Used by one thread at a time: by the pump's writer until `ended`, then by who completes
the log."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime

from orchestrator.errors import LogUnavailableError
from orchestrator.ids import TryKey
from orchestrator.ports import ByteStream, LogFlag, LogStore, LogWriter, Stream
from orchestrator.scheduler.demux import Demultiplexer
from orchestrator.scheduler.intake import Source
from orchestrator.scheduler.known_lines import END_BYTES, KnownLines
from orchestrator.scheduler.masking import Masker
from orchestrator.scheduler.masks import Mask, no_mask

_LOST_NOTE = "the engine has lost lines that stand above, and perhaps others that follow them"


class LogFlow(Source):
    """`attached` before the container's start: a new log, and exact. Else the log goes on behind `rewind`."""

    def __init__(
        self,
        key: TryKey,
        logs: LogStore,
        stream: ByteStream,
        *,
        attached: bool,
        part: int = 1,
        mask: Callable[[TryKey], Mask] = no_mask,
    ) -> None:
        """`part` counts the try's containers up to this one; `mask` tells what the log must not show,
        `LogUnavailableError` where that cannot be known now."""
        super().__init__(stream, live=attached)
        self.key = key
        self.ended = threading.Event()  #: nothing more comes of the stream, and all that came is stored
        self.trusted = attached  #: the end of the stream is the end of the log
        self.read_back = False  #: everything the engine kept has been read
        self.broken = False  #: what comes of the stream is not stored any more
        self.closing = False  #: its end is our wish
        self._logs = logs
        self._writer: LogWriter | None = None
        self._part = part
        self._fresh = attached
        self._flags = LogFlag.NONE
        self._known = KnownLines({})
        self._tty = stream.tty
        self._demux = Demultiplexer(tty=self._tty)
        self._mask = mask
        self._maskers: dict[Stream, Masker] | None = None
        self._told_unmasked = self._told_differs = False
        self.unmasked = ""  #: to be told once: which secrets cannot be masked

    @property
    def whole(self) -> bool:
        """Whether all that the container wrote is stored, once it has exited and the stream has ended."""
        return self.ended.is_set() and (self.exact or self.read_back)

    @property
    def exact(self) -> bool:
        """Whether the end of the stream, once it is there, is that of the log."""
        return self.trusted and not self.given_up and not self.broken and self.at_border

    @property
    def at_border(self) -> bool:
        return self._demux.at_border

    def rewind(self) -> None:
        """Go on from the engine's own log, which comes from its beginning: what is stored is cut back to complete
        lines, and these are skipped. Raises `LogUnavailableError`."""
        with self._letting_go_on_failure():
            self._start_maskers()
            lines = self._open().rewind()
            self._known = KnownLines(lines, self._logs.ends(self.key, END_BYTES))
        self._demux = Demultiplexer(tty=self._tty)
        self._flags = LogFlag.READ_BACK

    def store(self, data: bytes, at: datetime) -> bool:
        """Append what is new in the stream's next bytes; returns whether the log grew. Raises
        `LogUnavailableError`, `LogStreamDamagedError`; the log has to be read back then."""
        writer, maskers = self._open(), self._maskers or self._start_maskers()
        split = [(stream, maskers[stream].feed(payload)) for stream, payload in self._demux.feed(data)]
        return self._append(writer, split, at)

    def flush(self, at: datetime) -> bool:
        """Nothing more comes: append what was held back because it might have been the beginning of a secret.
        Returns whether the log grew. Raises `LogUnavailableError`."""
        held = {stream: masker.flush() for stream, masker in (self._maskers or {}).items()}
        new = [
            (stream, self._known.feed(stream, data) + self._known.flush(stream)) for stream, data in held.items()
        ]
        return self._append_new(self._open(), new, at)

    def _append(self, writer: LogWriter, stretches: list[tuple[Stream, bytes]], at: datetime) -> bool:
        new = [(stream, self._known.feed(stream, payload)) for stream, payload in stretches]
        return self._append_new(writer, new, at)

    def _append_new(self, writer: LogWriter, stretches: list[tuple[Stream, bytes]], at: datetime) -> bool:
        if self._known.differs and not self._told_differs:
            writer.note(_LOST_NOTE, at, LogFlag.TRUNCATED)
            self._told_differs = True
        new = [stretch for stretch in stretches if stretch[1]]
        if new:
            writer.append(new, at, self._flags)
        return bool(new)

    def _start_maskers(self) -> dict[Stream, Masker]:
        """For a stream from its beginning: whatever is masked, its lines are the same each time."""
        mask = self._mask(self.key)
        self._maskers = {stream: Masker(mask.patterns) for stream in Stream}
        self.unmasked = "" if self._told_unmasked else mask.note
        self._told_unmasked = True
        return self._maskers

    def note(self, text: str, at: datetime, flags: LogFlag = LogFlag.NONE) -> None:
        """Append a system line. Raises `LogUnavailableError`."""
        self._open().note(text, at, flags)

    def end(self, at: datetime, following: str = "") -> None:
        """Mark the log as whole; where another part follows, with this line. Raises `LogUnavailableError`."""
        if following:
            self._open().note(following, at, LogFlag.PART)
        else:
            self._open().end(at)

    def close(self) -> None:
        """Let go of the files; idempotent. Raises `LogUnavailableError` where they may not be safe on disk."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def _open(self) -> LogWriter:
        if self._writer is None:
            if self._fresh and self._part == 1:
                self._logs.remove(self.key)
            writer = self._logs.writer(self.key)
            if self._fresh and self._part > 1:
                writer.restart()
            self._writer, self._fresh = writer, False
        return self._writer

    @contextlib.contextmanager
    def _letting_go_on_failure(self) -> Iterator[None]:
        try:
            yield
        except LogUnavailableError:
            with contextlib.suppress(LogUnavailableError):
                self.close()
            raise
