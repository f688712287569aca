"""How commands print: quick help, durations and mappings for people, JSON for programs."""

import subprocess
import sys
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli import cli
from orchestrator.cli.output import describe, duration, words


def test_help_needs_nothing_but_the_command_line_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"sqlalchemy", "alembic", "docker", "rich", "jinja2", "structlog", "msgspec"})


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_has_help_and_is_listed_with_it(name: str) -> None:
    listed = CliRunner().invoke(cli, ["--help"]).output
    assert f"\n  {name} " in listed
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: cli {name}" in result.output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (20.735122, "20.7s"),
        (59.9, "59.9s"),
        (60, "1m 00s"),
        (185.4, "3m 05s"),
        (3600, "1h 00m"),
        (8100, "2h 15m"),
        (90000, "25h 00m"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text
    assert words(timedelta(seconds=seconds)) == text


def test_what_one_thing_is_stands_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    describe(
        {"dag_id": "x", "empty": None, "paused": False, "environment": {"A": "1", "B": "two"}, "tags": ["a", "b"]}
    )
    assert capsys.readouterr().out.splitlines() == [
        "     dag id  x",
        "     paused  no",
        "environment  A=1",
        "             B=two",
        "       tags  a, b",
    ]
