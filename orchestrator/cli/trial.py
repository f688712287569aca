"""`orchestrator dags test`: one run in the foreground, with live logs; no database, no scheduler needed."""

import sys
from contextlib import suppress
from typing import Any

import click
import msgspec
from rich.text import Text

from orchestrator import oplog
from orchestrator.app import App
from orchestrator.cli.live import RunDisplay, summary, task_name
from orchestrator.cli.output import show_json
from orchestrator.cli.runs import run_row, task_rows
from orchestrator.cli.session import open_app, read_conf, say
from orchestrator.dagfiles.lookup import find_dag
from orchestrator.errors import NotFoundError
from orchestrator.foreground import Foreground
from orchestrator.ids import TaskKey, TryKey
from orchestrator.leftovers import sweep_trials
from orchestrator.ports import LogFlag, LogStore, Stream
from orchestrator.queries import RunView
from orchestrator.scheduler.notices import LogGrew, Notice, TryChanged
from orchestrator.scheduler.scheduler import Parts
from orchestrator.spec.dag import DagSpec
from orchestrator.states import RunState

#: Colours that tell tasks apart in the log.
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")


@click.command()
@click.argument("dag_id")
@click.argument("date", required=False)
@click.option("--conf", help="A JSON object for the run's `conf`.")
@click.option("--task", help="Run this task alone.")
@click.option("--output", type=click.Choice(["json"]), help="Print the outcome as JSON at the end.")
def test(dag_id: str, date: str | None, conf: str | None, task: str | None, output: str | None) -> None:
    """Run a DAG once, here and now, in real containers. DATE names the interval; default: the newest one.

    Exit code 0 if the run succeeded. Ctrl-C stops its containers."""
    app = open_app()
    oplog.configure(quiet=True)
    values = read_conf(conf)
    with app.trial() as parts:
        sweep_trials(parts.engine, app.deployment())
        dag = find_dag(app.project.dags_folder, parts.parser, dag_id)
        if task is not None:
            dag = _alone(dag, task)
        with RunDisplay() as display:
            view = _run(app, parts, dag, date, values, display)
    if output == "json":
        show_json({**run_row(view.run), "tasks": task_rows(view), "results": view.results})
    else:
        summary(view)
        say(f"{dag_id} {view.run.interval.start.isoformat()}: {view.run.state}")
    sys.exit(0 if view.run.state is RunState.SUCCESS else 1)


def _run(
    app: App, parts: Parts, dag: DagSpec, date: str | None, conf: dict[str, Any], display: RunDisplay
) -> RunView:
    printer = _LogPrinter(parts.logs, display)

    def watch(notice: Notice) -> None:
        display.take(notice)
        match notice:
            case LogGrew():
                printer.more(notice.key)
            case TryChanged() if notice.attempt.log_complete:
                printer.more(notice.attempt.key, last=True)
            case _:
                pass

    foreground = Foreground(parts, watch)
    foreground.start(dag, logical_date=date, conf=conf)
    for warning in foreground.warnings:
        say(f"warning: {warning}")
    try:
        return foreground.wait()
    except KeyboardInterrupt:
        say("stopping its containers (again to leave at once)")
        foreground.cancel()
        with suppress(KeyboardInterrupt):
            return foreground.wait()
        say(f"left containers behind; `orchestrator doctor` and the next test remove them: {app.project.home}")
        sys.exit(130)


def _alone(dag: DagSpec, task_id: str) -> DagSpec:
    try:
        task = dag.task(task_id)
    except KeyError:
        raise NotFoundError(
            "task", f"{dag.dag_id}.{task_id}", fix=f"`orchestrator tasks list {dag.dag_id}`"
        ) from None
    return msgspec.structs.replace(dag, tasks=(msgspec.structs.replace(task, upstream=()),), edge_labels=())


class _LogPrinter:
    """Prints each try's log as it grows, whole lines only, each with its task's name."""

    def __init__(self, logs: LogStore, display: RunDisplay) -> None:
        self._logs = logs
        self._display = display
        self._read: dict[TryKey, int] = {}
        self._partial: dict[tuple[TryKey, Stream], bytes] = {}
        self._colours: dict[TaskKey, str] = {}

    def more(self, key: TryKey, *, last: bool = False) -> None:
        for record in self._logs.records(key, self._read.get(key, 0)):
            if LogFlag.SYSTEM in record.flags:
                continue
            self._read[key] = record.offset + len(record.data)
            pending = self._partial.pop((key, record.stream), b"") + record.data
            *lines, rest = pending.split(b"\n")
            if rest:
                self._partial[key, record.stream] = rest
            for line in lines:
                self._print(key, record.stream, line)
        if last:
            for stream in Stream:
                rest = self._partial.pop((key, stream), b"")
                if rest:
                    self._print(key, stream, rest)

    def _print(self, key: TryKey, stream: Stream, line: bytes) -> None:
        colour = self._colours.setdefault(key.task, _COLOURS[len(self._colours) % len(_COLOURS)])
        name = task_name(key.task) + ("" if key.number == 1 else f" try {key.number}")
        text = Text(f"{name} | ", style=colour)
        text.append(line.decode("utf-8", "replace").rstrip("\r"), style="" if stream is Stream.STDOUT else "dim")
        self._display.print(text)
