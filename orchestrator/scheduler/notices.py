"""What the scheduler tells those who watch: committed changes and marks that a log grew. Faces start from the
database and go on from here, so that nobody has to ask again and again."""

from orchestrator.ids import TaskKey, TryKey
from orchestrator.planning.changes import Answered, Change, PutRun, PutTask, PutTry
from orchestrator.planning.rows import Answer, Run, TaskInstance, Try
from orchestrator.spec.value import Value


class RunChanged(Value, frozen=True, kw_only=True, tag="run"):
    """A run was created or moved on."""

    run: Run


class TaskChanged(Value, frozen=True, kw_only=True, tag="task"):
    """A task instance was created or moved on, or waits for another reason than before."""

    task: TaskInstance


class TryChanged(Value, frozen=True, kw_only=True, tag="try"):
    """A try began, ended, or was collected; `log_complete`: its log will not grow any more."""

    attempt: Try


class LogGrew(Value, frozen=True, kw_only=True, tag="log"):
    """More of this try's log can be read."""

    key: TryKey


class RequestAnswered(Value, frozen=True, kw_only=True, tag="answer"):
    """A request was answered."""

    request_id: int
    answer: Answer


Notice = RunChanged | TaskChanged | TryChanged | LogGrew | RequestAnswered


def notices_of(changes: tuple[Change, ...]) -> list[Notice]:
    """What watchers hear of a committed turn: of each task, run and try its newest state only."""
    newest: dict[object, Notice] = {}
    for change in changes:
        match change:
            case PutRun():
                newest[change.run.key] = RunChanged(run=change.run)
            case PutTask():
                newest[change.task.key] = TaskChanged(task=change.task)
            case PutTry():
                newest[change.attempt.try_id] = TryChanged(attempt=change.attempt)
            case Answered():
                newest[change.request.id] = RequestAnswered(request_id=change.request.id, answer=change.answer)
            case _:
                pass
    return list(newest.values())


def concerns(notice: Notice, dag_id: str, run_id: str) -> bool:
    """Whether a notice is about this run."""
    match notice:
        case RunChanged():
            return (notice.run.key.dag_id, notice.run.key.run_id) == (dag_id, run_id)
        case TaskChanged():
            return _of_run(notice.task.key, dag_id, run_id)
        case TryChanged():
            return _of_run(notice.attempt.key.task, dag_id, run_id)
        case LogGrew():
            return _of_run(notice.key.task, dag_id, run_id)
        case RequestAnswered():
            return False


def _of_run(key: TaskKey, dag_id: str, run_id: str) -> bool:
    return (key.dag_id, key.run_id) == (dag_id, run_id)
