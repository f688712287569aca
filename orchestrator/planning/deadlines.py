"""What is still open when its deadline comes is late: that is told once, and it goes on as it was."""

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning import transitions
from orchestrator.planning.changes import Readied
from orchestrator.planning.draft import Draft
from orchestrator.planning.timers import TimerKind


def run_late(draft: Draft, key: RunKey) -> None:
    """A run has not ended by its deadline."""
    due = draft.world.timers.at(TimerKind.RUN_DEADLINE, key) or draft.now
    draft.put_run(transitions.run_late(draft.world.runs[key], due))


def task_late(draft: Draft, key: TaskKey) -> None:
    """A task instance has not ended by its deadline; it may not even have begun."""
    due = draft.world.timers.at(TimerKind.TASK_DEADLINE, key) or draft.now
    ready = draft.world.ready.get(key)
    draft.put_task(transitions.late(draft.world.tasks[key], due))
    if ready is not None:  # it keeps its place
        draft.do(Readied(task=key, spec=ready.spec, at=ready.since, cache=ready.cache))
