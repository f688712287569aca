"""What a DAG file may say. `orchestrator` hands these names on; `collecting` and `to_spec` are the parser's."""

from orchestrator.authoring.control import BranchDockerOperator as BranchDockerOperator
from orchestrator.authoring.control import LatestOnlyOperator as LatestOnlyOperator
from orchestrator.authoring.control import ShortCircuitDockerOperator as ShortCircuitDockerOperator
from orchestrator.authoring.dag import DAG as DAG
from orchestrator.authoring.dag import collecting as collecting
from orchestrator.authoring.dag import dag as dag
from orchestrator.authoring.edges import Label as Label
from orchestrator.authoring.edges import chain as chain
from orchestrator.authoring.edges import cross_downstream as cross_downstream
from orchestrator.authoring.groups import TaskGroup as TaskGroup
from orchestrator.authoring.groups import task_group as task_group
from orchestrator.authoring.mounts import Mount as Mount
from orchestrator.authoring.operators import DockerOperator as DockerOperator
from orchestrator.authoring.operators import EmptyOperator as EmptyOperator
from orchestrator.authoring.params import Param as Param
from orchestrator.authoring.schedules import CronDataIntervalTimetable as CronDataIntervalTimetable
from orchestrator.authoring.schedules import CronTrigger as CronTrigger
from orchestrator.authoring.schedules import CronTriggerTimetable as CronTriggerTimetable
from orchestrator.authoring.schedules import DeltaDataIntervalTimetable as DeltaDataIntervalTimetable
from orchestrator.authoring.schedules import DeltaTriggerTimetable as DeltaTriggerTimetable
from orchestrator.authoring.schedules import Interval as Interval
from orchestrator.authoring.secrets import Secret as Secret
from orchestrator.authoring.serialize import to_spec as to_spec
from orchestrator.authoring.taskflow import task as task
from orchestrator.authoring.template_files import TemplateFile as TemplateFile
