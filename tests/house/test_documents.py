"""What the documents say of the code is so: tests they name, modules, states, commands, links."""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import click
import pytest

from orchestrator.cli import cli
from orchestrator.states import RUN_MOVES, TASK_MOVES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "orchestrator"

#: What a reader elsewhere cannot know: folders of one machine, and papers that are not in this repository.
STRANGE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp/m)\b|\bDESIGN\b|\bSTYLE\b|\bBRIEF\b|\bissue [A-Z0-9]\b")
#: The hosts that documents may send a reader to.
HOSTS = {"keepachangelog.com"}


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]


def section(text: str, heading: str) -> str:
    """What stands below a heading of second order, up to the next."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


# --- tests ----------------------------------------------------------------------------------------------


def named_tests() -> Iterator[tuple[str, str]]:
    """File and name of each test in GUARANTEES.md; a name without a file is of the file named last."""
    file = ""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", (PACKAGE / "GUARANTEES.md").read_text()):
        file = path or file
        yield file, name


def test_every_test_that_a_guarantee_names_is_there() -> None:
    named = set(named_tests())
    assert named, "no test was found in GUARANTEES.md"
    files = {file for file, _ in named}
    assert sorted(file for file in files if not (ROOT / file).exists()) == []
    there = {
        (file, node.name)
        for file in files
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert sorted(named - there) == []


def test_every_guarantee_has_a_test() -> None:
    text = (PACKAGE / "GUARANTEES.md").read_text()
    headings = re.findall(r"^## (I\d+ .*)$", text, re.MULTILINE)
    assert headings
    assert [each for each in headings if "::test_" not in section(text, each)] == []


# --- modules --------------------------------------------------------------------------------------------


def test_the_layout_names_every_module_and_no_other() -> None:
    table = section((PACKAGE / "ARCHITECTURE.md").read_text(), "Layers and layout")
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")]
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`(\w+(?:\.py|/))`", row.partition("(")[0])}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert named == modules | packages


def test_every_folder_explains_itself() -> None:
    folders = [*(path.parent for path in PACKAGE.glob("*/__init__.py")), ROOT]
    folders += [ROOT / name for name in ("dags", "task-images", "tests")]
    assert sorted(folder.name for folder in folders if not (folder / "README.md").exists()) == []


# --- states ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [TASK_MOVES, RUN_MOVES])
def test_a_diagram_shows_every_move_and_no_other(moves: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    text = section((PACKAGE / "ARCHITECTURE.md").read_text(), "States")
    drawn = [
        set(re.findall(r"(\w+) --> (\w+)", each)) for each in re.findall(r"```mermaid(.*?)```", text, re.DOTALL)
    ]
    assert {(str(state), str(after)) for state, ways in moves.items() for after in ways} in drawn


# --- commands -------------------------------------------------------------------------------------------


def commands() -> set[str]:
    found = set()
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        below = command.commands if isinstance(command, click.Group) else {}
        alone = not isinstance(command, click.Group) or command.invoke_without_command
        found |= {f"{name} {each}" for each in below} | ({name} if alone else set())
    return found


def told_commands() -> Iterator[str]:
    """`dags list, show` in the first column of the README's table is `dags list` and `dags show`."""
    table = section((ROOT / "README.md").read_text(), "Commands")
    for row in (line for line in table.splitlines() if line.startswith("|")):
        for told in re.findall(r"`([^`]+)`", row.split("|")[1]):
            name, _, below = re.sub(r" ?\[[^]]*\]", "", told).partition(" ")
            yield from (f"{name} {each}" for each in below.split(", ")) if below else (name,)


def test_the_readme_lists_the_commands_there_are() -> None:
    assert sorted(told_commands()) == sorted(commands())


# --- words ----------------------------------------------------------------------------------------------


def test_links_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []


def test_documents_speak_of_this_project_only() -> None:
    assert documents(), "no documents were looked at"
    strange = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in documents()
        for found in STRANGE.findall(path.read_text())
        + [host for host in re.findall(r"https?://([\w.-]+)", path.read_text()) if host not in HOSTS]
    }
    assert sorted(strange) == []
