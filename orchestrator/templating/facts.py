"""The plain facts of a try from which the names of its templates are made."""

from datetime import datetime
from typing import Any

from orchestrator.ids import TaskKey
from orchestrator.spec.assets import AssetSpec
from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.spec.mapping import MapSpec
from orchestrator.spec.value import Value
from orchestrator.states import RunType


class PastRun(Value, frozen=True, kw_only=True):
    """An earlier run, as far as templates may ask about it."""

    run_id: str
    start: datetime
    end: datetime
    started_at: datetime | None = None


class AssetFact(Value, frozen=True, kw_only=True):
    """An update of an asset, as far as templates may ask about it."""

    asset: str
    uri: str | None
    at: datetime
    extra: Any
    source: TaskKey | None
    actor: str


class TemplateFacts(Value, frozen=True, kw_only=True):
    """Everything a template's names are made from. Instants are aware; dates are shown in the DAG's zone. `map`,
    `mapped` and `counts` as in `ports.RenderFacts`."""

    key: TaskKey
    dag: DagSpec
    task: TaskSpec
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
    test_mode: bool
    pins: dict[str, str]
    state: str = "running"
    created_at: datetime | None = None
    asset_events: dict[str, list[AssetFact]] = {}  #: that the run consumed, by asset, the oldest first
    inlets: tuple[AssetSpec, ...] = ()
    outlets: tuple[AssetSpec, ...] = ()
    map: MapSpec | None = None
    mapped: dict[str, str] = {}
    counts: dict[str, int] = {}
