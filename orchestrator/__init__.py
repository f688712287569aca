"""A containerized-task orchestrator around one operator. A DAG file imports from here; nothing heavy loads."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.authoring import DAG as DAG
    from orchestrator.authoring import ApprovalOperator as ApprovalOperator
    from orchestrator.authoring import Asset as Asset
    from orchestrator.authoring import AssetOrTime as AssetOrTime
    from orchestrator.authoring import BranchDockerOperator as BranchDockerOperator
    from orchestrator.authoring import Cache as Cache
    from orchestrator.authoring import CronDataIntervalTimetable as CronDataIntervalTimetable
    from orchestrator.authoring import CronTrigger as CronTrigger
    from orchestrator.authoring import CronTriggerTimetable as CronTriggerTimetable
    from orchestrator.authoring import DeltaDataIntervalTimetable as DeltaDataIntervalTimetable
    from orchestrator.authoring import DeltaTriggerTimetable as DeltaTriggerTimetable
    from orchestrator.authoring import DockerOperator as DockerOperator
    from orchestrator.authoring import DockerSensor as DockerSensor
    from orchestrator.authoring import EmptyOperator as EmptyOperator
    from orchestrator.authoring import ExternalTaskSensor as ExternalTaskSensor
    from orchestrator.authoring import Interval as Interval
    from orchestrator.authoring import Label as Label
    from orchestrator.authoring import LatestOnlyOperator as LatestOnlyOperator
    from orchestrator.authoring import Mount as Mount
    from orchestrator.authoring import Param as Param
    from orchestrator.authoring import Secret as Secret
    from orchestrator.authoring import ShortCircuitDockerOperator as ShortCircuitDockerOperator
    from orchestrator.authoring import TaskGroup as TaskGroup
    from orchestrator.authoring import TemplateFile as TemplateFile
    from orchestrator.authoring import TriggerDagRunOperator as TriggerDagRunOperator
    from orchestrator.authoring import chain as chain
    from orchestrator.authoring import cross_downstream as cross_downstream
    from orchestrator.authoring import dag as dag
    from orchestrator.authoring import task as task
    from orchestrator.authoring import task_group as task_group
    from orchestrator.states import TriggerRule as TriggerRule

#: Where each exported name lives; the module is imported when the name is first asked for.
_HOMES = {
    "ApprovalOperator": "orchestrator.authoring",
    "Asset": "orchestrator.authoring",
    "AssetOrTime": "orchestrator.authoring",
    "BranchDockerOperator": "orchestrator.authoring",
    "Cache": "orchestrator.authoring",
    "CronDataIntervalTimetable": "orchestrator.authoring",
    "CronTrigger": "orchestrator.authoring",
    "CronTriggerTimetable": "orchestrator.authoring",
    "DAG": "orchestrator.authoring",
    "DeltaDataIntervalTimetable": "orchestrator.authoring",
    "DeltaTriggerTimetable": "orchestrator.authoring",
    "DockerOperator": "orchestrator.authoring",
    "DockerSensor": "orchestrator.authoring",
    "EmptyOperator": "orchestrator.authoring",
    "ExternalTaskSensor": "orchestrator.authoring",
    "Interval": "orchestrator.authoring",
    "Label": "orchestrator.authoring",
    "LatestOnlyOperator": "orchestrator.authoring",
    "Mount": "orchestrator.authoring",
    "Secret": "orchestrator.authoring",
    "ShortCircuitDockerOperator": "orchestrator.authoring",
    "Param": "orchestrator.authoring",
    "TaskGroup": "orchestrator.authoring",
    "TemplateFile": "orchestrator.authoring",
    "TriggerDagRunOperator": "orchestrator.authoring",
    "TriggerRule": "orchestrator.states",
    "chain": "orchestrator.authoring",
    "cross_downstream": "orchestrator.authoring",
    "dag": "orchestrator.authoring",
    "task": "orchestrator.authoring",
    "task_group": "orchestrator.authoring",
}


if not TYPE_CHECKING:  # to a type checker, only the names imported above exist

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
        return getattr(import_module(home), name)


def offered() -> tuple[str, ...]:
    """The names that a DAG file can import from here."""
    return tuple(_HOMES)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
