"""`orchestrator tasks approve`: deciding for tasks that wait for a person; and asking one in `dags test`."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

import click
import msgspec

from orchestrator.actions import Decision
from orchestrator.cli.output import output_option
from orchestrator.cli.session import changed_run, open_app, tell
from orchestrator.errors import NotFoundError, RequestRefusedError
from orchestrator.ids import UNMAPPED, TaskKey, instance_name, instance_named
from orchestrator.planning.awaits import ApprovalWait
from orchestrator.planning.rows import TaskInstance
from orchestrator.planning.verdicts import name_of
from orchestrator.queries import Queries
from orchestrator.states import TaskState


@click.command("approve")
@click.argument("dag_id")
@click.argument("task_id")
@click.argument("run", required=False)
@click.option("--reject", is_flag=True, help="Have it skipped, with what follows it.")
@click.option("--note", help="Why: kept with the task.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A value as JSON, or as it is.")
@click.option("--map-index", type=int, default=UNMAPPED, help="Of a mapped task; or write TASK_ID[3].")
@output_option
def approve_task(
    dag_id: str,
    task_id: str,
    run: str | None,
    *,
    reject: bool,
    note: str | None,
    params: tuple[str, ...],
    map_index: int,
    output: str | None,
) -> None:
    """Let a task go on that waits for somebody to approve it. Without RUN that of the one run in which it waits."""
    app = open_app()
    task_id, map_index = instance_named(task_id, map_index)
    decision = Decision(approved=not reject, note=note, params=dict(map(_param, params)))
    with app.queries() as queries:
        key = _asked(queries, dag_id, task_id, run, map_index)
    with app.actions() as actions:
        outcome = actions.approve(key, decision)
    done = "rejected" if reject else "approved"
    tell(outcome, output, f"{name_of(key)} of {key.dag_id} {key.run_id} is {done}")


def waits_for_approval(task: TaskInstance) -> bool:
    """Whether somebody has to decide for it."""
    return task.state is TaskState.UP_FOR_RESCHEDULE and isinstance(task.awaits, ApprovalWait)


class Asking:
    """Asks the person at the terminal for each task that waits for one, one after the other; `decide` hears what
    was decided. With `answer` nobody is asked. Any thread."""

    def __init__(
        self,
        ask: Callable[[str], bool],
        decide: Callable[[TaskKey, bool], None],
        *,
        answer: bool | None = None,
    ) -> None:
        self._ask = ask
        self._decide = decide
        self._answer = answer
        self._met: set[tuple[TaskKey, int]] = set()
        self._waiting: queue.SimpleQueue[TaskInstance] = queue.SimpleQueue()
        threading.Thread(target=self._go, name="asking", daemon=True).start()

    def take(self, task: TaskInstance) -> None:
        """A task instance moved on."""
        if waits_for_approval(task) and (task.key, task.tries) not in self._met:
            self._met.add((task.key, task.tries))
            self._waiting.put(task)

    def _go(self) -> None:
        while True:
            task = self._waiting.get()
            prompt = task.awaits.prompt if isinstance(task.awaits, ApprovalWait) else ""
            question = f"{name_of(task.key)}: {prompt or 'shall it go on?'}"
            self._decide(task.key, self._ask(question) if self._answer is None else self._answer)


def _asked(queries: Queries, dag_id: str, task_id: str, run: str | None, map_index: int) -> TaskKey:
    """The task instance that is meant; where no run is named, the one that waits."""
    if run is not None:
        return queries.task_key(changed_run(queries, dag_id, run), task_id, map_index)
    waiting = [task.key for task in queries.waiting(dag_id) if waits_for_approval(task)]
    found = [key for key in waiting if (key.task_id, key.map_index) == (task_id, map_index)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestRefusedError(
            f"{instance_name(task_id, map_index)} of {dag_id} waits for approval in {len(found)} runs",
            fix=f"name one of them: {_few(key.run_id for key in found)}",
        )
    others = _few(f"{name_of(key)} ({key.run_id})" for key in waiting)
    raise NotFoundError(
        "approval",
        f"{dag_id} {instance_name(task_id, map_index)}",
        fix=f"waiting are: {others}" if waiting else "no task of this DAG waits for approval",
    )


def _few(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:5])


def _param(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not like name=value", param_hint="--param")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value
