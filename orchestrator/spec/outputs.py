"""Which of a try's files are kept after its end: the patterns of `outputs=`. All functions are pure."""

import fnmatch
import posixpath
from collections.abc import Iterable, Sequence

from orchestrator.errors import FinalizeError
from orchestrator.spec.mounting import PRIVATE_FOLDER, absolute, inside

_MAGIC = frozenset("*?[")
_ANY_FOLDERS = "**"
#: What is no file system of the container's own.
_KERNELS = ("/proc", "/sys", "/dev")


def read_patterns(patterns: Iterable[str], memory: Iterable[str]) -> tuple[str, ...]:
    """Patterns of outputs as rendered, settled; `memory` are the places of tmpfs. `FinalizeError`."""
    settled = (_pattern(f"outputs[{index}]", text, memory) for index, text in enumerate(patterns) if text.strip())
    return tuple(dict.fromkeys(settled))


def roots_of(patterns: Iterable[str]) -> tuple[str, ...]:
    """The paths that have to be looked through for all that these patterns cover; none lies in another."""
    roots: list[str] = []
    for root in sorted({_root(pattern) for pattern in patterns}):
        if not any(inside(root, other) for other in roots):
            roots.append(root)
    return tuple(roots)


def covers(pattern: str, path: str) -> bool:
    """Whether a pattern means this absolute path, or a folder that it lies in. `*`, `?` and `[...]` stand for
    characters of one name, `**` for any number of folders. Takes time in the product of both lengths at most."""
    parts = _parts(pattern)
    at = _onward({0}, parts)
    for name in _parts(path):
        at = _onward({after for place in at for after in _steps(place, parts, name)}, parts)
        if len(parts) in at:
            return True
    return False


def _pattern(field: str, text: str, memory: Iterable[str]) -> str:
    pattern = absolute(field, text.strip())
    root = _root(pattern)
    if root == "/":
        raise FinalizeError(
            field, f"{text!r} names no folder to look in", fix="begin it with one, like /data/*.csv"
        )
    for place in (*_KERNELS, PRIVATE_FOLDER):
        if inside(root, place):
            raise FinalizeError(field, f"{place} holds nothing of the task's", fix="write to another folder")
    for place in memory:
        if inside(root, place):
            raise FinalizeError(
                field, f"the tmpfs at {place} is gone when its container ends", fix="write to another folder"
            )
    return pattern


def _root(pattern: str) -> str:
    """The longest path before the first name with a wildcard."""
    plain: list[str] = []
    for name in _parts(pattern):
        if _MAGIC & set(name):
            break
        plain.append(name)
    return posixpath.join("/", *plain)


def _parts(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _steps(place: int, parts: Sequence[str], name: str) -> Iterable[int]:
    """Where one name leads from a place in a pattern."""
    if place >= len(parts):
        return ()
    if parts[place] == _ANY_FOLDERS:
        return (place,)
    return (place + 1,) if fnmatch.fnmatchcase(name, parts[place]) else ()


def _onward(places: Iterable[int], parts: Sequence[str]) -> set[int]:
    """The same places, and those behind each `**`, which may stand for nothing."""
    found = set(places)
    for place in sorted(found):
        after = place
        while after < len(parts) and parts[after] == _ANY_FOLDERS:
            after += 1
            found.add(after)
    return found
