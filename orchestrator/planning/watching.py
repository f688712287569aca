"""Who waits for what outside of its own run: the indexes of the world by which the end of a task instance or of a
run finds those that wait for it. Part of `World.apply`, and of nothing else."""

from orchestrator.ids import RunKey
from orchestrator.planning.awaits import Awaits, ExternalWait, RunWait
from orchestrator.planning.history import Before, states_of
from orchestrator.planning.rows import Run, TaskInstance
from orchestrator.planning.view import Moment, View, Watched
from orchestrator.states import RunType, TaskState


def watched(task: TaskInstance | None) -> Watched | None:
    """What a task instance waits for that an event can bring; None where it does not, or where time or a person
    brings it."""
    if task is None or task.state is not TaskState.UP_FOR_RESCHEDULE:
        return None
    return _of(task.awaits)


def take_task(view: View, before: TaskInstance | None, after: TaskInstance | None) -> None:
    """Take in that a task instance moved on; None: it is not there."""
    left, sought = watched(before), watched(after)
    if left == sought:
        return
    if left is not None and before is not None:
        view.watchers.remove(left, before.key)
    if sought is not None and after is not None:
        view.watchers.add(sought, after.key)


def learn(view: View, run: RunKey, before: Before | None) -> None:
    """Take in what a run now knows of the one before it; None: nothing."""
    known = view.before.get(run)
    if known is not None and known.run is not None:
        view.followers.remove(known.run, run)
    if before is None:
        view.before.drop(run)
    else:
        view.before.put(run, before)
        if before.run is not None:
            view.followers.add(before.run, run)


def run_made(view: View, run: Run) -> None:
    """Have later runs of its DAG that are open ask anew which one was before them."""
    if run.run_type is RunType.MANUAL:
        return
    for later, known in list(view.before.items()):
        between = known.date is None or known.date < run.interval.start
        if later.dag_id == run.key.dag_id and between and view.runs[later].interval.start > run.interval.start:
            learn(view, later, None)


def run_left(view: View, run: Run) -> None:
    """Have those that follow a run keep how its task instances ended, before it leaves the world."""
    learn(view, run.key, None)
    followers = list(view.followers.entries(run.key))
    if followers:
        states = states_of(run, (view.tasks[key] for key in view.tasks_of.entries(run.key)))
        for follower in followers:
            learn(view, follower, Before(run=run.key, date=run.interval.start, states=states))


def _of(awaits: Awaits | None) -> Watched | None:
    match awaits:
        case RunWait():
            return awaits.run
        case ExternalWait():
            return Moment(awaits.control.dag_id, awaits.date)
        case _:
            return None
