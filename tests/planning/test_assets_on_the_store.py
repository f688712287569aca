"""Updates of assets over crashes, on the real database: nothing is lost and nothing counted twice."""

import itertools
from collections.abc import Iterator
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from planning_sim import Leader, container, dag, empty, exited
from test_on_the_store import StoredLeader

from orchestrator.ids import DeploymentId, TryId
from orchestrator.planning.changes import Launch
from orchestrator.planning.decide import decide
from orchestrator.planning.events import Event, Requested, Tick
from orchestrator.planning.rows import RequestKind
from orchestrator.ports import Page
from orchestrator.spec.assets import AllOf, AssetSpec
from orchestrator.spec.dag import AssetSchedule, DagSpec
from orchestrator.states import RunState, RunType
from orchestrator.store import SqlStore

A, B = AssetSpec(name="a"), AssetSpec(name="b")
#: Where a process dies: not at all, with a turn decided and not committed, with the turn committed.
CRASHES = st.sampled_from(["none", "before", "after"])
DAGS: tuple[DagSpec, ...] = (
    dag(container("make", outlets=(A,)), dag_id="p"),
    dag(empty("t"), dag_id="both", schedule=AssetSchedule(when=AllOf(of=(A, B)))),
    dag(empty("t"), dag_id="each", schedule=AssetSchedule(when=A), max_active_runs=1),
)


def unused_ids() -> Iterator[TryId]:
    return (TryId(f"{number:016x}") for number in itertools.count(1_000_000))


def crashing(leader: Leader, crash: str, *events: Event) -> None:
    """A turn of these events, told of until one process has committed it."""
    if crash == "before":
        decide(leader.world, events, leader.now, unused_ids(), leader.settings)
        leader.restart()
    leader.turn(*events)
    if crash == "after":
        leader.restart()
        leader.turn(Tick())


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["run", "a", "b"]), CRASHES), max_size=8))
def test_each_update_counts_once_wherever_processes_die(steps: list[tuple[str, str]]) -> None:
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    try:
        leader = StoredLeader(store)
        leader.parse(*DAGS)
        for what, crash in steps:
            leader.now += timedelta(seconds=1)
            if what == "run":
                leader.trigger("p")
                (launch,) = (each for each in leader.prepare_all() if isinstance(each, Launch))
                crashing(leader, crash, exited(launch.attempt, 0, result=b"1"))
            else:
                request = store.ask(RequestKind.EMIT, {"asset": what}, "ann", leader.now)
                crashing(leader, crash, Requested(request=request))
        updates = [{"run": "a"}.get(what, what) for what, _ in steps]
        assert [event.asset for event in reversed(store.asset_events(None, 100))] == updates
        assert counted(store, "each") == [{"a": 1}] * updates.count("a")
        assert counted(store, "both") == expected(updates)
    finally:
        store.close()


def counted(store: SqlStore, dag_id: str) -> list[dict[str, int]]:
    """What each run consumed, by what its stretches hold in the database."""
    newest = store.runs(dag_id, Page(limit=100))
    runs = sorted(newest, key=lambda run: run.interval.start)
    assert all(run.run_type is RunType.ASSET_TRIGGERED for run in runs)
    assert all(run.state is RunState.SUCCESS for run in runs)
    found = []
    for run in runs:
        events = store.events_in(run.consumed, 100, 1000)
        counts = {asset: sum(event.asset == asset for event in events) for asset in run.consumed}
        assert counts == {asset: each.count for asset, each in run.consumed.items()}
        found.append(counts)
    return found


def expected(updates: list[str]) -> list[dict[str, int]]:
    """A run each time both were updated since the last one."""
    made, since = [], {"a": 0, "b": 0}
    for asset in updates:
        since[asset] += 1
        if all(since.values()):
            made.append(since)
            since = {"a": 0, "b": 0}
    return made
