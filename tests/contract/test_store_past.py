"""What every Store promises of the past and of what changes it: whole runs, pools, backfills, what is dropped."""

from datetime import timedelta

from msgspec.structs import replace
from store_rows import DAY, NOW, REASON, attempt, ended, put_run, run, seed, task, version, write

from orchestrator.ids import Epoch
from orchestrator.planning.changes import (
    DropPool,
    DropResult,
    DropTry,
    PutBackfill,
    PutDag,
    PutPool,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
)
from orchestrator.planning.history import PastRun, RunBefore, RunsBetween, RunsNamed
from orchestrator.planning.rows import Backfill, Dag, Interval, Pending, Pool, Result, Run, TryOutcome
from orchestrator.ports import Store
from orchestrator.states import Reprocess, RunState, RunType, TaskState


def dated(
    day: int, run_type: RunType = RunType.SCHEDULED, state: RunState = RunState.SUCCESS, **fields: object
) -> Run:
    start = NOW + day * DAY
    return run(
        run_id=f"{run_type}__{day}",
        run_type=run_type,
        state=state,
        interval=Interval(start=start, end=start + DAY),
        **fields,
    )


def history(store: Store, *runs: Run) -> None:
    rows = [PutVersion(version=version())]
    for each in runs:
        rows += [PutRun(run=each, before=None), PutTask(task=task(each, state=TaskState.SUCCESS), before=None)]
    write(store, *rows)


def test_whole_runs_are_found_by_name_by_date_and_as_the_one_before(store: Store, epoch: Epoch) -> None:
    del epoch
    first, second, by_hand, last = dated(0), dated(1), dated(2, RunType.MANUAL), dated(3)
    history(store, last, by_hand, second, first)

    def found(wanted: RunsNamed | RunsBetween | RunBefore) -> list[str]:
        return [past.run.key.run_id for past in store.past_runs(wanted)]

    assert found(RunsNamed(keys=(last.key, first.key))) == ["scheduled__0", "scheduled__3"]
    assert found(RunsNamed(keys=())) == []
    in_range = RunsBetween(dag_id="etl", start=NOW + DAY, end=NOW + 3 * DAY)
    assert found(in_range) == ["scheduled__1", "manual__2"]
    assert found(RunBefore(dag_id="etl", date=last.interval.start)) == ["scheduled__1"]
    assert found(RunBefore(dag_id="etl", date=NOW)) == []
    assert found(RunBefore(dag_id="other", date=NOW + DAY)) == []
    (whole,) = store.past_runs(RunsNamed(keys=(second.key,)))
    assert whole == PastRun(run=second, tasks=(task(second, state=TaskState.SUCCESS),), version=version())


def test_pools_are_made_changed_and_removed(store: Store, epoch: Epoch) -> None:
    def put(name: str, slots: int) -> PutPool:
        return PutPool(pool=Pool(name=name, slots=slots))

    store.write(epoch, [put("db", 1), put("api", 5), put("db", 2)])
    assert store.pools() == (Pool(name="api", slots=5), Pool(name="db", slots=2))
    assert store.load().pools == store.pools()
    store.write(epoch, [DropPool(name="api"), DropPool(name="nothing")])
    assert store.pools() == (Pool(name="db", slots=2),)


def test_a_result_may_be_dropped_and_another_put(store: Store, epoch: Epoch) -> None:
    rows = seed()
    store.write(epoch, rows)
    (key,) = {row.task.key for row in rows if isinstance(row, PutTask)}
    result = Result(key=key, data=b"1", created_at=NOW)
    store.write(epoch, [PutResult(result=result)])
    store.write(epoch, [DropResult(key=key)])
    assert store.result(key) is None
    store.write(epoch, [DropResult(key=key), PutResult(result=replace(result, data=b"2"))])
    assert store.result(key) == b"2"


def test_the_next_look_of_a_sensor_takes_the_place_of_the_last(store: Store, epoch: Epoch) -> None:
    rows = seed()
    store.write(epoch, rows)
    (first,) = (row.attempt for row in rows if isinstance(row, PutTry))
    looked = replace(ended(first, TryOutcome.NOT_READY), removed_at=NOW)
    store.write(epoch, [PutTry(attempt=looked, before=first)])
    assert store.tries(first.key.task) == (looked,)
    (waiting,) = (row.task for row in rows if isinstance(row, PutTask))
    again = attempt(waiting, "f" * 16)
    store.write(epoch, [PutTry(attempt=again, before=None), DropTry(key=first.key)])
    assert store.tries(first.key.task) == (again,)


def backfill(**fields: object) -> Backfill:
    given = {"id": 7, "reprocess": Reprocess.FAILED, "pending": (Pending(date=NOW, end=NOW + DAY),)}
    return Backfill(
        dag_id="etl",
        start=NOW,
        end=NOW + 3 * DAY,
        backwards=False,
        max_active_runs=2,
        conf={"a": [1]},
        actor="ann",
        created_at=NOW,
        total=4,
        **{**given, **fields},
    )


def test_backfills_are_loaded_while_they_go_on_and_listed_for_ever(store: Store, epoch: Epoch) -> None:
    going, over = (
        backfill(),
        backfill(id=5, pending=(), ended_at=NOW + timedelta(hours=1), cancelled_by="ann", as_run=True),
    )
    store.write(epoch, [PutBackfill(backfill=over), PutBackfill(backfill=going)])
    assert store.load().backfills == (going,)
    assert store.backfills(10) == (going, over)
    assert store.backfills(1) == (going,)
    assert (store.backfill(5), store.backfill(7), store.backfill(6)) == (over, going, None)
    done = replace(going, pending=(), paused=True, ended_at=NOW)
    store.write(epoch, [PutBackfill(backfill=going), PutBackfill(backfill=done)])
    assert store.backfills(1) == (done,)
    assert store.load().backfills == ()


def test_the_runs_of_a_backfill_are_counted_by_state(store: Store, epoch: Epoch) -> None:
    del epoch
    made = [
        dated(number, RunType.BACKFILL, state, backfill=7, reason=REASON if state is RunState.FAILED else None)
        for number, state in enumerate((RunState.SUCCESS, RunState.FAILED, RunState.SUCCESS))
    ]
    history(store, *made, dated(9))
    assert store.backfill_runs(7) == {RunState.SUCCESS: 2, RunState.FAILED: 1}
    assert store.backfill_runs(8) == {}


def test_what_a_run_and_a_task_are_told_by_hand_comes_back(store: Store, epoch: Epoch) -> None:
    del epoch
    of = dated(0, RunType.BACKFILL, RunState.RUNNING, backfill=7, free_of_past=True, cleared_at=NOW)
    told = task(of, state=TaskState.UP_FOR_RESCHEDULE, target=TaskState.SKIPPED, skips=("b",), pokes=3, since=NOW)
    sized = replace(task(of, "b"), sizes={"": 3, "k": -1})
    write(store, *put_run(of), PutTask(task=told, before=None), PutTask(task=sized, before=None))
    assert store.run(of.key) == of
    assert store.tasks(of.key) == (told, sized)
    assert store.load().tasks == (told, sized)


def test_dates_that_a_backfill_came_to_first_come_back(store: Store, epoch: Epoch) -> None:
    del epoch
    dag = Dag(dag_id="etl", version=version().version, file="etl.py", paused=True, filled=(NOW, NOW + DAY))
    write(store, PutVersion(version=version()), PutDag(dag=dag))
    assert store.dag("etl") == dag
