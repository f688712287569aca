"""Which of a try's files are kept after its end: the patterns of `outputs=`. All functions are pure."""

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.errors import FinalizeError
from orchestrator.spec.mounting import PRIVATE_FOLDER, absolute, inside
from orchestrator.spec.secrets import SECRETS_FOLDER

_MAGIC = frozenset("*?[")
_ANY_FOLDERS = "**"
#: What is no file system of the container's own.
_KERNELS = ("/proc", "/sys", "/dev")


def read_patterns(patterns: Iterable[str], gone: Iterable[str] = (), moved: Iterable[str] = ()) -> tuple[str, ...]:
    """Patterns of outputs as rendered, settled. `gone` are places whose files are no more when a container has
    ended, `moved` those from where they come into data roots. `FinalizeError`."""
    reasons = dict.fromkeys((*_KERNELS, PRIVATE_FOLDER, SECRETS_FOLDER), "{} holds nothing of the task's")
    reasons |= dict.fromkeys(gone, "the tmpfs at {} is gone when its container ends")
    reasons |= dict.fromkeys(moved, "what is written to {} comes into its data root")
    settled = (_pattern(f"outputs[{index}]", text, reasons) for index, text in enumerate(patterns) if text.strip())
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


def _pattern(field: str, text: str, reasons: Mapping[str, str]) -> str:
    """`reasons` say why nothing is kept from a place."""
    pattern = absolute(field, text.strip())
    root = _root(pattern)
    if root == "/":
        raise FinalizeError(
            field, f"{text!r} names no folder to look in", fix="begin it with one, like /data/*.csv"
        )
    for place, why in reasons.items():
        if inside(root, place):
            raise FinalizeError(field, why.format(place), fix="write to another folder")
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
