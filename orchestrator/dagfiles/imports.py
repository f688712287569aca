"""What to write in place of a name that a DAG file wants to import and that is not there."""

import difflib
import re
from collections.abc import Mapping

import orchestrator

_SCRIPT = 'DockerOperator(task_id=..., script="...")'
_FUNCTION = f"`@task.docker` above the function, or {_SCRIPT} with a program in an image"
_LOOK = 'DockerSensor(task_id=..., script="...; exit 75") for not yet'

#: A name of Airflow's -> what does the same here.
_INSTEAD: Mapping[str, str] = {
    "BashOperator": _SCRIPT,
    "PythonOperator": _FUNCTION,
    "PythonVirtualenvOperator": _FUNCTION,
    "ExternalPythonOperator": _FUNCTION,
    "BranchPythonOperator": "`@task.branch` above the function, or BranchDockerOperator(task_id=..., script=...)",
    "ShortCircuitOperator": "`@task.short_circuit` above the function, or ShortCircuitDockerOperator(...)",
    "KubernetesPodOperator": "DockerOperator(task_id=..., image=..., command=...)",
    "DummyOperator": "EmptyOperator(task_id=...)",
    "BashSensor": _LOOK,
    "PythonSensor": _LOOK,
    "FileSensor": _LOOK,
    "SubDagOperator": "TaskGroup, or TriggerDagRunOperator for a DAG of its own",
    "Dataset": "Asset(name, uri)",
    "Variable": "`{{ var.value.NAME }}` in the argument that needs it",
    "Connection": 'connections=["ID"] of the task that needs it, or `{{ conn.ID.host }}`',
    "BaseHook": 'connections=["ID"] of the task that needs it, or `{{ conn.ID.host }}`',
    "XCom": "`task.output` of the task whose result is meant",
    "notify": 'a last task that tells, with trigger_rule="one_failed": nobody is notified yet',
    "days_ago": "start_date=datetime(2026, 1, 1, tzinfo=UTC)",
}
_OF_OURS = re.compile(r"cannot import name '(\w+)' from 'orchestrator(?:\.authoring)?' ")
_OPERATORS = ("Operator", "Sensor", "Hook")


#: How alike two names must be: operators share an ending, and are none the nearer for it.
_NEAR = 0.85


def in_place_of(error: ImportError) -> tuple[str, str] | None:
    """What happened and what to do, where `orchestrator` has not the name; None of any other module."""
    missing = _OF_OURS.search(str(error))
    if missing is None:
        return None
    name = missing[1]
    text = f"orchestrator has no {name!r}"
    if name in _INSTEAD:
        return text, f"write {_INSTEAD[name]}"
    offered = {each.lower(): each for each in sorted(orchestrator.offered(), reverse=True)}  # DAG before dag
    near = difflib.get_close_matches(name.lower(), offered, n=1, cutoff=_NEAR)
    if near:
        return text, f"did you mean {offered[near[0]]!r}?"
    if name.endswith(_OPERATORS):
        return text, f"what it did belongs in an image: write {_SCRIPT}, or `@task.docker` above a function"
    return text, f"it has {', '.join(sorted(offered.values()))}"
