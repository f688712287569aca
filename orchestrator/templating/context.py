"""What a template may know (spec authoring 7): from plain facts to the names in it. Nothing here can be
changed by a template, and nothing here reads a clock.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pendulum

from orchestrator.errors import RenderError
from orchestrator.ids import RunKey, TaskKey
from orchestrator.spec.params import values_of
from orchestrator.templating import filters
from orchestrator.templating.elements import Elements
from orchestrator.templating.facades import asset_event_facade, dag_facade, dag_run_facade, task_facade
from orchestrator.templating.facts import PastRun, TemplateFacts
from orchestrator.templating.macros import Macros
from orchestrator.templating.names import nearest
from orchestrator.templating.outputs import Outputs
from orchestrator.templating.stored import Connections, Stored, Variables, nothing_stored
from orchestrator.templating.task_instance import TaskInstanceFacade, none_mapped


def build_context(
    facts: TemplateFacts,
    result: Callable[[TaskKey], bytes | None],
    stored: Stored = nothing_stored,
    instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]] = none_mapped,
) -> dict[str, Any]:
    """All names of a template. `result` tells the JSON that a task instance handed down, `instances` that of all
    instances of a mapped task, or of one; `stored` what may be seen of variables and connections."""

    def shown(instant: datetime | None) -> pendulum.DateTime | None:
        return None if instant is None else pendulum.instance(instant).in_timezone(facts.dag.timezone)

    dates = _dates(facts, shown)
    ti = TaskInstanceFacade(facts, result, dates["logical_date"], instances)
    return {
        **facts.dag.macros,
        **dates,
        **_past(facts.previous_success, shown),
        "run_id": facts.key.run_id,
        "dag_run": dag_run_facade(facts, shown),
        "dag": dag_facade(facts.dag, shown),
        "task": task_facade(facts.task),
        "ti": ti,
        "task_instance": ti,
        "task_instance_key_str": f"{facts.key.dag_id}__{facts.key.task_id}__{dates['ds_nodash']}",
        "params": values_of({**facts.dag.params, **facts.task.params}, facts.conf),
        "triggering_asset_events": {
            asset: [asset_event_facade(event, shown) for event in events]
            for asset, events in facts.asset_events.items()
        },
        "inlets": facts.inlets,
        "outlets": facts.outlets,
        "test_mode": facts.test_mode,
        "macros": Macros(_seed(facts)),
        "image": _image(facts.pins),
        "output": Outputs(),
        "var": Variables(stored),
        "conn": Connections(stored),
        "result": ti.handed,
        "element": Elements(facts, ti),
    }


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


def _seed(facts: TemplateFacts) -> str:
    key = facts.key
    return "\0".join((key.dag_id, key.run_id, key.task_id, str(key.map_index), str(facts.try_number)))


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
