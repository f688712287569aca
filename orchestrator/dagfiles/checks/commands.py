"""Rules over commands: shells that are not there, data that could become commands, paths that nothing keeps."""

import posixpath
import re
import shlex
from collections.abc import Iterator

from orchestrator.dagfiles.checks.checked import Checked
from orchestrator.dagfiles.checks.templates import TEMPLATE_PARTS
from orchestrator.spec.dag import ContainerTemplate, Problem, TaskSpec
from orchestrator.spec.marks import has_templates
from orchestrator.spec.mounting import inside
from orchestrator.spec.outputs import covers
from orchestrator.spec.secrets import SECRETS_FOLDER

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_SINGLE_QUOTED = re.compile(r"'[^']*'")
_EXPANSION = re.compile(r"(?<!\\)\$[A-Za-z_({]")
_PLACE = re.compile(r"command\[(\d+)\]")
#: Where a script's line writes to a file by its whole path.
_REDIRECTED = re.compile(r""">>?\s*["']?(/[^\s;|&<>()'"`$]+)["']?""")
#: Folders at the root that are surely for data. Others may be the image's own.
_DATA_FOLDERS = frozenset(
    {"data", "dataset", "datasets", "in", "input", "inputs", "out", "output", "outputs", "result", "results",
     "export", "exports", "mnt"}
)  # fmt: skip
#: Arguments that say what is there; where a task is expanded over one of them, that is known at launch only.
_PLACES = frozenset({"mounts", "volumes", "tmpfs", "inputs", "outputs", "working_dir", None})


def shell_syntax(checked: Checked) -> Iterator[Problem]:
    for task, container in checked.containers():
        command = container.command
        if isinstance(command, str) and (sign := _shell_sign(TEMPLATE_PARTS.sub("x", command))):
            text = f"command: no shell reads this, so {sign!r} is handed to the program as it is"
            yield checked.found("shell_syntax", task, text, f'write script="{command}"')


def data_in_command(checked: Checked) -> Iterator[Problem]:
    for task, template in checked.templates():
        if _read_as_code(task.container or ContainerTemplate(), template.field) and template.carries_data():
            text = (
                f"{template.field}: who sets conf, params, results or variables can add words to it, or a command"
            )
            fix = "use a list, script=, or pass the value with environment="
            yield checked.found("data_in_command", task, text, fix)


def path_not_mounted(checked: Checked) -> Iterator[Problem]:
    """Only folders that are surely for data are looked at: well-known ones, and those that a task of the DAG
    mounts. Other paths may be in the image."""
    data = _DATA_FOLDERS | {_top(mount.target) for _, each in checked.containers() for mount in each.mounts}
    for task, container in checked.containers():
        unit = checked.units.get(task.task_id)
        places = list(_places(container))
        if has_templates(places) or (unit and any(axis.argument in _PLACES for axis in unit.map.axes)):
            continue
        for field, word in _arguments(task, checked.texts_of[task.task_id]):
            path = _path(word)
            if path is None or _top(path) not in data or _is_there(path, places, container):
                continue
            text = f"{field}: no mount, input or output of this task covers {path}; it goes with its container"
            fix = f'mount it, as in mounts=[Mount.root("name", "/{_top(path)}")], or name it in inputs= or outputs='
            yield checked.found("path_not_mounted", task, text, fix)


def _shell_sign(command: str) -> str | None:
    """The first sign that only a shell would understand; None where there is none, or a shell is called."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None  # it cannot be split at all, which the DAG's own checks say
    if not words or words[0].rpartition("/")[2] in _SHELLS:
        return None
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    lexer.whitespace_split = True
    signs = [word for word in lexer if word and set(word) <= set("|<>&;") and word in _unquoted(command)]
    if signs:
        return signs[0]
    found = _EXPANSION.search(_SINGLE_QUOTED.sub("", command))
    return found[0][:1] if found else None


def _unquoted(command: str) -> str:
    """The command without what stands in quotes."""
    return re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "", command)


def _read_as_code(container: ContainerTemplate, field: str) -> bool:
    """Whether a field's text is split into words, or is the text that an inner shell runs."""
    command = container.command
    if isinstance(command, str):
        return field == "command"
    place = _PLACE.fullmatch(field)
    if place is None or not command:
        return False
    before = command[: int(place[1])]
    return (
        len(before) > 1
        and before[0].rpartition("/")[2] in _SHELLS
        and re.fullmatch(r"-\w*c", before[-1]) is not None
    )


def _arguments(task: TaskSpec, texts: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    """Field and word of what is handed to the program; the program itself, which is the image's, is none of it."""
    own = task.container is not None and bool(task.container.entrypoint)
    for field, text in texts:
        plain = TEMPLATE_PARTS.sub("x", text)
        if field == "command":
            yield from ((field, word) for word in _words(plain)[0 if own else 1 :])
        elif field == "script":
            yield from ((field, path) for path in _written(plain))
        elif field.startswith("call.") or ((place := _PLACE.fullmatch(field)) and (own or int(place[1]) > 0)):
            yield field, plain


def _written(script: str) -> Iterator[str]:
    """The paths to which a script's own `>` writes, in folders that it says nothing else of: what it makes or reads
    itself may be meant to go with its container."""
    rest = _REDIRECTED.sub(" ", script)
    for path in _REDIRECTED.findall(script):
        if not re.search(rf"/{re.escape(_top(path))}(?![\w.-])", rest):
            yield path


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _path(word: str) -> str | None:
    """The absolute path that a word is, or that an option has behind its `=`."""
    value = word.partition("=")[2] if word.startswith("-") else word
    if not value.startswith("/") or value.startswith("//") or any(each.isspace() for each in value):
        return None
    return posixpath.normpath(value)


def _top(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _places(container: ContainerTemplate) -> Iterator[str]:
    """Where something is mounted or copied in, or is the image's own by the task's word."""
    yield from (mount.target for mount in container.mounts)
    yield from container.tmpfs
    yield from container.inputs
    yield from (each for each in (container.working_dir, container.tmp_dir, container.retrieve_output_path) if each)
    yield from container.outputs
    yield SECRETS_FOLDER


def _is_there(path: str, places: list[str], container: ContainerTemplate) -> bool:
    if any(covers(pattern, path) or covers(path, pattern) for pattern in container.outputs):
        return True
    return any(inside(path, place) or inside(place, path) for place in map(posixpath.normpath, places))
