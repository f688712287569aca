"""Operators that the scheduler does itself and that have to do with what is outside of their run: they make a run
of another DAG, wait for one, or ask a person (spec authoring 4). None runs a container or takes a slot."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, Unpack

from msgspec.structs import replace

from orchestrator.authoring.arguments import ApprovalArguments, ExternalArguments, TriggerArguments
from orchestrator.authoring.data import ParamText
from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.mapped_waits import Expandable, WaitingPartial
from orchestrator.authoring.operators import Operator
from orchestrator.authoring.reading import Fields
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.taken import APPROVAL, EXTERNAL, TRIGGER
from orchestrator.authoring.waiting_forms import STATES
from orchestrator.authoring.without_effect import IDLE_APPROVAL, IDLE_EXTERNAL, IDLE_WAIT
from orchestrator.spec.control import Approval, Control, External, Trigger
from orchestrator.spec.dag import TaskKind, TaskSpec
from orchestrator.states import RunState


class WaitingOperator(Operator):
    """What these have in common. `part` is the value that their own arguments fill, `needs` are those of them that
    have no default, `expands` those that may differ among the instances of a mapped task."""

    __slots__ = ()
    part: ClassVar[type[Control]]
    needs: ClassVar[Mapping[str, str]] = {}
    expands: ClassVar[Expandable]
    idle = IDLE_WAIT

    @classmethod
    def partial(cls, **arguments: Any) -> WaitingPartial[Self]:
        """The beginning of a mapped task: `partial(...)` with what all its instances share, then `.expand(...)`."""
        return WaitingPartial(cls.title, cls.takes, cls.expands, arguments, cls)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        given = fields.get(self.part, {})
        for field, name in self.needs.items():
            if not given.get(field):
                raise fault(
                    f"{self.title} {self.node_id!r}: {name} is missing",
                    rule=Rule.MISSING_ARGUMENT,
                    fix=f'write {name}="..."',
                )
        return replace(super()._spec(scope, fields), control=self.part(**given))


class TriggerDagRunOperator(WaitingOperator):
    """Makes a run of another DAG, paused or not. Its result is `{"dag_id": ..., "run_id": ...}` of that run. With
    `wait_for_completion` it ends when the run has, and holds nothing until then."""

    __slots__ = ()
    kind = TaskKind.TRIGGER
    part = Trigger
    takes = TRIGGER
    needs: ClassVar[Mapping[str, str]] = {"dag_id": "trigger_dag_id"}
    expands: ClassVar[Expandable] = {
        "trigger_dag_id": None,
        "conf": "{}",
        **dict.fromkeys(("logical_date", "execution_date", "run_id", "trigger_run_id"), '""'),
    }

    def __init__(self, **arguments: Unpack[TriggerArguments]) -> None:
        given: dict[str, Any] = {**arguments}
        if "conf" in given:
            given["conf"] = _values(given["conf"])
        super().__init__(**given)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        given = fields.get(Trigger, {})
        if given.get("reset") and given.get("skip_when_exists"):
            raise _exclusive(self, "reset_dag_run and skip_when_already_exists")
        return super()._spec(scope, fields)


class ExternalTaskSensor(WaitingOperator):
    """Waits for the run of another DAG with the same logical date, or for tasks of it. Nothing looks again and
    again: it goes on when they have ended, and holds nothing until then."""

    __slots__ = ()
    kind = TaskKind.EXTERNAL
    part = External
    takes = EXTERNAL
    idle = IDLE_EXTERNAL
    needs: ClassVar[Mapping[str, str]] = {"dag_id": "external_dag_id"}
    expands: ClassVar[Expandable] = {
        "external_dag_id": None,
        **dict.fromkeys(("external_task_id", "external_task_group_id", "execution_date_fn"), '""'),
    }

    def __init__(self, **arguments: Unpack[ExternalArguments]) -> None:
        super().__init__(**arguments)

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        given = fields.get(External, {})
        whole = not given.get("task_ids") and given.get("group") is None
        if given.get("task_ids") and given.get("group") is not None:
            raise _exclusive(self, "external_task_group_id and external_task_ids")
        if given.get("delta") and given.get("date") is not None:
            raise _exclusive(self, "execution_delta and execution_date_fn")
        never = [state for name in STATES for state in given.get(name, ()) if whole and state not in list(RunState)]
        if never:
            raise fault(
                f"{self.title} {self.node_id!r}: no run is ever {never[0]}: it waits for a whole run",
                rule=Rule.BAD_ARGUMENT,
                fix="name success or failed, or the tasks in external_task_ids",
            )
        return super()._spec(scope, fields)


class ApprovalOperator(WaitingOperator):
    """Waits for a person, who approves, and may set the params, which are its result; or rejects: then it is
    skipped."""

    __slots__ = ()
    kind = TaskKind.APPROVAL
    part = Approval
    takes = APPROVAL
    expands: ClassVar[Expandable] = {"prompt": '""'}
    idle = IDLE_APPROVAL

    def __init__(self, **arguments: Unpack[ApprovalArguments]) -> None:
        super().__init__(**arguments)


def _exclusive(operator: Operator, names: str) -> Exception:
    return fault(
        f"{operator.title} {operator.node_id!r}: {names} exclude each other",
        rule=Rule.BAD_ARGUMENT,
        fix="keep one of them",
    )


def _values(written: Any) -> Any:
    """The same with params as their values: what stands in conf stays what it is."""
    if isinstance(written, ParamText):
        return written.value
    if isinstance(written, Mapping):
        return {name: _values(value) for name, value in written.items()}
    return type(written)(map(_values, written)) if type(written) in (list, tuple) else written
