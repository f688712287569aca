"""Known secret values out of a stream of bytes (invariants I7, I10), whatever chunks it comes in: a value that lies
across a border is found as well, and what comes out does not depend on where the borders are. Memory is bounded by
the longest value. Pure."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

#: What stands in a log for a value, or for each of its lines: a log keeps its number of lines.
MASK = b"***"
#: Shorter values are not hidden: they would be found everywhere.
SHORTEST = 5
#: The same for lines of a value that has several, and for values inside a result.
SHORTEST_LINE = SHORTEST_IN_RESULT = 8
#: Bytes by which a place where a form might begin is found quickly.
_BEGINNING = 4
_HEADER = re.compile(rb"-----(BEGIN|END) .*-----")
_BASE64_URL = bytes.maketrans(b"+/", b"-_")


class Patterns:
    """What may not be seen: values, and the forms in which programs write them."""

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        known = {value for value in values if len(value) >= SHORTEST}
        self.forms = tuple(
            sorted({form for value in known for form in _forms(value)}, key=lambda form: (-len(form), form))
        )
        self.longest = len(self.forms[0]) if self.forms else 0
        self.found = re.compile(b"|".join(map(re.escape, self.forms))) if self.forms else None
        self._telling = tuple(value for value in known if len(value) >= SHORTEST_IN_RESULT)

    def masked(self, text: str) -> str:
        """A text of ours without them."""
        masker = Masker(self)
        return (masker.feed(text.encode()) + masker.flush()).decode("utf-8", "replace")

    def told_in(self, data: bytes) -> bool:
        """Whether JSON holds one of the values, as it is or as JSON writes it."""
        return any(form in data for value in self._telling for form in (value, *_json_forms(value)))


class Masker:
    """Takes one stream. What might be the beginning of a value is held back until more comes."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._held = b""
        self._covered = 0  #: bytes of what is held that belong to a value whose mask went out

    def feed(self, data: bytes) -> bytes:
        """What is ready to be seen of all that came."""
        if self._patterns.found is None or not data:
            return data
        held = self._held + data
        return self._taken(held, self._border(held))

    def flush(self) -> bytes:
        """What was held back: nothing more comes."""
        return self._taken(self._held, len(self._held))

    def _taken(self, data: bytes, border: int) -> bytes:
        """Masks what begins before `border`, and holds back what stands behind it. Values that overlap are one."""
        out: list[bytes] = []
        at, covered = 0, self._covered
        while (match := self._search(data, at)) is not None and match.start() < border:
            start, end = match.span()
            if start >= covered:
                out += [data[covered:start], MASK]
            hidden = data[max(start, covered) : end]
            out.append((b"\n" + MASK) * hidden.count(b"\n"))
            at, covered = start + 1, max(covered, end)
        out.append(data[covered:border])
        self._held, self._covered = data[border:], max(covered - border, 0)
        return b"".join(out)

    def _search(self, data: bytes, at: int) -> re.Match[bytes] | None:
        return None if self._patterns.found is None else self._patterns.found.search(data, at)

    def _border(self, data: bytes) -> int:
        """Where the first end of the data begins that may be the beginning of a form."""
        size = len(data)
        first = size
        for form in self._patterns.forms:
            at = max(0, size - len(form) + 1)
            while (at := _next_beginning(data, form[:_BEGINNING], at)) < first:
                if form.startswith(data[at:]):
                    first = at
                at += 1
        return first


def _next_beginning(data: bytes, beginning: bytes, at: int) -> int:
    """Where a form that begins so may begin next; at the very end less than that is enough."""
    found = data.find(beginning, at)
    if found >= 0:
        return found
    for place in range(max(at, len(data) - len(beginning) + 1), len(data)):
        if beginning.startswith(data[place:]):
            return place
    return len(data)


def _forms(value: bytes) -> Iterator[bytes]:
    """A value as programs may write it: as it is, line by line, and escaped for URLs, JSON and in base64."""
    yield value
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORTEST_LINE and not _HEADER.fullmatch(line))
    for escaped in {quote(value, safe=""), quote(value), quote_plus(value)}:
        yield escaped.encode()
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), escaped).encode()
    yield from _json_forms(value)
    for encoded in _base64_forms(value):
        yield encoded
        yield encoded.translate(_BASE64_URL)


def _json_forms(value: bytes) -> Iterator[bytes]:
    text = value.decode("utf-8", "replace")
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """The characters of base64 that the value alone decides, for each place where it may begin in a longer text."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        first = -(-before * 8 // 6)
        last = (before + len(value)) * 8 // 6
        if last - first >= SHORTEST:
            yield encoded[first:last]
