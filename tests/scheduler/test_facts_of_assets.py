"""What templates of a run learn where assets had it made."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from store_rows import write

from orchestrator.ids import DeploymentId, RunKey, TaskKey, VersionId
from orchestrator.planning.changes import PutAssetEvent
from orchestrator.planning.rows import AssetEvent, Run, Stretch, TaskInstance
from orchestrator.ports import RenderFacts
from orchestrator.scheduler.facts import consumed_events, render_facts
from orchestrator.spec.assets import AssetSpec
from orchestrator.spec.dag import AssetOrTimeSchedule, CronSchedule, DagSpec, TaskSpec
from orchestrator.spec.interval import Interval
from orchestrator.states import RunState, RunType
from orchestrator.store import SqlStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAILY = CronSchedule(expressions=("0 0 * * *",))
TASK = TaskSpec(task_id="t")
DAG = DagSpec(
    dag_id="d", file="d.py", tasks=(TASK,), schedule=AssetOrTimeSchedule(time=DAILY, when=AssetSpec(name="a"))
)
RUN = Run(
    key=RunKey("d", "asset_triggered__1"),
    run_type=RunType.ASSET_TRIGGERED,
    state=RunState.RUNNING,
    version=VersionId("0"),
    interval=Interval(start=NOON, end=NOON),
    created_at=NOON,
    consumed={"a": Stretch(first=NOON, last=NOON + timedelta(seconds=1), count=2)},
)


def facts(run: Run, *events: AssetEvent) -> RenderFacts:
    task = TaskInstance(key=TaskKey("d", run.key.run_id, "t"))
    return render_facts(
        DAG, run, task, TASK, previous_success=None, asset_events=events, result_count=lambda _: 0, test_mode=False
    )


def test_the_dates_around_a_run_that_assets_made_are_its_own_whatever_else_the_schedule_says() -> None:
    made = facts(RUN)
    assert (made.previous_start, made.next_start) == (NOON, NOON)
    midnight = NOON.replace(hour=0)
    timed = facts(
        replace(
            RUN,
            run_type=RunType.SCHEDULED,
            interval=Interval(start=midnight - timedelta(days=1), end=midnight),
        )
    )
    assert (timed.previous_start, timed.next_start) == (midnight - timedelta(days=2), midnight)


def test_its_events_are_read_from_the_database_and_handed_on_as_they_are() -> None:
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    try:
        store.take_lead("test", NOON)
        events = [
            AssetEvent(asset=asset, at=NOON + timedelta(seconds=number), extra=b'"{{ ds }}"')
            for number, asset in enumerate("aaab")
        ]
        write(store, *(PutAssetEvent(event=each) for each in events))
        consumed = consumed_events(store, RUN)
        assert consumed == tuple(events[:2])
        assert facts(RUN, *consumed).asset_events == consumed
        assert consumed_events(store, replace(RUN, consumed={})) == ()
    finally:
        store.close()
