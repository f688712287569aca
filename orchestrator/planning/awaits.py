"""What a task instance without a container waits for, as its row keeps it: enough to go on from after a restart."""

from datetime import datetime

from orchestrator.ids import RunKey
from orchestrator.spec.control import External, Trigger
from orchestrator.spec.interval import Interval
from orchestrator.spec.params import ParamSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunState


class TriggerWait(Value, frozen=True, kw_only=True, tag="trigger"):
    """To hear whether the run that it is to make is there already. `interval` is what that run would stand for."""

    control: Trigger
    interval: Interval


class RunWait(Value, frozen=True, kw_only=True, tag="run"):
    """The end of the run that it made; kept when that has come, to lead from the one to the other."""

    run: RunKey
    allowed_states: tuple[RunState, ...] = ()
    failed_states: tuple[RunState, ...] = ()


class ExternalWait(Value, frozen=True, kw_only=True, tag="external"):
    """A run of another DAG with the logical date `date`, or tasks of it."""

    control: External
    date: datetime


class Decision(Value, frozen=True, kw_only=True):
    """What somebody decided, and why."""

    approved: bool
    actor: str
    note: str | None = None
    at: datetime


class ApprovalWait(Value, frozen=True, kw_only=True, tag="approval"):
    """A person's decision; kept with it."""

    prompt: str = ""
    params: dict[str, ParamSpec] = {}
    roles: tuple[str, ...] = ()
    decision: Decision | None = None


Awaits = TriggerWait | RunWait | ExternalWait | ApprovalWait
