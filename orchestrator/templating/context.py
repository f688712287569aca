"""What a template may know (spec authoring 7): from plain facts to the names in it. Nothing here can be
changed by a template, and nothing here reads a clock.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pendulum

from orchestrator.errors import RenderError
from orchestrator.spec.dag import TaskSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunType
from orchestrator.templating import filters
from orchestrator.templating.macros import Macros
from orchestrator.templating.names import nearest


class PastRun(Value, frozen=True, kw_only=True):
    """An earlier run, as far as templates may ask about it."""

    start: datetime
    end: datetime
    started_at: datetime | None = None


class TemplateFacts(Value, frozen=True, kw_only=True):
    """Everything a template's names are made from. Instants are aware; dates are shown in `timezone`."""

    dag_id: str
    run_id: str
    task: TaskSpec
    map_index: int
    try_number: int
    run_type: RunType
    note: str | None
    conf: dict[str, Any]
    start: datetime
    end: datetime
    started_at: datetime | None
    next_start: datetime | None
    previous_start: datetime | None
    previous_success: PastRun | None
    timezone: str
    dag_params: dict[str, Any]
    dag_tags: tuple[str, ...]
    dag_owner: str
    dag_file: str
    test_mode: bool
    pins: dict[str, str]


class DagFacade(Value, frozen=True, kw_only=True):
    """`dag`"""

    dag_id: str
    owner: str
    tags: tuple[str, ...]
    timezone: str
    file: str


class DagRunFacade(Value, frozen=True, kw_only=True):
    """`dag_run`"""

    dag_id: str
    run_id: str
    run_type: RunType
    conf: dict[str, Any]
    note: str | None
    logical_date: Any
    execution_date: Any
    data_interval_start: Any
    data_interval_end: Any
    start_date: Any
    external_trigger: bool


class TaskFacade(Value, frozen=True, kw_only=True):
    """`task`"""

    task_id: str
    owner: str
    operator: str
    pool: str
    priority_weight: int
    retries: int
    trigger_rule: str
    upstream_task_ids: tuple[str, ...]


class TaskInstanceFacade:
    """`ti`: which try this is, and the results of other tasks of the run."""

    def __init__(self, facts: TemplateFacts, result: Callable[[str], bytes | None]) -> None:
        self.dag_id = facts.dag_id
        self.run_id = facts.run_id
        self.task_id = facts.task.task_id
        self.map_index = facts.map_index
        self.try_number = facts.try_number
        self._result = result
        self._seen: dict[str, Any] = {}

    def xcom_pull(self, task_ids: str | Sequence[str], key: str = "return_value", default: Any = None) -> Any:
        """The result of a task, or a list of them for a list of ids; `default` where there is none. `key` takes
        one part of a result that is an object."""
        if isinstance(task_ids, str):
            return self._part(task_ids, key, default)
        return [self._part(task_id, key, default) for task_id in task_ids]

    def handed(self, task_id: str, key: str = "") -> Any:
        """What a handle stands for: the result of a task, or the part of it under a key; None where the task gave
        nothing."""
        value = self._value(task_id, None)
        if value is None or not key:
            return value
        if not isinstance(value, dict) or key not in value:
            known = nearest(key, value) if isinstance(value, dict) else ", which is no object"
            raise RenderError(
                f"the result of {task_id!r} has no part {key!r}{known}",
                fix=f"have {task_id} hand on an object with this part",
            )
        return value[key]

    def _part(self, task_id: str, key: str, default: Any) -> Any:
        if key == "return_value":
            return self._value(task_id, default)
        value = self._value(task_id, {})
        if not isinstance(value, dict):
            raise RenderError(
                f"xcom_pull has no key {key!r}: the result of {task_id!r} is no object",
                fix=f"leave key out, or have {task_id} hand on an object (multiple_outputs=True)",
            )
        return value.get(key, default)

    def _value(self, task_id: str, default: Any) -> Any:
        if task_id not in self._seen:
            data = self._result(task_id)
            self._seen[task_id] = self if data is None else msgspec.json.decode(data)
        value = self._seen[task_id]
        return default if value is self else value


def build_context(facts: TemplateFacts, result: Callable[[str], bytes | None]) -> dict[str, Any]:
    """All names of a template. `result` tells the JSON another task of this run handed down, by task id."""

    def shown(instant: datetime | None) -> pendulum.DateTime | None:
        return None if instant is None else pendulum.instance(instant).in_timezone(facts.timezone)

    ti = TaskInstanceFacade(facts, result)
    dates = _dates(facts, shown)
    return {
        **dates,
        **_past(facts.previous_success, shown),
        "run_id": facts.run_id,
        "dag_run": _dag_run(facts, dates, shown(facts.started_at)),
        "dag": DagFacade(
            dag_id=facts.dag_id,
            owner=facts.dag_owner,
            tags=facts.dag_tags,
            timezone=facts.timezone,
            file=facts.dag_file,
        ),
        "task": _task(facts.task),
        "ti": ti,
        "task_instance": ti,
        "task_instance_key_str": f"{facts.dag_id}__{facts.task.task_id}__{dates['ds_nodash']}",
        "params": merged_params(facts.dag_params, facts.task.params, facts.conf),
        "test_mode": facts.test_mode,
        "macros": Macros(_seed(facts)),
        "image": _image(facts.pins),
        "result": ti.handed,
    }


def merged_params(dag: Mapping[str, Any], task: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    """A task's params win over its DAG's; the run's conf sets those that exist and adds none."""
    params = {**dag, **task}
    return {name: conf.get(name, value) for name, value in params.items()}


def _dates(facts: TemplateFacts, shown: Callable[[datetime], Any]) -> dict[str, Any]:
    logical = shown(facts.start)
    following = shown(facts.next_start or facts.start)
    previous = shown(facts.previous_start or facts.start)
    days = {
        "ds": logical,
        "next_ds": following,
        "prev_ds": previous,
        "tomorrow_ds": logical.add(days=1),
        "yesterday_ds": logical.subtract(days=1),
    }
    return {
        **{name: filters.ds(day) for name, day in days.items()},
        **{f"{name}_nodash": filters.ds_nodash(day) for name, day in days.items()},
        "ts": filters.ts(logical),
        "ts_nodash": filters.ts_nodash(logical),
        "ts_nodash_with_tz": filters.ts_nodash_with_tz(logical),
        "logical_date": logical,
        "execution_date": logical,
        "data_interval_start": logical,
        "data_interval_end": shown(facts.end),
        "next_execution_date": following,
        "prev_execution_date": previous,
    }


def _past(run: PastRun | None, shown: Callable[[datetime | None], Any]) -> dict[str, Any]:
    return {
        "prev_data_interval_start_success": shown(run.start if run else None),
        "prev_data_interval_end_success": shown(run.end if run else None),
        "prev_execution_date_success": shown(run.start if run else None),
        "prev_start_date_success": shown(run.started_at if run else None),
    }


def _dag_run(facts: TemplateFacts, dates: Mapping[str, Any], started_at: Any) -> DagRunFacade:
    return DagRunFacade(
        dag_id=facts.dag_id,
        run_id=facts.run_id,
        run_type=facts.run_type,
        conf=facts.conf,
        note=facts.note,
        logical_date=dates["logical_date"],
        execution_date=dates["logical_date"],
        data_interval_start=dates["data_interval_start"],
        data_interval_end=dates["data_interval_end"],
        start_date=started_at,
        external_trigger=facts.run_type is RunType.MANUAL,
    )


def _task(spec: TaskSpec) -> TaskFacade:
    return TaskFacade(
        task_id=spec.task_id,
        owner=spec.owner or "",
        operator=spec.operator,
        pool=spec.pool,
        priority_weight=spec.priority_weight,
        retries=spec.retry.retries,
        trigger_rule=spec.trigger_rule,
        upstream_task_ids=spec.upstream,
    )


def _seed(facts: TemplateFacts) -> str:
    task = facts.task.task_id
    return "\0".join((facts.dag_id, facts.run_id, task, str(facts.map_index), str(facts.try_number)))


def _image(pins: Mapping[str, str]) -> Callable[[str], str]:
    def image(name: str) -> str:
        """The pinned reference of an image, by the name DAG files give it."""
        if name not in pins:
            raise RenderError(
                f"image({name!r}): this run pinned no image of that name{nearest(name, pins)}",
                fix="name an image that a task of this DAG uses",
            )
        return pins[name]

    return image
