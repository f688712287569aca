"""Runs in a container, by itself (Python 3.9 or newer, nothing else): moves what a try wrote beside a data root
into it, or removes it.

    python3 -c "$(cat promotion.py)" promote|discard STAGE...

Each STAGE is a folder in a root, two levels below it. What is a folder on both sides is merged; anything else
replaces what the root has there, in one step each, so that a folder which is new appears whole. Nothing is moved
where a folder would have to replace what is none, or the other way round (exit code 3, the paths on stderr). It may
be run again after it was broken off anywhere, and goes on with what is left. The stage stays, empty, for its
container still mounts it; `discard` removes it.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONFLICT = 3


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def is_there(path: Path) -> bool:
    """Whether there is anything, be it a link that leads nowhere."""
    return path.exists() or path.is_symlink()


def conflicts(stage: Path, root: Path) -> Iterator[Path]:
    """Paths of the root that can neither be merged nor replaced."""
    for source in sorted(stage.iterdir()):
        target = root / source.name
        if is_folder(source) and is_folder(target):
            yield from conflicts(source, target)
        elif is_there(target) and is_folder(source) != is_folder(target):
            yield target


def merge(stage: Path, root: Path) -> None:
    """Move everything; the stage is empty afterwards."""
    for source in sorted(stage.iterdir()):
        target = root / source.name
        if not (is_folder(source) and is_folder(target)) and moved(source, target):
            continue
        merge(source, target)
        source.rmdir()


def moved(source: Path, target: Path) -> bool:
    """Move one file, or a folder that the root has not; False where it got one meanwhile, which is then merged."""
    try:
        source.rename(target)
    except OSError:
        if not (is_folder(source) and is_folder(target)):
            raise
        return False
    return True


def clear(stage: Path) -> None:
    """Remove a stage, and the folder of stages if it was the last one."""
    shutil.rmtree(stage)
    with suppress(OSError):  # others have stages there
        stage.parent.rmdir()


def main(action: str, stages: list[Path]) -> int:
    """The exit code."""
    there = [stage for stage in stages if is_folder(stage)]
    if action == "discard":
        for stage in there:
            clear(stage)
        return 0
    found = [path for stage in there for path in conflicts(stage, stage.parent.parent)]
    if found:
        sys.stderr.write("\n".join(map(str, found)))
        return CONFLICT
    for stage in there:
        merge(stage, stage.parent.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [Path(stage) for stage in sys.argv[2:]]))
