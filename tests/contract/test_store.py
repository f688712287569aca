"""What every Store promises (`orchestrator.ports.Store`)."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace
from store_rows import DAY, NOW, REASON, attempt, ended, run, seed, started_run, task, version

from orchestrator.errors import FencedError, NotFoundError, StoreConflictError
from orchestrator.ids import ContainerId, DeploymentId, Epoch, RunKey, TryId, VersionId
from orchestrator.planning.changes import (
    Answered,
    PutDag,
    PutFile,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
    Row,
)
from orchestrator.planning.rows import (
    Answer,
    Dag,
    Interval,
    Pool,
    RequestKind,
    Result,
    Run,
    TaskInstance,
    TryOutcome,
)
from orchestrator.ports import FileRecord, ImageRecord, Page, Snapshot, Store
from orchestrator.spec.container import ExitFacts, InputFile, Mount
from orchestrator.spec.dag import ParsedFile, Problem
from orchestrator.states import RunState, RunType, TaskState
from orchestrator.store import SqlStore, upgrade


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        opened = SqlStore.in_memory(DeploymentId("0123abcd"))
    else:
        database = tmp_path / "home #1 100%?" / "orchestrator.db"
        upgrade(database)
        opened = SqlStore.open(database)
    yield opened
    opened.close()


@pytest.fixture
def epoch(store: Store) -> Epoch:
    return store.take_lead("test", NOW)


def write(store: Store, *rows: Row) -> None:
    store.write(store.epoch(), rows)


def refuses(store: Store, *rows: Row) -> StoreConflictError:
    """The store refuses the rows and keeps nothing of them; returns the refusal."""
    before = store.load()
    with pytest.raises(StoreConflictError) as refusal:
        write(store, *rows)
    assert store.load() == before
    return refusal.value


def putrun(of: Run) -> tuple[PutVersion, PutRun]:
    return PutVersion(version=version(of.key.dag_id)), PutRun(run=of, before=None)


# --- values come back as they went in -----------------------------------------------------------------


def test_an_empty_store_loads_an_empty_world(store: Store) -> None:
    assert store.load() == Snapshot()
    assert len(store.deployment()) == 8


def test_a_full_run_comes_back_as_written(store: Store, epoch: Epoch) -> None:
    elsewhere = timezone(timedelta(hours=-11, minutes=-30))
    full = run(
        state=RunState.FAILED,
        run_type=RunType.BACKFILL,
        interval=Interval(start=NOW.astimezone(elsewhere), end=NOW),
        conf={"a": [1, None, {"b": "\N{SNOWMAN}"}], "": 2.5},
        note="a\nnote",
        actor="me",
        images={},
        reason=REASON,
    )
    write(store, *putrun(full))
    assert store.run(full.key) == full
    assert store.run(RunKey("etl", "other")) is None


def test_a_run_without_looked_up_images_is_told_from_one_with_none(store: Store, epoch: Epoch) -> None:
    write(store, *putrun(run(run_id="m1", images=None)), *putrun(run(run_id="m2", images={})))
    assert [found.images for found in store.load().runs] == [None, {}]


def test_a_full_task_instance_comes_back_as_written(store: Store, epoch: Epoch) -> None:
    of = run()
    full = task(
        of, "a", TaskState.FAILED, 3, tries=4, failures=2, losses=1, queued_at=NOW, started_at=NOW, due_at=NOW
    )
    write(store, *putrun(of), PutTask(task=full, before=None), PutTask(task=task(of, "a", index=2), before=None))
    assert store.tasks(of.key) == (task(of, "a", index=2), full)
    assert store.tasks(RunKey("etl", "other")) == ()


def test_a_full_try_comes_back_as_written(store: Store, epoch: Epoch) -> None:
    of = run()
    instance = task(of, state=TaskState.RUNNING)
    bare = attempt(instance, "f00d")
    spec = replace(
        bare.spec,
        command=(),
        files=(InputFile(path="/in", data=b"\x00\xff"), InputFile(path="/d")),
        mounts=(Mount(source="v", target="/v"),),
        stop_grace=timedelta(microseconds=1500001),
        cpus=0.1,
    )
    full = replace(
        bare,
        spec=spec,
        container_id=ContainerId("c" * 64),
        started_at=NOW,
        ended_at=NOW,
        exit=ExitFacts(exit_code=137, oom_killed=True, finished_at=NOW),
        outcome=TryOutcome.LOST,
        reason=REASON,
        stop_requested_at=NOW,
        stop_reason=REASON,
        adopted=2,
        log_complete=True,
        removed_at=NOW,
    )
    write(store, *putrun(of), PutTask(task=instance, before=None), PutTry(attempt=full, before=None))
    assert store.attempt(TryId("f00d")) == full
    assert store.tries(instance.key) == (full,)
    assert store.attempt(TryId("beef")) is None
    assert store.tries(task(of, "other").key) == ()


def test_a_dag_is_replaced_and_its_versions_stay(store: Store, epoch: Epoch) -> None:
    old, new = version(), version(description="more")
    first = Dag(dag_id="etl", version=old.version, file="etl.py", paused=True)
    last = replace(first, version=new.version, paused=False, active=False, last=Interval(start=NOW - DAY, end=NOW))
    write(store, PutVersion(version=old), PutDag(dag=first))
    assert store.dag("etl") == first
    write(store, PutVersion(version=new), PutDag(dag=first), PutDag(dag=last))
    assert store.dags() == (last,)
    assert store.version("etl", old.version) == old.spec
    assert store.version("etl", new.version) == new.spec
    assert store.version("etl", VersionId("0" * 16)) is None
    assert store.dag("other") is None


def test_the_same_version_again_is_nothing_new(store: Store, epoch: Epoch) -> None:
    first = version()
    dag = Dag(dag_id="etl", version=first.version, file="etl.py", paused=False)
    write(store, PutVersion(version=first), PutDag(dag=dag))
    write(store, PutVersion(version=replace(first, created_at=NOW + DAY)))
    assert store.load().versions == (first,)


def test_files_keep_their_last_parse_without_the_dags_specs(store: Store, epoch: Epoch) -> None:
    problem = Problem(file="a.py", line=3, rule="cycle", text="a -> b -> a", dag_id="x")
    good = ParsedFile(file="a.py", content_hash="1", dags=(version().spec,), dependencies=("sql/x.sql",))
    bad = ParsedFile(file="a.py", content_hash="2", problems=(problem,), seconds=0.25)
    write(store, PutFile(parsed=good, at=NOW))
    assert store.files() == (FileRecord(parsed=replace(good, dags=()), parsed_at=NOW),)
    write(store, PutFile(parsed=bad, at=NOW + DAY))
    assert store.files() == (FileRecord(parsed=bad, parsed_at=NOW + DAY),)
    assert store.load().files == (bad,)


def test_of_several_words_on_one_file_the_last_counts(store: Store, epoch: Epoch) -> None:
    here, gone = (
        PutFile(parsed=ParsedFile(file="a.py"), at=NOW),
        PutFile(parsed=ParsedFile(file="a.py"), at=NOW, gone=True),
    )
    write(store, gone, here)
    assert [record.parsed.file for record in store.files()] == ["a.py"]
    write(store, here, gone)
    assert store.files() == ()


def test_a_result_is_replaced(store: Store, epoch: Epoch) -> None:
    of = run()
    key = task(of).key
    write(store, *putrun(of), PutTask(task=task(of), before=None))
    assert store.result(key) is None
    for data in (b'"one"', b"\x00"):
        write(store, PutResult(result=Result(key=key, data=data, created_at=NOW)))
        assert store.result(key) == data


def test_image_records_are_one_a_tag_newest_first(store: Store) -> None:
    record = ImageRecord(
        name="pandas",
        source_hash="ab",
        tag="orchestrator/pandas:ab",
        image_id="sha256:1",
        built_at=NOW,
        size=5_000_000_000,
        log="logs/images/pandas.log",
    )
    other = replace(record, tag="orchestrator/pandas:cd", source_hash="cd", built_at=NOW + DAY)
    again = replace(record, image_id="sha256:2", built_at=NOW + 2 * DAY)
    for each in (record, other):
        store.record_image(each)
    assert store.images() == (other, record)
    store.record_image(again)
    assert store.images() == (again, other)


# --- what the world is rebuilt from -------------------------------------------------------------------


def test_load_gives_open_runs_with_all_their_tasks_and_no_others(store: Store, epoch: Epoch) -> None:
    states = (RunState.QUEUED, RunState.RUNNING, RunState.SUCCESS, RunState.FAILED)
    runs = [run(run_id=state, state=state) for state in states]
    for of in runs:
        write(store, *putrun(of), PutTask(task=task(of, "a"), before=None))
        write(store, PutTask(task=task(of, "b", TaskState.SUCCESS), before=None))
    world = store.load()
    assert {found.key.run_id for found in world.runs} == {"queued", "running"}
    assert {(found.key.run_id, found.key.task_id) for found in world.tasks} == {
        ("queued", "a"), ("queued", "b"), ("running", "a"), ("running", "b")
    }  # fmt: skip


def test_load_gives_tries_until_they_are_removed_also_of_ended_runs(store: Store, epoch: Epoch) -> None:
    of = run(state=RunState.SUCCESS)
    instance = task(of, state=TaskState.SUCCESS)
    open_try = attempt(instance, "open", 3)
    uncollected = ended(attempt(instance, "uncollected", 2))
    removed = replace(ended(attempt(instance, "removed", 1)), removed_at=NOW)
    tries = [PutTry(attempt=each, before=None) for each in (open_try, uncollected, removed)]
    write(store, *putrun(of), PutTask(task=instance, before=None), *tries)
    assert {found.try_id for found in store.load().tries} == {"open", "uncollected"}
    write(store, PutTry(attempt=replace(uncollected, removed_at=NOW), before=uncollected))
    assert {found.try_id for found in store.load().tries} == {"open"}
    assert store.tries(instance.key) == (removed, replace(uncollected, removed_at=NOW), open_try)


def test_load_gives_current_versions_and_those_open_runs_are_pinned_to(store: Store, epoch: Epoch) -> None:
    current, pinned, old = version(), version(description="pinned"), version(description="old")
    write(
        store,
        *(PutVersion(version=each) for each in (current, pinned, old)),
        PutDag(dag=Dag(dag_id="etl", version=current.version, file="etl.py", paused=False)),
        PutRun(run=run(run_id="m1", version=pinned.version), before=None),
        PutRun(run=run(run_id="m2", version=pinned.version), before=None),
        PutRun(run=run(run_id="m3", version=old.version, state=RunState.SUCCESS), before=None),
    )
    assert {found.version for found in store.load().versions} == {current.version, pinned.version}
    assert len(store.load().versions) == 2


# --- moves --------------------------------------------------------------------------------------------


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
    write(store, *putrun(of), PutTask(task=waiting, before=None), PutTask(task=task(of, "b"), before=None))
    good = PutTask(task=task(of, "b", TaskState.QUEUED), before=task(of, "b"))
    stale = PutTask(task=task(of, "a", TaskState.STARTING), before=task(of, "a", TaskState.QUEUED))
    refusal = refuses(store, PutRun(run=started_run(of), before=of), good, stale)
    assert refusal.key == waiting.key
    assert "etl/manual__1/a" in str(refusal)


def test_a_move_done_twice_is_refused(store: Store, epoch: Epoch) -> None:
    of = run()
    done = PutRun(run=started_run(of), before=of)
    write(store, *putrun(of), done)
    assert refuses(store, done).key == of.key


def test_a_move_of_a_row_that_is_not_there_is_refused(store: Store, epoch: Epoch) -> None:
    of = run()
    assert refuses(store, PutRun(run=started_run(of), before=of)).key == of.key


def test_an_insert_of_a_row_that_is_there_is_refused(store: Store, epoch: Epoch) -> None:
    write(store, *putrun(run(run_id="m1")))
    refusal = refuses(store, *putrun(run(run_id="m2")), *putrun(run(run_id="m1")))
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
    write(store, *putrun(run(run_id="scheduled__1", run_type=RunType.SCHEDULED)))
    write(store, *putrun(run(run_id="manual__2")))
    again = run(run_id="scheduled__2", run_type=RunType.SCHEDULED)
    assert refuses(store, *putrun(again)).key == again.key
    write(store, *putrun(run("other", "scheduled__1", run_type=RunType.SCHEDULED)))


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
    refusal = refuses(store, *putrun(run(run_id="fine")), row)
    assert refusal.key == key, what


# --- leadership ---------------------------------------------------------------------------------------


def test_a_new_leader_fences_the_old_one(store: Store) -> None:
    first = store.take_lead("one", NOW)
    store.write(first, putrun(run(run_id="m1")))
    second = store.take_lead("two", NOW)
    assert second > first
    assert store.epoch() == second
    with pytest.raises(FencedError, match="two leads"):
        store.write(first, putrun(run(run_id="m2")))
    with pytest.raises(FencedError):
        store.write(first, ())
    store.write(second, putrun(run(run_id="m3")))
    assert [found.key.run_id for found in store.load().runs] == ["m1", "m3"]


def test_nobody_writes_before_somebody_leads(store: Store) -> None:
    with pytest.raises(FencedError):
        store.write(Epoch(1), putrun(run()))


# --- requests -----------------------------------------------------------------------------------------


def test_requests_wait_in_order_until_they_are_answered_once(store: Store, epoch: Epoch) -> None:
    asked = [store.ask(RequestKind.TRIGGER, {"dag_id": name, "conf": {"x": None}}, "me", NOW) for name in "abc"]
    assert store.unanswered() == tuple(asked)
    assert [one.id for one in asked] == sorted({one.id for one in asked})
    assert store.answer(asked[1].id) is None
    answer = Answer(ok=True, data={"run_id": "manual__1", "warnings": []})
    done = Answered(request=asked[1], answer=answer, at=NOW)
    write(store, done)
    assert store.answer(asked[1].id) == answer
    assert store.unanswered() == (asked[0], asked[2])
    assert refuses(store, done).key == asked[1].id


def test_an_unknown_request_has_no_answer(store: Store) -> None:
    with pytest.raises(NotFoundError, match="request '7'"):
        store.answer(7)


# --- lists --------------------------------------------------------------------------------------------


def pages(store: Store, dag_id: str | None, limit: int, states: tuple[RunState, ...] = ()) -> list[RunKey]:
    """The keys of all pages, one after the other."""
    keys: list[RunKey] = []
    while page := store.runs(dag_id, Page(limit=limit, before=keys[-1] if keys else None), states):
        assert len(page) <= limit
        keys.extend(found.key for found in page)
    return keys


@pytest.fixture
def many(store: Store, epoch: Epoch) -> list[Run]:
    """Runs of two DAGs in all states, several of one instant, newest first."""
    runs = [
        run(dag_id, f"m{number}", state, created_at=NOW + (number // 3) * DAY)
        for number in range(10)
        for dag_id in ("etl", "web")
        for state in (list(RunState)[number % 4],)
    ]
    write(store, *(row for of in runs for row in putrun(of)))
    return sorted(runs, key=lambda of: (of.created_at, of.key), reverse=True)


@pytest.mark.parametrize("limit", [1, 3, 25])
@pytest.mark.parametrize("dag_id", [None, "etl"])
@pytest.mark.parametrize(
    "states", [(), (RunState.FAILED,), (RunState.FAILED, RunState.SUCCESS, RunState.FAILED)], ids=len
)
def test_pages_show_every_run_once_newest_first(
    store: Store, many: list[Run], limit: int, dag_id: str | None, states: tuple[RunState, ...]
) -> None:
    wanted = [of.key for of in many if dag_id in (None, of.key.dag_id) and (not states or of.state in states)]
    assert pages(store, dag_id, limit, states) == wanted


def test_a_page_after_an_unknown_run_is_refused(store: Store) -> None:
    with pytest.raises(NotFoundError, match="run 'no'"):
        store.runs(None, Page(before=RunKey("etl", "no")))


def test_the_last_success_is_the_newest_before_that_logical_date(store: Store, epoch: Epoch) -> None:
    def on(day: int, state: RunState, dag_id: str = "etl") -> Run:
        start = NOW + day * DAY
        # created in the opposite order: logical dates count, not when somebody ran them
        return run(
            dag_id, f"m{day}", state, interval=Interval(start=start, end=start + DAY), created_at=NOW - day * DAY
        )

    runs = [on(1, RunState.SUCCESS), on(2, RunState.SUCCESS), on(3, RunState.FAILED), on(5, RunState.SUCCESS)]
    write(store, *(row for of in [*runs, on(4, RunState.SUCCESS, "web")] for row in putrun(of)))

    def last(before: datetime) -> str | None:
        found = store.last_success("etl", before)
        return found.key.run_id if found else None

    assert [last(NOW + day * DAY) for day in (1, 2, 3, 5, 6)] == [None, "m1", "m2", "m2", "m5"]


# --- threads ------------------------------------------------------------------------------------------


def test_requests_and_reads_of_other_threads_go_on_beside_writes(store: Store, epoch: Epoch) -> None:
    write(store, *seed(tasks=3))
    failures: list[Exception] = []
    together = threading.Barrier(5)

    def face(name: str) -> None:
        try:
            together.wait()
            for number in range(20):
                store.ask(RequestKind.PAUSE, {"dag_id": f"{name}{number}"}, name, NOW)
                world = store.load()
                # one transaction moves all tasks: a reader never sees them apart
                assert len({found.queued_at for found in world.tasks}) == 1
                assert store.epoch() == epoch
        except Exception as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=face, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    together.wait()
    instances: tuple[TaskInstance, ...] = store.load().tasks
    for number in range(40):
        later = tuple(replace(one, queued_at=NOW + number * DAY) for one in instances)
        write(store, *(PutTask(task=new, before=old) for new, old in zip(later, instances, strict=True)))
        instances = later
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.unanswered()) == 80
    assert {found.queued_at for found in store.load().tasks} == {NOW + 39 * DAY}


def test_closing_twice_is_closing(store: Store) -> None:
    store.close()
    store.close()


def test_pools_come_with_the_world(store: Store) -> None:
    assert isinstance(store, SqlStore)
    with store._writing() as connection:
        connection.exec_driver_sql("INSERT INTO pools (name, slots) VALUES ('small', 2)")
    assert store.load().pools == (Pool(name="small", slots=2),)
