"""What every Store refuses: rows that cannot be, and moves from where the row is not."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from store_rows import DAY, NOW, REASON, attempt, ended, put_run, run, seed, started_run, task, version, write

from orchestrator.errors import StoreConflictError
from orchestrator.ids import Epoch, RunKey, TryId, VersionId
from orchestrator.planning.changes import (
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Row,
)
from orchestrator.planning.rows import (
    Interval,
    TryOutcome,
)
from orchestrator.ports import Store
from orchestrator.states import RunState, RunType, TaskState


def refuses(store: Store, *rows: Row) -> StoreConflictError:
    """The store refuses the rows and keeps nothing of them; returns the refusal."""
    before = store.load()
    with pytest.raises(StoreConflictError) as refusal:
        write(store, *rows)
    assert store.load() == before
    return refusal.value


def test_a_row_may_be_inserted_and_moved_on_in_one_turn(store: Store, epoch: Epoch) -> None:
    new = run()
    waiting, queued, starting = (
        task(new, state=state) for state in (TaskState.WAITING, TaskState.QUEUED, TaskState.STARTING)
    )
    write(
        store,
        PutTask(task=queued, before=waiting),  # kinds may come in any order
        PutTask(task=starting, before=queued),
        PutTask(task=waiting, before=None),
        PutRun(run=new, before=None),
        PutRun(run=started_run(new), before=new),
        PutVersion(version=version()),
    )
    assert store.run(new.key) == started_run(new)
    assert store.tasks(new.key) == (starting,)


def test_a_move_from_another_state_is_refused_and_named(store: Store, epoch: Epoch) -> None:
    of = run()
    waiting = task(of)
    write(store, *put_run(of), PutTask(task=waiting, before=None), PutTask(task=task(of, "b"), before=None))
    good = PutTask(task=task(of, "b", TaskState.QUEUED), before=task(of, "b"))
    stale = PutTask(task=task(of, "a", TaskState.STARTING), before=task(of, "a", TaskState.QUEUED))
    refusal = refuses(store, PutRun(run=started_run(of), before=of), good, stale)
    assert refusal.key == waiting.key
    assert "etl/manual__1/a" in str(refusal)


def test_a_move_done_twice_is_refused(store: Store, epoch: Epoch) -> None:
    of = run()
    done = PutRun(run=started_run(of), before=of)
    write(store, *put_run(of), done)
    assert refuses(store, done).key == of.key


def test_a_move_of_a_row_that_is_not_there_is_refused(store: Store, epoch: Epoch) -> None:
    of = run()
    assert refuses(store, PutRun(run=started_run(of), before=of)).key == of.key


def test_an_insert_of_a_row_that_is_there_is_refused(store: Store, epoch: Epoch) -> None:
    write(store, *put_run(run(run_id="m1")))
    refusal = refuses(store, *put_run(run(run_id="m2")), *put_run(run(run_id="m1")))
    assert refusal.key == RunKey("etl", "m1")


def test_a_try_gets_one_outcome(store: Store, epoch: Epoch) -> None:
    write(store, *seed())
    (open_try,) = store.load().tries
    write(store, PutTry(attempt=ended(open_try), before=open_try))
    assert refuses(store, PutTry(attempt=ended(open_try), before=open_try)).key == open_try.key


def test_a_later_life_cannot_rewrite_a_tries_intent(store: Store, epoch: Epoch) -> None:
    write(store, *seed())
    (open_try,) = store.load().tries
    other = replace(open_try, spec=replace(open_try.spec, image="other"), epoch=Epoch(9), started_at=NOW)
    write(store, PutTry(attempt=other, before=open_try))
    assert store.load().tries == (replace(open_try, started_at=NOW),)
    stranger = replace(open_try, try_id=TryId("stranger"))
    assert refuses(store, PutTry(attempt=ended(stranger), before=stranger)).key == open_try.key


def test_an_interval_has_one_scheduled_run(store: Store, epoch: Epoch) -> None:
    write(store, *put_run(run(run_id="scheduled__1", run_type=RunType.SCHEDULED)))
    write(store, *put_run(run(run_id="manual__2")))
    again = run(run_id="scheduled__2", run_type=RunType.SCHEDULED)
    assert refuses(store, *put_run(again)).key == again.key
    write(store, *put_run(run("other", "scheduled__1", run_type=RunType.SCHEDULED)))


def _broken_rows() -> Iterator[tuple[str, Row]]:
    of = run(run_id="new")
    yield (
        "a final run without an end",
        PutRun(run=run(run_id="new", state=RunState.SUCCESS, ended_at=None), before=None),
    )
    yield "an open run with an end", PutRun(run=run(run_id="new", ended_at=NOW), before=None)
    yield (
        "a running run without a start",
        PutRun(run=run(run_id="new", state=RunState.RUNNING, started_at=None), before=None),
    )
    yield (
        "an interval that ends before its start",
        PutRun(run=run(run_id="new", interval=Interval(start=NOW, end=NOW - DAY)), before=None),
    )
    yield (
        "a run of a version that is not there",
        PutRun(run=run(run_id="new", version=VersionId("f" * 16)), before=None),
    )
    yield "a task instance of a run that is not there", PutTask(task=task(of), before=None)
    here = run()
    yield (
        "an ended task instance without an end",
        PutTask(task=task(here, "new", TaskState.SUCCESS, ended_at=None), before=None),
    )
    yield (
        "a waiting task instance with an end",
        PutTask(task=task(here, "new", TaskState.WAITING, ended_at=NOW), before=None),
    )
    yield "a failure without a reason", PutTask(task=task(here, "new", TaskState.FAILED, reason=None), before=None)
    yield "a start without a try", PutTask(task=task(here, "new", TaskState.STARTING, tries=0), before=None)
    yield (
        "a retry that is never due",
        PutTask(task=task(here, "new", TaskState.UP_FOR_RETRY, due_at=None), before=None),
    )
    instance = task(here, "t0")
    yield "a try without a task instance", PutTry(attempt=attempt(task(here, "no"), "new"), before=None)
    yield "a try id twice", PutTry(attempt=attempt(instance, "manual__1-t0", 2), before=None)
    yield (
        "an outcome without an end",
        PutTry(attempt=attempt(instance, "new", 2, outcome=TryOutcome.SUCCESS), before=None),
    )
    yield "a removal before the outcome", PutTry(attempt=attempt(instance, "new", 2, removed_at=NOW), before=None)
    yield "a stop without a reason", PutTry(attempt=attempt(instance, "new", 2, stop_requested_at=NOW), before=None)
    yield "a text that is no text", PutRun(run=run(run_id="new", note="\ud800"), before=None)
    yield "a JSON text that is no text", PutRun(run=run(run_id="new", conf={"a": "\ud800"}), before=None)
    yield "a number that is too large", PutTask(task=task(here, "new", failures=2**63), before=None)


@pytest.mark.parametrize(("what", "row"), [pytest.param(*each, id=each[0]) for each in _broken_rows()])
def test_a_row_that_cannot_be_is_refused_and_named(store: Store, epoch: Epoch, what: str, row: Row) -> None:
    write(store, *seed())
    value = row.run if isinstance(row, PutRun) else row.task if isinstance(row, PutTask) else None
    key = row.attempt.key if isinstance(row, PutTry) else value.key if value else None
    refusal = refuses(store, *put_run(run(run_id="fine")), row)
    assert refusal.key == key, what


def test_an_instance_that_waits_for_a_retry_keeps_the_end_of_its_last_try(store: Store, epoch: Epoch) -> None:
    of = run()
    resting = task(of, state=TaskState.UP_FOR_RETRY, ended_at=NOW, reason=REASON)
    write(store, *put_run(of), PutTask(task=resting, before=None))
    assert store.tasks(of.key) == (resting,)
