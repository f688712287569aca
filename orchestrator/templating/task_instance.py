"""`ti` in templates: the try, and the results of tasks."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.errors import RenderError
from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.templating.facts import TemplateFacts
from orchestrator.templating.names import nearest


def none_mapped(_run: RunKey, _task_id: str, _place: int | None) -> tuple[bytes, ...]:
    """No mapped task has a result."""
    return ()


class TaskInstanceFacade:
    """`ti`: which try this is, and the results of other tasks of the run."""

    def __init__(
        self,
        facts: TemplateFacts,
        result: Callable[[TaskKey], bytes | None],
        logical_date: Any,
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]] = none_mapped,
    ) -> None:
        self.dag_id = facts.key.dag_id
        self.run_id = facts.key.run_id
        self.task_id = facts.key.task_id
        self.map_index = facts.key.map_index
        self.try_number = facts.try_number
        self.max_tries = facts.task.retry.retries
        self.operator = facts.task.operator
        self.logical_date = self.execution_date = logical_date
        self._previous = facts.previous_success
        self._result = result
        self._instances = instances
        self._mapped = facts.mapped
        self._seen: dict[TaskKey, Any] = {}
        self._lists: dict[tuple[str, int | None], list[Any]] = {}

    def json_parts(self) -> dict[str, Any]:
        """What of it JSON can say."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def xcom_pull(
        self,
        task_ids: str | Sequence[str],
        key: str = "return_value",
        default: Any = None,
        *,
        map_indexes: int | Sequence[int] | None = None,
        include_prior_dates: bool = False,
    ) -> Any:
        """The result of a task, or a list of them for a list of ids; `default` where there is none. `key` takes
        one part of a result that is an object, `map_indexes` an instance of a mapped task, or several. Without it a
        mapped task gives the list of its results, in order, without those that are null; a task of the same mapped
        group gives that of the same index. With `include_prior_dates` a result that this run has not is that of the
        last run that succeeded."""
        if not isinstance(task_ids, str):
            chosen: dict[str, Any] = {"map_indexes": map_indexes, "include_prior_dates": include_prior_dates}
            return [self.xcom_pull(task_id, key, default, **chosen) for task_id in task_ids]
        if map_indexes is None and self._is_list(task_ids):
            return self._parts(task_ids, "" if key == "return_value" else key)
        if map_indexes is None or isinstance(map_indexes, int):
            return self._part(self._key(task_ids, map_indexes), key, default, prior=include_prior_dates)
        keys = [self._key(task_ids, index) for index in map_indexes]
        return [self._part(each, key, default, prior=include_prior_dates) for each in keys]

    def handed(self, task_id: str, key: str = "") -> Any:
        """What a handle stands for: the result of a task, or the part of it under a key; None where the task gave
        nothing."""
        if self._is_list(task_id):
            return self._parts(task_id, key)
        value = self._value(self._key(task_id), None)
        if value is None or not key:
            return value
        if not isinstance(value, dict) or key not in value:
            known = nearest(key, value) if isinstance(value, dict) else ", which is no object"
            raise RenderError(
                f"the result of {task_id!r} has no part {key!r}{known}",
                fix=f"have {task_id} write an object with this part to $ORCHESTRATOR_RESULT, as JSON",
            )
        return value[key]

    def _key(self, task_id: str, map_index: int | None = None) -> TaskKey:
        index = UNMAPPED if map_index is None else map_index
        if map_index is None and task_id in self._mapped:
            index = self.map_index  # of the same mapped group
        return TaskKey(self.dag_id, self.run_id, task_id, index)

    def instances(self, task_id: str, place: int | None = None) -> list[Any]:
        """The results of a mapped task's instances, in order, without those that are null; with `place` that one
        alone."""
        if (task_id, place) not in self._lists:
            found = self._instances(RunKey(self.dag_id, self.run_id), task_id, place)
            self._lists[task_id, place] = [msgspec.json.decode(data) for data in found]
        return self._lists[task_id, place]

    def _is_list(self, task_id: str) -> bool:
        """Whether a task is mapped, and not together with this one."""
        unit = self._mapped.get(task_id)
        return unit is not None and unit != self._mapped.get(self.task_id)

    def _parts(self, task_id: str, key: str) -> list[Any]:
        found = self.instances(task_id)
        if not key:
            return found
        parts = (each.get(key) for each in found if isinstance(each, dict))
        return [part for part in parts if part is not None]

    def _part(self, task: TaskKey, key: str, default: Any, *, prior: bool) -> Any:
        if key == "return_value":
            return self._value(task, default, prior=prior)
        value = self._value(task, {}, prior=prior)
        if not isinstance(value, dict):
            raise RenderError(
                f"xcom_pull has no key {key!r}: the result of {task.task_id!r} is no object",
                fix=f"leave key out, or have {task.task_id} hand on an object (multiple_outputs=True)",
            )
        return value.get(key, default)

    def _value(self, task: TaskKey, default: Any, *, prior: bool = False) -> Any:
        if task not in self._seen:
            data = self._result(task)
            self._seen[task] = self if data is None else msgspec.json.decode(data)
        value = self._seen[task]
        if value is self and prior and self._previous is not None:
            return self._value(replace(task, run_id=self._previous.run_id), default)
        return default if value is self else value
