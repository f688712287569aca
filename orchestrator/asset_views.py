"""What may be read of assets: who names them, what DAGs still wait for, and the events that there were."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orchestrator.errors import NotFoundError
from orchestrator.planning.changes import PutGathered
from orchestrator.planning.rows import AssetEvent, Dag, Run, Stretch
from orchestrator.ports import Store
from orchestrator.spec.assets import AssetSpec, assets_in, in_words
from orchestrator.spec.dag import DagSpec
from orchestrator.spec.value import Value

#: How many events of each asset are told of a run, and how many bytes all that is told with them may have.
_EVENTS, _SIZE = 100, 1024 * 1024


class Waiter(Value, frozen=True, kw_only=True):
    """A DAG that waits for an asset: how many of its events it has not consumed yet, and what it still lacks, in
    words (empty where nothing)."""

    dag_id: str
    active: bool
    paused: bool
    gathered: int
    lacks: str


class AssetView(Value, frozen=True, kw_only=True):
    """An asset, and who has to do with it. `producers` and `readers` are tasks, as `dag.task`."""

    asset: AssetSpec
    producers: tuple[str, ...]
    readers: tuple[str, ...]
    waiters: tuple[Waiter, ...]
    last: AssetEvent | None


class EventView(Value, frozen=True, kw_only=True):
    """An update of an asset, with what was told as plain data."""

    event: AssetEvent
    extra: Any


def assets_of(store: Store) -> tuple[AssetView, ...]:
    """Every asset that the newest version of a DAG names, by name."""
    specs = [(dag, spec) for dag in store.dags() if (spec := store.version(dag.dag_id, dag.version)) is not None]
    gathered = _by_dag(store.gathered())
    names = sorted({each.name for _, spec in specs for each in _named(spec)})
    return tuple(_view(store, name, specs, gathered) for name in names)


def asset_of(store: Store, name: str) -> AssetView:
    """One of them; `NotFoundError` naming the nearest."""
    known = assets_of(store)
    for view in known:
        if view.asset.name == name:
            return view
    near = difflib.get_close_matches(name, [view.asset.name for view in known], n=1)
    raise NotFoundError(
        "asset", name, nearest=near[0] if near else None, fix="`orchestrator assets list` shows what DAGs name"
    )


def newest_events(store: Store, name: str, limit: int) -> tuple[EventView, ...]:
    """The newest first."""
    return tuple(_told(event) for event in store.asset_events(name, limit))


def consumed_by(store: Store, run: Run) -> tuple[EventView, ...]:
    """The events that a run was made for, the oldest first; of very many the newest."""
    return tuple(_told(event) for event in store.events_in(run.consumed, _EVENTS, _SIZE)) if run.consumed else ()


def _view(
    store: Store,
    name: str,
    specs: Iterable[tuple[Dag, DagSpec]],
    gathered: Mapping[str, Mapping[str, Stretch]],
) -> AssetView:
    """Where DAGs tell different things of an asset, it is shown as the first that tells most."""
    described = [each for _, spec in specs for each in _named(spec) if each.name == name]
    last = store.asset_events(name, 1)
    return AssetView(
        asset=max(described, key=lambda each: len(msgspec.to_builtins(each))),
        producers=_tasks(specs, name, "outlets"),
        readers=_tasks(specs, name, "inlets"),
        waiters=tuple(
            _waiter(dag, spec, name, gathered.get(dag.dag_id, {})) for dag, spec in specs if _waits(spec, name)
        ),
        last=last[0] if last else None,
    )


def _named(spec: DagSpec) -> list[AssetSpec]:
    awaited = [] if spec.condition is None else list(assets_in(spec.condition))
    return awaited + [each for task in spec.tasks for each in (*task.outlets, *task.inlets)]


def _tasks(specs: Iterable[tuple[Dag, DagSpec]], name: str, field: str) -> tuple[str, ...]:
    return tuple(
        f"{dag.dag_id}.{task.task_id}"
        for dag, spec in specs
        for task in spec.tasks
        if any(each.name == name for each in getattr(task, field))
    )


def _waits(spec: DagSpec, name: str) -> bool:
    return spec.condition is not None and any(each.name == name for each in assets_in(spec.condition))


def _waiter(dag: Dag, spec: DagSpec, name: str, gathered: Mapping[str, Stretch]) -> Waiter:
    return Waiter(
        dag_id=dag.dag_id,
        active=dag.active,
        paused=dag.paused,
        gathered=gathered[name].count if name in gathered else 0,
        lacks="" if spec.condition is None else in_words(spec.condition, gathered),
    )


def _by_dag(rows: Iterable[PutGathered]) -> dict[str, dict[str, Stretch]]:
    found: dict[str, dict[str, Stretch]] = {}
    for row in rows:
        if row.events is not None:
            found.setdefault(row.dag_id, {})[row.asset] = row.events
    return found


def _told(event: AssetEvent) -> EventView:
    return EventView(event=event, extra=msgspec.json.decode(event.extra))
