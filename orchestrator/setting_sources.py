"""What the environment says of settings: `ORCHESTRATOR__SECTION__KEY` has a value, the same with `_FILE` at its
end the path of a file that holds it, with `_CMD` a command that prints it. Of several for one setting the first of
these counts.
"""

import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import SettingsError

PREFIX = "ORCHESTRATOR__"
#: Seconds that a command has to print a value.
_COMMAND_TIMEOUT = 30


class Said(NamedTuple):
    """One setting's value, and what kind of variable said so."""

    section: str
    key: str
    value: str
    source: str


def said_by_environment(environment: Mapping[str, str], known: Callable[[str, str], bool]) -> Iterator[Said]:
    """All there is, once for each setting. A name that no ending makes a `known` one is given as it stands.

    Raises `SettingsError` where a file cannot be read or a command fails."""
    for name in sorted(each for each in environment if each.startswith(PREFIX)):
        section, _, key = name[len(PREFIX) :].lower().partition("__")
        ending = "" if known(section, key) else _ending(key)
        if not known(section, key.removesuffix(ending)):
            ending = ""
        if not any(better in environment for better in _before(name, ending)):
            text = environment[name]
            value = _READERS[ending](name, text) if ending else text
            yield Said(section, key.removesuffix(ending), value, f"environment{_HOW.get(ending, '')}")


def _ending(key: str) -> str:
    return next((ending for ending in _READERS if key.endswith(ending)), "")


def _before(name: str, ending: str) -> tuple[str, ...]:
    """Variables that count before this one."""
    plain = name[: len(name) - len(ending)]
    return {"": (), _FILE: (plain,), _CMD: (plain, plain + _FILE.upper())}[ending]


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{name} names the file {path}, which cannot be read: {error}",
            fix="correct the path, or the file's rights",
        ) from error


def _printed(name: str, command: str) -> str:
    try:
        words = shlex.split(command)
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT, check=False
        )
    except (OSError, ValueError, UnicodeError, IndexError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"the command in {name} cannot be run: {error}", fix=_FIX_COMMAND) from error
    if done.returncode != 0:
        told = done.stderr.strip().rpartition("\n")[2]
        raise SettingsError(f"the command in {name} ended with {done.returncode}: {told}", fix=_FIX_COMMAND)
    return done.stdout.rstrip("\r\n")


_FILE, _CMD = "_file", "_cmd"
_FIX_COMMAND = "correct it: a program and its arguments, without a shell, that prints the value"
_READERS = {_FILE: _content, _CMD: _printed}
_HOW = {_FILE: " (file)", _CMD: " (command)"}
