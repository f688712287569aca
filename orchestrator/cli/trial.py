"""`orchestrator dags test`: one run in the foreground, with live logs; no database, no scheduler needed. Where
there is a database, its pools hold here, too."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import click
import msgspec
from rich.text import Text

from orchestrator import oplog
from orchestrator.app import App
from orchestrator.cli.approvals import Asking
from orchestrator.cli.folding import task_name
from orchestrator.cli.live import RunDisplay, summary
from orchestrator.cli.output import duration, show_json
from orchestrator.cli.runs import run_row, task_rows
from orchestrator.cli.session import open_app, read_conf, say
from orchestrator.dagfiles.lookup import find_dag
from orchestrator.errors import EngineError, NotFoundError, StoreError
from orchestrator.foreground import LONGEST_DELAY, Foreground
from orchestrator.ids import ContainerId, TaskKey, TryKey, is_container_name
from orchestrator.leftovers import sweep_trials
from orchestrator.next_steps import next_step_of_test
from orchestrator.planning.awaits import ExternalWait, TriggerWait
from orchestrator.planning.explain import Question
from orchestrator.planning.rows import Pool, TaskInstance
from orchestrator.ports import ArtifactStore, LogFlag, LogStore, Stream
from orchestrator.queries import RunView
from orchestrator.scheduler.notices import LogGrew, Notice, TaskChanged, TryChanged
from orchestrator.scheduler.scheduler import Parts
from orchestrator.spec.dag import DagSpec
from orchestrator.states import ReasonCode, RunState, TaskState

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Colours that tell tasks apart in the log.
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")


@click.command()
@click.argument("dag_id")
@click.argument("date", required=False)
@click.option("--conf", help="A JSON object for the run's `conf`.")
@click.option("--task", help="Run this task alone.")
@click.option("--approve", is_flag=True, help="Approve whatever asks for it, rather than ask here.")
@click.option("--output", type=click.Choice(["json"]), help="Print the outcome as JSON at the end.")
def test(
    dag_id: str, date: str | None, conf: str | None, task: str | None, *, approve: bool, output: str | None
) -> None:
    """Run a DAG once, here and now, in real containers. DATE names the interval; default: the newest one.

    It makes no runs of other DAGs and waits for none: it says what it would have done.

    Exit code 0 if the run succeeded, 1 if not, 130 after Ctrl-C, which stops its containers."""
    app = open_app()
    oplog.configure(quiet=True)
    values = read_conf(conf)
    with app.trial() as parts:
        dag = find_dag(app.project.dags_folder, parts.parser, dag_id)
        if task is not None:
            dag = _alone(dag, task)
        sweep_trials(parts.engine, app.trials_id())
        with RunDisplay(app.clock, log_to_stderr=output == "json") as display:
            trial = _Trial(parts, display, approve=approve)
            view = trial.run(dag, date, values, _pools(app))
        files = list(_files(parts.artifacts, view))
    if output == "json":
        show_json({**run_row(view.run), "tasks": task_rows(view), "results": view.results})
    elif not trial.unheard:
        summary(view)
        for line in (*files, *_passed_over(view)):
            say(line)
        _tell_steps(view)
        say(f"{dag_id} {view.run.interval.start.isoformat()}: {view.run.state}")
    if trial.interrupted:
        raise click.Abort
    sys.exit(0 if view.run.state is RunState.SUCCESS else 1)


def _pools(app: App) -> tuple[Pool, ...]:
    """The deployment's pools; a test goes on without them where the database cannot be read."""
    try:
        return app.pools()
    except StoreError as trouble:
        say(f"warning: this test knows no pools: {trouble}")
        return ()


def _files(artifacts: ArtifactStore, view: RunView) -> Iterator[str]:
    """What became of the files that tries wrote."""
    for attempt in view.tries:
        harvest = artifacts.harvest(attempt.key)
        name = task_name(attempt.key.task)
        for artifact in harvest.artifacts if harvest else ():
            yield f"  output of {name}: {artifact.path}, {artifact.size} B (not kept after a test)"
        for note in harvest.sentences if harvest else ():
            yield f"  note on {name}: {note}"


def _passed_over(view: RunView) -> Iterator[str]:
    """What tasks would have done with other DAGs."""
    for task in view.tasks:
        match task.awaits:
            case TriggerWait(control=control):
                conf = msgspec.json.encode(control.conf).decode()
                yield f"  note on {task_name(task.key)}: a test triggers nothing; else {control.dag_id} {conf}"
            case ExternalWait(control=control, date=date):
                what = f"{control.dag_id} for {date.isoformat()}"
                yield f"  note on {task_name(task.key)}: a test waits for no other DAG; else for {what}"
            case _:
                pass


def _tell_steps(view: RunView) -> None:
    """What to do about each task that failed by itself; of a map about the first that failed so."""
    told: set[tuple[str, ReasonCode]] = set()
    for task in view.tasks:
        if task.state is not TaskState.FAILED or task.reason is None:
            continue
        if (task.key.task_id, task.reason.code) not in told:
            told.add((task.key.task_id, task.reason.code))
            about = Question(dag_id=task.key.dag_id, task_id=task.key.task_id, map_index=task.key.map_index)
            say(f"  fix for {task_name(task.key)}: {next_step_of_test(task.reason.code, about)}")


class _Trial:
    """One run in the foreground. Ctrl-C, TERM and a closed stdout stop its containers, a second Ctrl-C removes
    them at once, a third leaves."""

    def __init__(self, parts: Parts, display: RunDisplay, *, approve: bool) -> None:
        self.interrupted = False
        self.unheard = False  #: nobody reads our stdout any more
        self._told_delay = False
        self._engine = parts.engine
        self._deployment = parts.store.deployment()
        self._display = display
        self._printer = _LogPrinter(parts.logs, display)
        attended = approve or (sys.stdin.isatty() and sys.stderr.isatty())
        self._foreground = Foreground(replace(parts, attended=attended), self._watch)
        self._asking = Asking(display.ask, self._decide, answer=True if approve else None)

    def run(self, dag: DagSpec, date: str | None, conf: dict[str, Any], pools: Sequence[Pool]) -> RunView:
        for number in _STOPS:
            signal.signal(number, self._on_signal)
        self._foreground.start(dag, logical_date=date, conf=conf, pools=pools)
        for warning in self._foreground.warnings:
            say(f"warning: {warning}")
        if self.interrupted:  # before there was a run to cancel
            self._foreground.cancel()
        return self._foreground.wait()

    def _on_signal(self, _number: int, _frame: object) -> None:
        """The main thread goes on waiting for the run's end, which a thread of its own brings about: an exception
        here could break off anything halfway, a transaction among them."""
        if self.interrupted:
            for number in _STOPS:
                signal.signal(number, signal.default_int_handler)
        action = self._remove if self.interrupted else self._stop
        self.interrupted = True
        threading.Thread(target=action, daemon=True).start()

    def _decide(self, key: TaskKey, approved: bool) -> None:
        self._foreground.decide(key, approved=approved)

    def _stop(self) -> None:
        say("stopping its containers (again to remove them at once)")
        self._foreground.cancel()

    def _remove(self) -> None:
        say("removing its containers (again to leave at once)")
        try:
            for facts in self._engine.list_ours(self._deployment):
                if is_container_name(facts.name, facts.labels):
                    self._engine.remove(ContainerId(facts.id), force=True)
        except EngineError as error:
            say(f"they are still there: {error}")

    def _watch(self, notice: Notice) -> None:
        """Hears every notice, in the loop's thread, which nothing here may break."""
        if self.unheard:
            return
        try:
            self._show(notice)
        except BrokenPipeError:
            self.unheard = True
            self._foreground.cancel()

    def _show(self, notice: Notice) -> None:
        self._display.take(notice)
        match notice:
            case LogGrew():
                self._printer.more(notice.key)
            case TryChanged() if notice.attempt.log_complete:
                self._printer.more(notice.attempt.key, last=True)
            case TaskChanged():
                self._asking.take(notice.task)
                self._tell_delay(notice.task)
            case _:
                pass

    def _tell_delay(self, task: TaskInstance) -> None:
        """That a scheduled run waits longer before a retry, once."""
        wanted = None if self._told_delay else self._foreground.longer_delay(task)
        if wanted is not None:
            self._told_delay = True
            most = duration(LONGEST_DELAY)
            say(f"a test waits {most} at most before a retry; a scheduled run waits {duration(wanted)} here")


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
            self._read[key] = record.offset + len(record.data)
            if LogFlag.SYSTEM in record.flags:
                continue
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
