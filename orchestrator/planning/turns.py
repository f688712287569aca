"""Turn about: of what sensors that look again and all others compete for, each gets every other one.

A sensor that waits looks for ever, so neither priority nor age alone would be fair: forty of them could keep a
small pool to themselves, and a busy pool might never let one look. What is remembered of each limit is only who
took of it last; it is lost with the process, which costs nobody more than one turn.
"""

from orchestrator.planning.limits import Lane
from orchestrator.planning.rows import Run, Try
from orchestrator.planning.view import View


def taken(view: View, attempt: Try, claims: Lane) -> None:
    """A try was intended, which takes of these."""
    for claim in claims:
        if attempt.look > 1:
            view.looked.put(claim.scope, attempt.key.task.run)
        elif claim.scope in view.looked:
            view.looked.drop(claim.scope)


def run_left(view: View, run: Run) -> None:
    """A run has ended: forget what its sensors took, since some limits are of one run, or named by it."""
    for scope in [scope for scope, of in view.looked.items() if of == run.key]:
        view.looked.drop(scope)
