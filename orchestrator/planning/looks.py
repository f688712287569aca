"""The questions of requests and backfills that the database has not answered yet. What they ask about goes on
meanwhile: of a run that ended since, the answer tells less than was known. Part of `World.apply`, and of nothing
else."""

import msgspec

from orchestrator.planning.changes import LookBack
from orchestrator.planning.history import BackfillStep, Question, concerns
from orchestrator.planning.rows import Backfill, Request, Run
from orchestrator.planning.view import View


def asked(view: View, change: LookBack) -> None:
    """A question is put, or put again."""
    match change.asker:
        case Request(id=number):
            view.questions.put(number, Question(wanted=change.wanted))
        case BackfillStep() as step:
            view.questions.put(step, Question(wanted=change.wanted))
        case _:
            pass  # who waits for something asks again when that moves


def run_left(view: View, run: Run) -> None:
    """A run has ended."""
    for asker, question in list(view.questions.items()):
        if concerns(question.wanted, run):
            view.questions.put(asker, msgspec.structs.replace(question, overtaken=True))


def backfill_put(view: View, backfill: Backfill) -> None:
    """Forget the questions of steps that are not to be taken any more, or not now."""
    dates = set() if backfill.paused else {step.date for step in backfill.pending}
    for asker, _ in list(view.questions.items()):
        if isinstance(asker, BackfillStep) and asker.backfill == backfill.id and asker.date not in dates:
            view.questions.drop(asker)
