"""Each reason that there is comes about somewhere, and has a next step whose commands can be called."""

import ast
import re
from pathlib import Path

import click
import pytest

import orchestrator
from orchestrator.cli import cli
from orchestrator.next_steps import NEXT_STEPS, next_step
from orchestrator.planning.explain import Question
from orchestrator.states import ReasonCode

#: Told apart already, and not brought about yet.
AWAITED = {"ENGINE_LOST", "SECRET_MISSING", "SECRET_INVALID", "SECRET_UNAVAILABLE"}
#: Where codes are listed without a reason being given.
LISTS = {"states.py", "next_steps.py", "retry.py"}
SOMEWHERE = Question(dag_id="d", run_id="r", task_id="t")


def produced() -> set[str]:
    """The names of codes that the package's code uses, but for lists of them."""
    package = Path(orchestrator.__file__).parent
    files = [file for file in package.rglob("*.py") if file.name not in LISTS]
    return {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ReasonCode"
    }


def test_every_code_comes_about_somewhere() -> None:
    assert {code.name for code in ReasonCode} - produced() <= AWAITED


def test_every_code_has_a_next_step() -> None:
    assert NEXT_STEPS.keys() == set(ReasonCode)


@pytest.mark.parametrize("code", ReasonCode)
def test_a_next_step_is_one_line_and_names_commands_that_there_are(code: ReasonCode) -> None:
    text = next_step(code, SOMEWHERE)
    assert text
    assert not re.search(r"\n|\s\s|\{dag|\{run|\{task| `?$", text), text
    for command in re.findall(r"`orchestrator ([^`]*)`", text):
        called = click.Context(cli)
        group, *rest = command.split()
        known = cli.get_command(called, group)
        assert known is not None, command
        if isinstance(known, click.Group):
            known, rest = known.get_command(called, rest[0]), rest[1:]
            assert known is not None, command
        known.make_context(group, rest, resilient_parsing=False)


def test_what_is_not_known_is_left_to_be_named() -> None:
    assert next_step(ReasonCode.EXIT_CODE, Question(dag_id="d")).endswith("`orchestrator tasks logs d <task>`")
    assert next_step(ReasonCode.PAUSED, Question(dag_id="d")) == "`orchestrator dags unpause d`"
