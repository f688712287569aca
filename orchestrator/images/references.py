"""Names of images: the tags that task images get, and which of our own images stands in for a base that no
registry can be asked for.
"""

import re

from orchestrator.spec.value import Value

#: Repository prefix of every image we make.
NAMESPACE = "orchestrator"
#: Repository of the base built from the distribution's packages where no registry is reachable.
OFFLINE_REPOSITORY = f"{NAMESPACE}/debian-python"
#: Hexadecimal digits of a content hash in a tag.
HASH_DIGITS = 12

_FOLDER = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")
_PINNED = re.compile(rf"{NAMESPACE}/(?P<name>[a-z0-9._-]+):(?P<hash>[0-9a-f]{{{HASH_DIGITS}}})")
_PYTHON = re.compile(r"(?:[\w.:-]+/)*python:(?P<version>\d+\.\d+)(?:\.\d+)?(?P<variant>-slim)?(?:-[a-z]+)?")
_OTHER_SYSTEMS = ("alpine", "windowsservercore", "nanoserver")


class TaskTag(Value, frozen=True, kw_only=True):
    """What a tag of a task image says: the image's name and the hash of its content."""

    name: str
    hash: str

    def __str__(self) -> str:
        return f"{NAMESPACE}/{self.name}:{self.hash}"


def is_image_name(text: str) -> bool:
    """Whether a folder of this name can be a task image: what the engine takes as part of a repository."""
    return _FOLDER.fullmatch(text) is not None


def parse_task_tag(reference: str) -> TaskTag | None:
    """The parts of `orchestrator/NAME:<12 hex>`; None for any other reference."""
    match = _PINNED.fullmatch(reference)
    return TaskTag(name=match["name"], hash=match["hash"]) if match else None


def stand_in(reference: str) -> str | None:
    """The offline base that may take the place of `reference`: for a Debian-based `python:X.Y...` image, ours
    of the same version; None for everything else."""
    match = _PYTHON.fullmatch(reference)
    if match is None or reference.rsplit("-", 1)[-1] in _OTHER_SYSTEMS:
        return None
    return f"{OFFLINE_REPOSITORY}:{match['version']}"
