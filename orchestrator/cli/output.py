"""How every command prints: a table on a terminal, plain columns into a pipe, JSON when asked."""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.text import Text

from orchestrator.cli.tables import BELOW, Layout

_F = TypeVar("_F", bound=Callable[..., Any])

#: State -> (sign, colour): state is never told by colour alone.
STATE_LOOKS: Mapping[str, tuple[str, str]] = {
    "waiting": ("·", "bright_black"),
    "queued": ("○", "cyan"),
    "starting": ("◔", "cyan"),
    "running": ("●", "blue"),
    "up_for_retry": ("↻", "yellow"),
    "up_for_reschedule": ("↻", "yellow"),
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("⤼", "magenta"),
    "upstream_failed": ("⊘", "red"),
    "removed": ("-", "bright_black"),
}


def output_option(command: _F) -> _F:
    """`--output table|plain|json`; the default follows where the output goes."""
    return click.option(
        "--output",
        type=click.Choice(["table", "plain", "json"]),
        default=None,
        help="How to print. Default: a table on a terminal, else plain.",
    )(command)


def show(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: str | None, *, empty: str = "nothing to show"
) -> None:
    """Print rows of like keys; `columns` are those shown outside JSON, which always has all."""
    match output or ("table" if sys.stdout.isatty() else "plain"):
        case "json":
            show_json(list(rows))
        case _ if not rows:
            click.echo(empty, err=True)
        case "table":
            _table(rows, columns)
        case _:
            _plain(rows, columns)


def describe(fields: Mapping[str, Any]) -> None:
    """Print what one thing is: a line for each field that says something; in a mapping, one for each entry."""
    lines = [
        (name.replace("_", " ") if not place else "", text)
        for name, value in fields.items()
        if value not in (None, "", [], (), {})
        for place, text in enumerate(_lines(value))
    ]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        click.echo(f"{name:>{width}}  {text}".rstrip())


def _lines(value: object) -> list[str]:
    return (
        [f"{name}={words(each)}" for name, each in value.items()] if isinstance(value, Mapping) else [words(value)]
    )


def show_json(value: object) -> None:
    """Print any value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def words(value: object) -> str:
    """A cell's text."""
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S%z").replace("+0000", "Z")
        case timedelta():
            return duration(value)
        case bool():
            return "yes" if value else "no"
        case StrEnum():
            return value.value
        case list() | tuple():
            return ", ".join(words(each) for each in value)
        case _:
            return str(value)


def duration(value: timedelta) -> str:
    """A duration as people say it: `20.7s`, `3m 05s`, `2h 15m`."""
    if value < timedelta(minutes=1):
        return f"{value.total_seconds():.1f}s"
    minutes, rest = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


def state_text(state: str) -> Text:
    """A state with its sign, coloured."""
    sign, colour = STATE_LOOKS.get(state, ("", ""))
    return Text(f"{sign} {state}".strip(), style=colour)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    console = Console()
    layout = Layout(rows, columns, _cell, console.width)
    for line in layout.lines():
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    if layout.left_out:
        names = ", ".join(name.replace("_", " ") for name in layout.left_out)
        click.echo(f"(no room for: {names}; --output plain shows all)", err=True)


def _cell(row: Mapping[str, Any], column: str) -> Text:
    value = row[column]
    if column in ("state", "outcome") and value:
        return state_text(str(value))
    return Text(words(value) if column in BELOW else words(value).replace("\n", " "))


def _plain(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    cells = [list(columns)] + [[words(row[column]).replace("\n", " ") for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
