"""What every Store promises (`orchestrator.ports.Store`): what comes back, who leads, requests, lists."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from msgspec.structs import replace
from store_rows import DAY, NOW, REASON, attempt, ended, put_run, run, seed, task, version, write

from orchestrator.errors import FencedError, NotFoundError, StoreConflictError
from orchestrator.ids import ContainerId, Epoch, RunKey, TryId, VersionId
from orchestrator.planning.changes import (
    Answered,
    PutDag,
    PutFile,
    PutResult,
    PutRun,
    PutTask,
    PutTry,
    PutVersion,
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
from orchestrator.store import SqlStore

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
    write(store, *put_run(full))
    assert store.run(full.key) == full
    assert store.run(RunKey("etl", "other")) is None


def test_a_run_without_looked_up_images_is_told_from_one_with_none(store: Store, epoch: Epoch) -> None:
    write(store, *put_run(run(run_id="m1", images=None)), *put_run(run(run_id="m2", images={})))
    assert [found.images for found in store.load().runs] == [None, {}]


def test_a_full_task_instance_comes_back_as_written(store: Store, epoch: Epoch) -> None:
    of = run()
    full = task(
        of, "a", TaskState.FAILED, 3, tries=4, failures=2, losses=1, queued_at=NOW, started_at=NOW, due_at=NOW
    )
    write(store, *put_run(of), PutTask(task=full, before=None), PutTask(task=task(of, "a", index=2), before=None))
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
    write(store, *put_run(of), PutTask(task=instance, before=None), PutTry(attempt=full, before=None))
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
    write(store, *put_run(of), PutTask(task=task(of), before=None))
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
        log="builds/pandas.log",
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
        write(store, *put_run(of), PutTask(task=task(of, "a"), before=None))
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
    write(store, *put_run(of), PutTask(task=instance, before=None), *tries)
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


# --- leadership ---------------------------------------------------------------------------------------


def test_a_new_leader_fences_the_old_one(store: Store) -> None:
    first = store.take_lead("one", NOW)
    store.write(first, put_run(run(run_id="m1")))
    second = store.take_lead("two", NOW)
    assert second > first
    assert store.epoch() == second
    with pytest.raises(FencedError, match="two leads"):
        store.write(first, put_run(run(run_id="m2")))
    with pytest.raises(FencedError):
        store.write(first, ())
    store.write(second, put_run(run(run_id="m3")))
    assert [found.key.run_id for found in store.load().runs] == ["m1", "m3"]


def test_nobody_writes_before_somebody_leads(store: Store) -> None:
    with pytest.raises(FencedError):
        store.write(Epoch(1), put_run(run()))


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
    with pytest.raises(StoreConflictError) as refusal:
        write(store, done)
    assert refusal.value.key == asked[1].id


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
    write(store, *(row for of in runs for row in put_run(of)))
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


def test_runs_of_a_stretch_of_time_come_newest_made_first(store: Store, epoch: Epoch) -> None:
    def on(day: int, made: int, dag_id: str = "etl") -> Run:
        start = NOW + day * DAY
        interval = Interval(start=start, end=start + DAY)
        return run(dag_id, f"r{day}.{made}", interval=interval, created_at=NOW + made * DAY)

    runs = [on(1, 1), on(2, 2), on(2, 4), on(3, 3), on(2, 9, "web")]
    write(store, *(row for of in runs for row in put_run(of)))
    found = store.runs_between("etl", NOW + 2 * DAY, NOW + 3 * DAY)
    assert [each.key.run_id for each in found] == ["r2.4", "r2.2"]
    assert store.runs_between("etl", NOW + 4 * DAY, NOW + 9 * DAY) == ()


def test_the_last_success_is_the_newest_before_that_logical_date(store: Store, epoch: Epoch) -> None:
    def on(day: int, state: RunState, dag_id: str = "etl") -> Run:
        start = NOW + day * DAY
        # created in the opposite order: logical dates count, not when somebody ran them
        return run(
            dag_id, f"m{day}", state, interval=Interval(start=start, end=start + DAY), created_at=NOW - day * DAY
        )

    runs = [on(1, RunState.SUCCESS), on(2, RunState.SUCCESS), on(3, RunState.FAILED), on(5, RunState.SUCCESS)]
    write(store, *(row for of in [*runs, on(4, RunState.SUCCESS, "web")] for row in put_run(of)))

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
