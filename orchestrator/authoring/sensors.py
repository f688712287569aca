"""Operators that look whether something is there, again and again (spec authoring 4)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from msgspec.structs import replace

from orchestrator.authoring.arguments import SensorArguments
from orchestrator.authoring.faults import Rule, fault
from orchestrator.authoring.operators import DockerOperator
from orchestrator.authoring.reading import Fields
from orchestrator.authoring.scope import Scope
from orchestrator.authoring.taken import SENSOR
from orchestrator.authoring.without_effect import IDLE_SENSOR
from orchestrator.spec.dag import SensorSpec, TaskSpec


class DockerSensor(DockerOperator):
    """Its container looks whether something is there, and is run again until it is. It exits with 0 where it is
    there, with 75 (EX_TEMPFAIL) where it is not yet, with 99 to be skipped; with anything else its try has failed.
    Between two looks it holds no container and no slot."""

    __slots__ = ()
    presets: ClassVar[Mapping[str, Any]] = {"skip_on_exit_code": 99}
    takes = SENSOR
    idle = IDLE_SENSOR
    refuses: ClassVar[Mapping[str, str]] = {
        "cache": "each look sees what is there now; the task after it may have a cache"
    }

    def __init__(self, **arguments: Unpack[SensorArguments]) -> None:
        super().__init__(**arguments)  # type: ignore[misc]  # a TypedDict with more keys than the parent's

    def _spec(self, scope: Scope, fields: Fields) -> TaskSpec:
        sensor = SensorSpec(**fields.get(SensorSpec, {}))
        made = replace(super()._spec(scope, fields), sensor=sensor)
        meant = {0, *made.skip_on_exit_code} & set(sensor.not_ready_exit_codes)
        if meant:
            raise fault(
                f"{self.title} {self.node_id!r}: exit code {min(meant)} cannot mean not yet: it means"
                f" {'that it is there' if min(meant) == 0 else 'skip'}",
                rule=Rule.BAD_ARGUMENT,
                fix="give not_ready_exit_codes others than 0 and those of skip_on_exit_code",
            )
        return made
