"""The forms in which users may write what a task waits for or makes outside of its run. All raise ValueError with a
sentence where the value has none of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.data import json_of
from orchestrator.authoring.faults import nearest
from orchestrator.authoring.forms import duration
from orchestrator.states import FINAL_TASK_STATES, RunState, TaskState

#: Arguments of an `ExternalTaskSensor` that name states.
STATES = ("allowed_states", "failed_states", "skipped_states")
_ENDS = sorted({*(FINAL_TASK_STATES - {TaskState.REMOVED})})
_RUN_ENDS = [state for state in RunState if state.final]


def conf(written: Any) -> Any:
    """An object, or a handle on one; None for none."""
    if written is None:
        return {}
    if isinstance(written, Mapping | str):
        return json_of("conf", written)
    raise ValueError(f"expected a dict, got {written!r}")


def date(written: Any) -> Any:
    """An aware datetime, or a text or template that says one."""
    if not isinstance(written, datetime):
        return written
    if written.utcoffset() is None:
        raise ValueError(f"{written.isoformat()} has no timezone: write datetime(..., tzinfo=UTC)")
    return written.isoformat()


def delta(written: Any) -> Any:
    """A timedelta or a number of seconds; None for none."""
    return timedelta(0) if written is None else duration(written)


def template(written: Any) -> Any:
    """A template that gives a date: a function cannot leave the process that reads DAG files."""
    if callable(written):
        raise ValueError(  # noqa: TRY004 - readers of arguments all raise it
            'a function is not run here; write a template, as in "{{ macros.ds_add(ds, -1) }}"'
        )
    return date(written)


def task_ids(written: Any) -> Any:
    """A task id or several; None for none."""
    if written is None:
        return ()
    return (written,) if isinstance(written, str) else written


def run_states(written: Any) -> Any:
    """States in which a run ends."""
    return _known(written, [state.value for state in _RUN_ENDS], "runs end")


def states(written: Any) -> Any:
    """States in which tasks or runs end."""
    return _known(written, [state.value for state in _ENDS], "tasks end")


def _known(written: Any, known: list[str], what: str) -> Any:
    found = [written] if isinstance(written, str) else list(written or ())
    for each in found:
        if str(each) not in known:
            raise ValueError(f"{str(each)!r} is none of the states in which {what}{nearest(str(each), known)}")
    return tuple(str(each) for each in found)
