"""The questions of requests, of backfills, and of tasks that are to make a run, which the database has not answered
yet. What they ask about goes on meanwhile: of a run that ended since, the answer tells less than was known. Part of
`World.apply`, and of nothing else."""

import msgspec

from orchestrator.ids import TaskKey
from orchestrator.planning.awaits import TriggerWait
from orchestrator.planning.changes import LookBack
from orchestrator.planning.history import BackfillStep, Question, concerns
from orchestrator.planning.rows import Backfill, Request, Run, TaskInstance
from orchestrator.planning.view import View
from orchestrator.states import TaskState


def asked(view: View, change: LookBack) -> None:
    """A question is put, or put again."""
    match change.asker:
        case Request(id=number):
            view.questions.put(number, Question(wanted=change.wanted))
        case BackfillStep() as step:
            view.questions.put(step, Question(wanted=change.wanted))
        case TaskKey() as key if _is_to_make_a_run(view.tasks.get(key)):
            view.questions.put(key, Question(wanted=change.wanted))
        case _:
            pass  # who waits for something asks again when that moves


def run_made(view: View, run: Run) -> None:
    """A run is there that was not: who is to make one may have been told that it is not."""
    for asker, question in list(view.questions.items()):
        if isinstance(asker, TaskKey) and concerns(question.wanted, run):
            view.questions.put(asker, msgspec.structs.replace(question, overtaken=True))


def run_left(view: View, run: Run) -> None:
    """A run has ended."""
    for asker, question in list(view.questions.items()):
        if concerns(question.wanted, run):
            view.questions.put(asker, msgspec.structs.replace(question, overtaken=True))


def task_put(view: View, key: TaskKey, task: TaskInstance | None) -> None:
    """A task instance has moved, or has left: its question counts while it is to make a run."""
    if key in view.questions and not _is_to_make_a_run(task):
        view.questions.drop(key)


def backfill_put(view: View, backfill: Backfill) -> None:
    """Forget the questions of steps that are not to be taken any more, or not now."""
    dates = set() if backfill.paused else {step.date for step in backfill.pending}
    for asker, _ in list(view.questions.items()):
        if isinstance(asker, BackfillStep) and asker.backfill == backfill.id and asker.date not in dates:
            view.questions.drop(asker)


def _is_to_make_a_run(task: TaskInstance | None) -> bool:
    """Whether it waits to hear if that run is there already."""
    rests = task is not None and task.state is TaskState.UP_FOR_RESCHEDULE
    return rests and task is not None and isinstance(task.awaits, TriggerWait)
