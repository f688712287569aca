"""A run as it goes: a live table on a terminal, one line for each change into a pipe. Fed by notices."""

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.cli.folding import Line, folded, task_name
from orchestrator.cli.output import STATE_LOOKS, duration, show, state_text, words
from orchestrator.cli.session import say
from orchestrator.clock import Clock
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Run, TaskInstance
from orchestrator.queries import Queries, RunView
from orchestrator.scheduler.local_socket import Following
from orchestrator.scheduler.notices import Notice, RunChanged, TaskChanged, concerns
from orchestrator.states import RunState, TaskState

#: States that say nothing by themselves: what is waited for is told as a reason.
_QUIET = frozenset({TaskState.WAITING, TaskState.QUEUED, TaskState.STARTING})


class RunDisplay:
    """Shows one run while it goes on, on a terminal no longer; a context manager. `take` notices from any one
    thread at a time. `log_to_stderr` leaves stdout to something else."""

    def __init__(self, clock: Clock, *, log_to_stderr: bool = False) -> None:
        self._clock = clock
        self._log_to_stderr = log_to_stderr
        self._run: Run | None = None
        self._tasks: dict[TaskKey, TaskInstance] = {}
        self._told: set[str] = set()
        console = Console(stderr=True)
        self._live = (
            Live(console=console, get_renderable=self._table, redirect_stdout=False, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def state(self) -> RunState | None:
        return None if self._run is None else self._run.state

    def begin(self, view: RunView) -> None:
        """Start from what the database says."""
        self._run = view.run
        self._tell_run(view.run)
        for task in view.tasks:
            self._take_task(task)

    def take(self, notice: Notice) -> None:
        match notice:
            case RunChanged():
                self._run = notice.run
                self._tell_run(notice.run)
            case TaskChanged():
                self._take_task(notice.task)
            case _:
                pass

    def ask(self, question: str) -> bool:
        """A yes or no of the person at the terminal; the table waits meanwhile."""
        if self._live is not None:
            self._live.stop()
        try:
            return click.confirm(question, err=True)
        finally:
            if self._live is not None:
                self._live.start()

    def print(self, text: Text) -> None:
        """A line of a log: on stdout, or above the table where both are on the terminal."""
        if self._live is not None and (self._log_to_stderr or sys.stdout.isatty()):
            self._live.console.print(text, soft_wrap=True)
        else:
            click.echo(text.plain, err=self._log_to_stderr)

    def _take_task(self, task: TaskInstance) -> None:
        known = self._tasks.get(task.key)
        self._tasks[task.key] = task
        if self._live is None and (known is None or (known.state, known.reason) != (task.state, task.reason)):
            self._tell(task)

    def _tell_run(self, run: Run) -> None:
        """Why the run as a whole waits or failed, once."""
        if self._live is None and run.reason is not None and run.reason.text not in self._told:
            self._told.add(run.reason.text)
            say(f"{run.key.dag_id} {run.state}  {run.reason.code}: {run.reason.text}")

    def _tell(self, task: TaskInstance) -> None:
        """A line for a change; what many tasks wait for is told once."""
        reason = f"{task.reason.code}: {task.reason.text}" if task.reason else ""
        reason = "; ".join(filter(None, (reason, self._next_try(task))))
        if task.state in _QUIET:
            if not reason or reason in self._told:
                return
            self._told.add(reason)
        if task.state is TaskState.REMOVED:
            return  # it was expanded: its instances are told of
        sign, _ = STATE_LOOKS[task.state]
        say(f"{sign} {task_name(task.key)} {task.state}  {reason}".rstrip())

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for _ in range(4):
            table.add_column(no_wrap=True)
        if self._run is not None:
            title = Text(f"{self._run.key.dag_id}  {self._run.key.run_id}  ", style="bold")
            table.title = title.append_text(state_text(self._run.state))
            table.title_justify = "left"
        for line in folded(_together(self._tasks)):
            reason = f"{line.reason.code}: {line.reason.text}" if line.reason else ""
            if line.key is not None:
                reason = "; ".join(filter(None, (reason, self._next_try(self._tasks[line.key]))))
            table.add_row(f"  {line.name}", state_text(line.state), self._so_far(line), Text(reason, style="dim"))
        return table

    def _next_try(self, task: TaskInstance) -> str:
        """When a task that failed is tried again."""
        if task.state is not TaskState.UP_FOR_RETRY or task.due_at is None:
            return ""
        left = max(task.due_at - self._clock.now(), timedelta())
        return f"next try in {duration(left)} (at {task.due_at:%H:%M:%SZ})"

    def _so_far(self, line: Line) -> str:
        if line.state != TaskState.RUNNING or line.started_at is None:
            return _lasted(line)
        return duration(max(self._clock.now() - line.started_at, timedelta()))


def _together(tasks: Mapping[TaskKey, TaskInstance]) -> list[TaskInstance]:
    """Instances of a task one after the other, in the order in which tasks were first heard of."""
    found: dict[str, list[TaskInstance]] = {}
    for key, task in tuple(tasks.items()):
        if task.state is not TaskState.REMOVED:
            found.setdefault(key.task_id, []).append(task)
    return [task for instances in found.values() for task in sorted(instances, key=lambda each: each.key)]


def _lasted(line: Line) -> str:
    if line.started_at is None or line.ended_at is None:
        return ""
    return duration(line.ended_at - line.started_at)


def watch_run(following: Following | None, queries: Queries, key: RunKey, clock: Clock) -> RunState:
    """Show a run until it ends, and then how each of its tasks did; woken by the scheduler, never asking again and
    again."""
    view = queries.run(key)
    say(f"{key.dag_id}  {key.run_id}  for {words(view.run.interval.start)}")
    if not view.run.state.final:
        _follow(following, view, clock)
        view = queries.run(key)
    summary(view)
    lasted = _offset(view.run.ended_at, view.run.started_at or view.run.created_at).lstrip("+")
    say(f"{key.dag_id}  {key.run_id}: {view.run.state}{f' after {lasted}' if lasted else ''}")
    return view.run.state


def _follow(following: Following | None, view: RunView, clock: Clock) -> None:
    key = view.run.key
    with RunDisplay(clock) as display:
        display.begin(view)
        for notice in following.notices() if following is not None else ():
            if concerns(notice, key.dag_id, key.run_id):
                display.take(notice)
            if display.state is not None and display.state.final:
                return
    if following is None:
        say("no scheduler answers here: this is how the run stands. Start one: orchestrator up")
    else:
        say("the scheduler went away; containers keep running and are adopted when it is back")


def summary(view: RunView) -> None:
    """A table of how each task did, on stdout."""
    rows = [
        {
            "task_id": line.name,
            "state": line.state,
            "tries": line.tries,
            "started": _offset(line.started_at, view.run.created_at),
            "duration": _lasted(line),
            "reason": f"{line.reason.code}: {line.reason.text}" if line.reason else "",
        }
        for line in folded(view.tasks)
    ]
    columns = ["task_id", "state", "tries", "started", "duration", "reason"]
    show(rows, columns, None)


def _offset(instant: datetime | None, since: datetime) -> str:
    return "" if instant is None else f"+{duration(instant - since)}"
