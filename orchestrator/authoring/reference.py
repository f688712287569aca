"""The table of all arguments in `dags/README.md`, made from their signatures:

python -m orchestrator.authoring.reference dags/README.md
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.authoring import arguments
from orchestrator.authoring.without_effect import (
    IDLE,
    IDLE_APPROVAL,
    IDLE_DAG,
    IDLE_DOCKER,
    IDLE_EMPTY,
    IDLE_EXTERNAL,
    IDLE_SENSOR,
    IDLE_WAIT,
)

BEGIN, END = "<!-- arguments: begin -->", "<!-- arguments: end -->"
#: Signatures by title, in the order shown.
_SIGNATURES = {
    "DockerArguments": "DockerOperator",
    "ShortCircuitArguments": "ShortCircuitDockerOperator takes besides",
    "SensorArguments": "DockerSensor takes besides",
    "TriggerArguments": "TriggerDagRunOperator",
    "ExternalArguments": "ExternalTaskSensor",
    "WaitArguments": "Both of these",
    "ApprovalArguments": "ApprovalOperator",
    "RestingArguments": "These three",
    "AtOnceArguments": "EmptyOperator and LatestOnlyOperator",
    "TaskArguments": "Every operator",
    "DagArguments": "DAG and @dag",
}
_CLASS = re.compile(r"class (\w+)\(")
_GROUP = re.compile(r"    # (.+)")
_ARGUMENT = re.compile(r"    (\w+): (.+?)(?:  #: (.+))?")
#: Why what a signature accepts has no effect.
_IDLE: Mapping[str, Mapping[str, str]] = {
    "TaskArguments": IDLE,
    "DockerArguments": IDLE_DOCKER,
    "SensorArguments": IDLE_SENSOR,
    "AtOnceArguments": IDLE_EMPTY,
    "RestingArguments": IDLE_WAIT,
    "WaitArguments": IDLE_WAIT,
    "ExternalArguments": IDLE_EXTERNAL,
    "ApprovalArguments": IDLE_APPROVAL,
    "DagArguments": IDLE_DAG,
}


class Row(NamedTuple):
    """One argument of a signature."""

    signature: str
    group: str
    name: str
    type: str
    text: str


def rows() -> Iterator[Row]:
    """Every argument, in the order of the signatures' source."""
    signature = group = ""
    for line in Path(arguments.__file__).read_text().splitlines():
        if found := _CLASS.match(line):
            signature, group = found[1], ""
        elif found := _GROUP.fullmatch(line):
            group = found[1]
        elif (found := _ARGUMENT.fullmatch(line)) and signature in _SIGNATURES:
            name, kind, text = found.groups()
            required = kind.startswith("Required[")
            idle = _IDLE.get(signature, {}).get(name)
            why = f"accepted without effect: {idle}" if idle else ""
            yield Row(signature, group, name, kind[len("Required[") : -1] if required else kind, text or why)


def tables() -> str:
    """Markdown: a table for each signature, a row for each argument."""
    made = list(rows())
    return "\n\n".join(
        _table(title, [row for row in made if row.signature == of]) for of, title in _SIGNATURES.items()
    )


def renewed(text: str) -> str:
    """A document with the tables between its two marks. ValueError where it has no such marks."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no place between {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def _table(title: str, made: list[Row]) -> str:
    lines = [f"### {title}", "", "| argument | type | what it says |", "|---|---|---|"]
    lines += (f"| `{row.name}` | {_code(row.type)} | {_cell(row.text)} |" for row in made)
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(renewed(document.read_text()))
