"""What is stored already of a log that an engine tells again from its beginning (spec images-and-engine 3). Pure.

As many complete lines are dropped as are stored. But an engine that crashed may have lost lines that were stored
here before: then as many new ones would go with them. So the last line that is dropped is held against the last one
that is stored, and where they differ, the place where the stored ones end is looked for.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from orchestrator.ports import Stream
from orchestrator.scheduler.masking import MASK

#: Bytes of the end of each stream that are held against the engine's.
END_BYTES = 64 << 10
#: Lines that an engine may have lost for the place to be found, and bytes that are looked through for it.
_LOST_LINES, _LOOKED_THROUGH = 10_000, 1 << 20
#: Lines in a row by which a place is known.
_ALIKE = 3
#: What an engine keeps in place of bytes that are no text.
_DAMAGED = "\ufffd".encode()


class KnownLines:
    """Drops the first complete lines of each stream: those that are stored."""

    def __init__(self, lines: Mapping[Stream, int], ends: Mapping[Stream, bytes] | None = None) -> None:
        """`lines`: how many are stored of each stream; `ends`: their last bytes, up to `END_BYTES` of each."""
        self._streams = {stream: _Known(count, (ends or {}).get(stream, b"")) for stream, count in lines.items()}

    @property
    def differs(self) -> bool:
        """Whether the engine's log lacks lines that are stored."""
        return any(known.differs for known in self._streams.values())

    def feed(self, stream: Stream, data: bytes) -> bytes:
        """What of the next bytes of `stream` is new."""
        known = self._streams.get(stream)
        return data if known is None else known.feed(data)

    def flush(self, stream: Stream) -> bytes:
        """The engine's log ends here: what of it is new though it has fewer lines than are stored."""
        known = self._streams.get(stream)
        return b"" if known is None else known.flush()


class _Known:
    """One stream's."""

    def __init__(self, lines: int, end: bytes) -> None:
        whole = 1 if len(end) >= END_BYTES else 0  # the first one may be the rest of a line
        self._stored = _complete_lines(end)[whole:]
        self._unseen = max(lines - len(self._stored) - _LOST_LINES, 0)  #: so many go without a look
        self._left = lines - self._unseen
        self._begun = b""
        self._seen: deque[bytes] = deque()
        self._seen_bytes = 0
        self.differs = False

    def feed(self, data: bytes) -> bytes:
        if not self._left:
            return data
        data = self._pass_unseen(data)
        *lines, self._begun = (self._begun + data).split(b"\n")
        for number, line in enumerate(lines, 1):
            self._see(line + b"\n")
            if not self._left:
                rest, self._begun = b"\n".join((*lines[number:], self._begun)), b""
                return self._new(complete=True) + rest
        self._begun = self._begun[-_LOOKED_THROUGH:]
        return b""

    def flush(self) -> bytes:
        if not self._left:
            return b""
        begun, self._begun, self._left = self._begun, b"", 0
        return self._new(complete=False) + begun

    def _pass_unseen(self, data: bytes) -> bytes:
        lines = data.count(b"\n")
        if lines < self._unseen:
            self._unseen -= lines
            return b""
        at = 0
        for _ in range(self._unseen):
            at = data.index(b"\n", at) + 1
        self._unseen = 0
        return data[at:]

    def _see(self, line: bytes) -> None:
        self._left -= 1
        self._seen.append(line)
        self._seen_bytes += len(line)
        while self._seen_bytes > _LOOKED_THROUGH and len(self._seen) > 1:
            self._seen_bytes -= len(self._seen.popleft())

    def _new(self, *, complete: bool) -> bytes:
        """Of the lines that were seen, those behind the stored ones; `complete`: as many came as are stored."""
        seen = tuple(self._seen)
        self._seen.clear()
        if complete and (not self._stored or _is_same(self._stored[-1], seen[-1])):
            return b""
        self.differs = True
        return b"".join(seen[_end_of(self._stored, seen) :])


def _end_of(stored: Sequence[bytes], seen: Sequence[bytes]) -> int:
    """How many of the lines that were seen there are up to the last one that is stored; all where none is."""
    places: dict[bytes, list[int]] = {}
    for number, line in enumerate(seen, 1):
        places.setdefault(line, []).append(number)
    for number in range(len(stored), 0, -1):
        alike = tuple(stored[max(number - _ALIKE, 0) : number])
        for place in reversed(places.get(stored[number - 1], ())):
            if tuple(seen[max(place - len(alike), 0) : place]) == alike[-place:]:
                return place
    return len(seen)


def _is_same(stored: bytes, kept: bytes) -> bool:
    """Whether the engine's line is the stored one, but for what its log damages and for what is masked in ours."""
    unlike = [each for each in (_outside(stored, MASK), _outside(kept, _DAMAGED)) if each is not None]
    if stored == kept or not unlike:
        return stored == kept
    before, behind = (min(sizes) for sizes in zip(*unlike, strict=True))
    return stored[:before] == kept[:before] and stored[len(stored) - behind :] == kept[len(kept) - behind :]


def _outside(line: bytes, unlike: bytes) -> tuple[int, int] | None:
    """How many bytes stand before the first and behind the last place where a line is unlike another; None where
    there is none."""
    if unlike not in line:
        return None
    return line.index(unlike), len(line) - line.rindex(unlike) - len(unlike)


def _complete_lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]
