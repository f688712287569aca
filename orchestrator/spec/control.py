"""Tasks that the scheduler does itself and that have to do with what is outside of their run: another run to make,
one to wait for, a person to ask (spec authoring 4). No user code runs in them, so they have no container."""

from datetime import timedelta
from typing import Any

from orchestrator.spec.params import ParamSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunState


class Trigger(Value, frozen=True, kw_only=True, tag="trigger"):
    """Make a run of another DAG. Every text may be a template; `conf` is an object once it is rendered. With `wait`
    the task ends when that run has, in the state that says so. Without a `logical_date` the run stands for what one
    asked for by hand stands for, and without a `run_id` it gets the name of such a one."""

    dag_id: str
    conf: Any = {}
    logical_date: str | None = None
    run_id: str | None = None
    reset: bool = False  #: a run that is there already is cleared, and has what it had run again
    skip_when_exists: bool = False  #: or the task is skipped; else it fails
    wait: bool = False
    allowed_states: tuple[RunState, ...] = (RunState.SUCCESS,)
    failed_states: tuple[RunState, ...] = (RunState.FAILED,)
    timeout: timedelta | None = None  #: of the wait


class External(Value, frozen=True, kw_only=True, tag="external"):
    """Wait for the run of another DAG with this one's logical date, less `delta`, or with the date that the
    template `date` gives: for some of its tasks, a group of them, or the run as a whole. States are those of
    task instances, or of runs."""

    dag_id: str
    task_ids: tuple[str, ...] = ()
    group: str | None = None
    allowed_states: tuple[str, ...] = ("success",)
    failed_states: tuple[str, ...] = ()
    skipped_states: tuple[str, ...] = ()
    delta: timedelta = timedelta(0)
    date: str | None = None
    check_existence: bool = False  #: a DAG or task that is not known fails it; else that may come yet
    timeout: timedelta = timedelta(days=7)
    soft_fail: bool = False  #: skipped, not failed, where what it waits for failed or never came


class Approval(Value, frozen=True, kw_only=True, tag="approval"):
    """Ask a person. `params` is what that person may set; the task's result is what they came to. `roles` are whose
    decision it is, once there are users to tell apart."""

    prompt: str = ""
    params: dict[str, ParamSpec] = {}
    roles: tuple[str, ...] = ()
    timeout: timedelta | None = None


Control = Trigger | External | Approval
