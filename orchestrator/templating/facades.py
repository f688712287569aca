"""`dag`, `dag_run`, `task` and events of assets in templates: what may be read of them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.spec.params import values_of
from orchestrator.spec.value import Value
from orchestrator.states import RunType
from orchestrator.templating.facts import AssetFact, TemplateFacts

#: An instant as templates see it: in the DAG's zone.
Shown = Callable[[datetime | None], Any]


class DagFacade(Value, frozen=True, kw_only=True):
    """`dag`"""

    dag_id: str
    description: str
    doc_md: str
    owner: str
    tags: tuple[str, ...]
    timezone: str
    file: str
    start_date: Any
    end_date: Any
    catchup: bool | None
    max_active_runs: int
    max_active_tasks: int
    params: dict[str, Any]


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
    queued_at: Any
    start_date: Any
    external_trigger: bool
    state: str


class TaskFacade(Value, frozen=True, kw_only=True):
    """`task`"""

    task_id: str
    owner: str
    operator: str
    pool: str
    pool_slots: int
    priority_weight: int
    retries: int
    trigger_rule: str
    upstream_task_ids: tuple[str, ...]
    params: dict[str, Any]
    doc_md: str


class AssetEventFacade(Value, frozen=True, kw_only=True):
    """One of `triggering_asset_events`. Those with `source_` are None where no task did it."""

    asset: str
    uri: str | None
    timestamp: Any
    extra: Any
    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None
    source_map_index: int | None
    actor: str


def asset_event_facade(event: AssetFact, shown: Shown) -> AssetEventFacade:
    """One of `triggering_asset_events`"""
    source = event.source
    return AssetEventFacade(
        asset=event.asset,
        uri=event.uri,
        timestamp=shown(event.at),
        extra=event.extra,
        source_dag_id=None if source is None else source.dag_id,
        source_run_id=None if source is None else source.run_id,
        source_task_id=None if source is None else source.task_id,
        source_map_index=None if source is None else source.map_index,
        actor=event.actor,
    )


def dag_facade(dag: DagSpec, shown: Shown) -> DagFacade:
    """`dag`"""
    return DagFacade(
        dag_id=dag.dag_id,
        description=dag.description,
        doc_md=dag.doc_md,
        owner=dag.owner,
        tags=dag.tags,
        timezone=dag.timezone,
        file=dag.file,
        start_date=shown(dag.start_date),
        end_date=shown(dag.end_date),
        catchup=dag.catchup,
        max_active_runs=dag.max_active_runs,
        max_active_tasks=dag.max_active_tasks,
        params=values_of(dag.params, {}),
    )


def dag_run_facade(facts: TemplateFacts, shown: Shown) -> DagRunFacade:
    """`dag_run`"""
    return DagRunFacade(
        dag_id=facts.key.dag_id,
        run_id=facts.key.run_id,
        run_type=facts.run_type,
        conf=facts.conf,
        note=facts.note,
        logical_date=shown(facts.start),
        execution_date=shown(facts.start),
        data_interval_start=shown(facts.start),
        data_interval_end=shown(facts.end),
        queued_at=shown(facts.created_at),
        start_date=shown(facts.started_at),
        external_trigger=facts.run_type is RunType.MANUAL,
        state=facts.state,
    )


def task_facade(spec: TaskSpec) -> TaskFacade:
    """`task`"""
    return TaskFacade(
        task_id=spec.task_id,
        owner=spec.owner or "",
        operator=spec.operator,
        pool=spec.pool,
        pool_slots=spec.pool_slots,
        priority_weight=spec.priority_weight,
        retries=spec.retry.retries,
        trigger_rule=spec.trigger_rule,
        upstream_task_ids=spec.upstream,
        params=values_of(spec.params, {}),
        doc_md=spec.doc_md or "",
    )
