"""The command line as a user without rights calls it: a process with another uid, no groups and no capabilities."""

import os
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
#: In a mount namespace of its own: what is below `$2` (a closed folder) is gone but for this interpreter (`$1`).
_OPENED = """\
place=$(mktemp -d) && mount --bind "$1" "$place" && mount -t tmpfs -o mode=755 none "$2" && mkdir -p "$1" &&
mount --bind "$place" "$1" && umount "$place" && rmdir "$place" && shift 2 && exec "$@"
"""


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
    closed = _closed_folder(Path(sys.base_prefix))
    if closed is not None:
        words = ["unshare", "--mount", "sh", "-ec", _OPENED, "sh", sys.base_prefix, str(closed), *words]
    done = subprocess.run(
        words, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def _closed_folder(path: Path) -> Path | None:
    """The uppermost folder on the way to `path` that others may not pass through."""
    for folder in reversed((path, *path.parents)):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
