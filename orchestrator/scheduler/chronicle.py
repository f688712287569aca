"""What our own log tells of committed turns: one event for each decision that a person wants to find there later,
with the ids that it is about. Not how a turn goes, nor what goes well task by task.
"""

from collections.abc import Sequence
from typing import Any

import structlog

from orchestrator.ids import TaskKey
from orchestrator.planning.changes import Answered, Change, PutFile, PutRun, PutTask, PutVersion
from orchestrator.planning.rows import Reason, Run, TaskInstance
from orchestrator.spec.dag import Problem, Severity
from orchestrator.states import RunState, TaskState

_log = structlog.get_logger()


class Chronicle:
    """Writes it. Used by one thread."""

    def __init__(self) -> None:
        self._broken: dict[str, tuple[Problem, ...]] = {}  #: what is wrong with each file that is broken

    def tell(self, changes: Sequence[Change]) -> None:
        """Tell of a turn that was committed."""
        for change in changes:
            match change:
                case PutRun():
                    if _has_become_late(change.run, change.before):
                        _log.warning("run.late", dag_id=change.run.key.dag_id, run_id=change.run.key.run_id)
                    _tell_run(change.run, None if change.before is None else change.before.state)
                case PutTask():
                    if _has_become_late(change.task, change.before):
                        _log.warning("task.late", **_ids(change.task.key), state=change.task.state.value)
                    _tell_task(change.task, None if change.before is None else change.before.state)
                case PutFile():
                    self._tell_file(change)
                case PutVersion():
                    version = change.version
                    _log.info("dag.changed", dag_id=version.dag_id, version=version.version, file=version.spec.file)
                case Answered():
                    _tell_request(change)
                case _:
                    pass

    def _tell_file(self, change: PutFile) -> None:
        """That a file broke, in another way than before, or is well again."""
        file = change.parsed.file
        wrong = tuple(each for each in change.parsed.problems if each.severity is Severity.ERROR)
        known = self._broken.pop(file, ())
        if change.gone:
            _log.info("dag_file.gone", file=file)
        elif wrong:
            self._broken[file] = wrong
            if wrong != known:
                _log.error("dag_file.broken", file=file, problems=[str(problem) for problem in wrong])
        elif known:
            _log.info("dag_file.mended", file=file)


def _has_become_late(now: Run | TaskInstance, before: Run | TaskInstance | None) -> bool:
    return now.deadline_missed_at is not None and before is not None and before.deadline_missed_at is None


def _tell_run(run: Run, before: RunState | None) -> None:
    ids = {"dag_id": run.key.dag_id, "run_id": run.key.run_id}
    if run.state is before:
        return
    if run.state is RunState.RUNNING:
        _log.info("run.started", **ids, actor=run.actor)
    elif run.state.final:
        lasted = None if run.ended_at is None or run.started_at is None else run.ended_at - run.started_at
        tell = _log.info if run.state is RunState.SUCCESS else _log.warning
        seconds = {} if lasted is None else {"seconds": round(lasted.total_seconds(), 1)}
        tell("run.ended", **ids, state=run.state.value, **seconds, **_why(run.reason))


def _tell_task(task: TaskInstance, before: TaskState | None) -> None:
    """Only of those that did something of their own: what follows from a parent's end is told of the parent."""
    if task.state is before:
        return
    told = {**_ids(task.key), "tries": task.tries, **_why(task.reason)}
    match task.state:
        case TaskState.FAILED:
            _log.warning("task.failed", **told)
        case TaskState.UP_FOR_RETRY:
            at = None if task.due_at is None else task.due_at.isoformat(timespec="seconds")
            _log.warning("task.retries", at=at, **told)
        case TaskState.SKIPPED if task.tries:
            _log.info("task.skipped", **told)
        case _:
            pass


def _tell_request(change: Answered) -> None:
    request, answer = change.request, change.answer
    words = {} if answer.ok else {"error": answer.error}
    known = request.payload | answer.data
    about = {name: known[name] for name in ("dag_id", "run_id", "task_id") if name in known}
    _log.info("request.answered", kind=request.kind.value, actor=request.actor, ok=answer.ok, **about, **words)


def _ids(key: TaskKey) -> dict[str, Any]:
    index = {} if key.map_index < 0 else {"map_index": key.map_index}
    return {"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id, **index}


def _why(reason: Reason | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason.code.value, "why": reason.text}
