"""The command line as a user without rights calls it: a process with another uid, no groups and no capabilities."""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_project import PATIENCE, Said, command

#: Nobody in particular.
NOBODY = 65534


def need_root() -> None:
    """Skips where we may become nobody else, and mount nothing."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("needs root on Linux, to become another user and to mount")
    for program in ("unshare", "setpriv", "mount"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")


def as_nobody(folder: Path, environment: Mapping[str, str], *arguments: str) -> Said:
    """How the command ended in that folder, and what it printed."""
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
             "--bounding-set=-all", "--", *command(*arguments)]  # fmt: skip
    if opening := _opening({Path(sys.base_prefix), Path(sys.prefix)}):
        words = ["unshare", "--mount", "sh", "-ec", f'{opening}exec "$@"', "sh", *words]
    done = subprocess.run(
        words, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def _opening(places: set[Path]) -> str:
    """Lines of a shell in a mount namespace of its own, after which everybody may pass to these folders: of what
    lies below a closed folder on the way, all else is gone."""
    below: dict[Path, list[Path]] = {}
    for place in sorted(places):
        if (closed := _closed_folder(place)) is not None:
            below.setdefault(closed, []).append(place)
    lines = []
    for closed, found in below.items():
        kept = [(f"kept{number}", shlex.quote(str(place))) for number, place in enumerate(found)]
        lines += [f'{name}=$(mktemp -d); mount --bind {place} "${name}"' for name, place in kept]
        lines.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}")
        lines += [f'mkdir -p {place}; mount --bind "${name}" {place}; umount "${name}"' for name, place in kept]
    return "".join(f"{line}\n" for line in lines)


def _closed_folder(path: Path) -> Path | None:
    """The uppermost folder on the way to `path`, which is open itself, that others may not pass through."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
