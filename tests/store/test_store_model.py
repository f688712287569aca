"""Any legal sequence of turns leaves in the store what it leaves in a dict."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from store_rows import NOW, attempt, ended, run, started_run, task, version

from orchestrator.errors import StoreConflictError
from orchestrator.ids import DeploymentId, RunKey, TaskKey, TryId
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
    DagVersion,
    Interval,
    Reason,
    Request,
    RequestKind,
    Result,
    Run,
    TaskInstance,
    Try,
    TryOutcome,
)
from orchestrator.ports import Page, Snapshot
from orchestrator.spec.dag import ParsedFile
from orchestrator.states import RUN_MOVES, TASK_MOVES, ReasonCode, RunState, TaskState
from orchestrator.store import SqlStore

#: What every database takes.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SMALL = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
JSON = st.dictionaries(TEXT, SMALL, max_size=3)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
REASONS = st.builds(Reason, code=st.sampled_from(ReasonCode), text=TEXT)
SUCCESSOR: dict[TaskState, Any] = {state: st.sampled_from(sorted(moves)) for state, moves in TASK_MOVES.items()}


def rows_of(world: Snapshot) -> dict[str, list[str]]:
    """What a world is built of; a database gives rows in any order."""
    return {
        name: sorted(map(repr, getattr(world, name) or ())) for name in ("dags", "runs", "tasks", "tries", "files")
    }


class StoreModel(RuleBasedStateMachine):
    """Rows are put into the model at once and into the store when the turn is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open_store()
        self.epoch = self.store.take_lead("test", NOW)
        self.turn: list[Row] = []
        self.dags: dict[str, Dag] = {}
        self.versions: dict[tuple[str, str], DagVersion] = {}
        self.files: dict[str, ParsedFile] = {}
        self.runs: dict[RunKey, Run] = {}
        self.tasks: dict[TaskKey, TaskInstance] = {}
        self.tries: dict[TryId, Try] = {}
        self.results: dict[TaskKey, bytes] = {}
        self.asked: dict[int, Request] = {}
        self.answers: dict[int, Answer] = {}

    def open_store(self) -> SqlStore:
        """An empty one."""
        return SqlStore.in_memory(DeploymentId("0123abcd"))

    def teardown(self) -> None:
        self.store.close()

    @initialize()
    def begin(self) -> None:
        self.put_dag("etl", "", paused=False, last=None)

    @rule(
        dag_id=st.sampled_from(["etl", "web"]),
        description=TEXT,
        paused=st.booleans(),
        last=st.none() | INSTANTS.map(lambda at: Interval(start=at, end=at)),
    )
    def put_dag(self, dag_id: str, description: str, *, paused: bool, last: Interval | None) -> None:
        new = version(dag_id, description)
        dag = Dag(dag_id=dag_id, version=new.version, file="f.py", paused=paused, last=last)
        self.versions.setdefault((dag_id, new.version), new)
        self.dags[dag_id] = dag
        self.turn += [PutVersion(version=new), PutDag(dag=dag)]

    @rule(file=st.sampled_from(["a.py", "b.py"]), content_hash=TEXT, gone=st.booleans())
    def put_file(self, file: str, content_hash: str, *, gone: bool) -> None:
        parsed = ParsedFile(file=file, content_hash=content_hash)
        self.turn.append(PutFile(parsed=parsed, at=NOW, gone=gone))
        if gone:
            self.files.pop(file, None)
        else:
            self.files[file] = parsed

    @rule(data=st.data(), conf=JSON, note=st.none() | TEXT, at=INSTANTS, width=st.integers(0, 3))
    def new_run(self, data: st.DataObject, conf: Any, note: str | None, at: datetime, width: int) -> None:
        dag = data.draw(st.sampled_from(sorted(self.dags.values(), key=lambda each: each.dag_id)))
        new = run(
            dag.dag_id,
            f"manual__{len(self.runs)}",
            version=dag.version,
            conf=conf,
            note=note,
            created_at=at,
            interval=Interval(start=at, end=at),
        )
        self.runs[new.key] = new
        self.turn.append(PutRun(run=new, before=None))
        for number in range(width):
            instance = task(new, f"t{number}")
            self.tasks[instance.key] = instance
            self.turn.append(PutTask(task=instance, before=None))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), reason=REASONS)
    def move_run(self, data: st.DataObject, reason: Reason) -> None:
        old = self.runs[data.draw(st.sampled_from(sorted(self.runs)))]
        state = data.draw(st.sampled_from(sorted(RUN_MOVES[old.state])))
        ended_at = NOW if state.final else None
        new = replace(old, state=state, ended_at=ended_at, reason=reason if state is RunState.FAILED else None)
        if state is RunState.RUNNING:
            new = started_run(new)
        self.runs[new.key] = new
        self.turn.append(PutRun(run=new, before=old))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), at=INSTANTS, reason=REASONS)
    def move_task(self, data: st.DataObject, at: datetime, reason: Reason) -> None:
        old = self.tasks[data.draw(st.sampled_from(sorted(self.tasks)))]
        state = data.draw(SUCCESSOR[old.state])
        tries = old.tries + 1 if state is TaskState.STARTING else old.tries
        new = replace(old, state=state, tries=tries, reason=reason, due_at=at, ended_at=at if state.final else None)
        self.tasks[new.key] = new
        self.turn.append(PutTask(task=new, before=old))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def new_try(self, data: st.DataObject) -> None:
        instance = self.tasks[data.draw(st.sampled_from(sorted(self.tasks)))]
        number = sum(each.key.task == instance.key for each in self.tries.values()) + 1
        new = attempt(instance, f"{len(self.tries):016x}", number)
        self.tries[new.try_id] = new
        self.turn.append(PutTry(attempt=new, before=None))

    @precondition(lambda self: self.tries)
    @rule(data=st.data(), outcome=st.sampled_from(TryOutcome), at=INSTANTS)
    def move_try(self, data: st.DataObject, outcome: TryOutcome, at: datetime) -> None:
        old = self.tries[data.draw(st.sampled_from(sorted(self.tries)))]
        if old.outcome is None:
            new = ended(replace(old, started_at=at), outcome) if old.started_at else replace(old, started_at=at)
        else:
            new = replace(old, log_complete=True, removed_at=old.removed_at or at)
        self.tries[new.try_id] = new
        self.turn.append(PutTry(attempt=new, before=old))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), result=st.binary(max_size=20))
    def put_result(self, data: st.DataObject, result: bytes) -> None:
        key = data.draw(st.sampled_from(sorted(self.tasks)))
        self.results[key] = result
        self.turn.append(PutResult(result=Result(key=key, data=result, created_at=NOW)))

    @rule(payload=JSON, actor=TEXT, at=INSTANTS)
    def ask(self, payload: Any, actor: str, at: datetime) -> None:
        asked = self.store.ask(RequestKind.TRIGGER, payload, actor, at)
        assert asked.id not in self.asked
        self.asked[asked.id] = asked

    @precondition(lambda self: self.asked.keys() - self.answers)
    @rule(data=st.data(), answer=st.builds(Answer, ok=st.booleans(), data=JSON, error=TEXT))
    def answer(self, data: st.DataObject, answer: Answer) -> None:
        number = data.draw(st.sampled_from(sorted(self.asked.keys() - self.answers)))
        self.answers[number] = answer
        self.turn.append(Answered(request=self.asked[number], answer=answer, at=NOW))

    @rule()
    def commit(self) -> None:
        self.store.write(self.epoch, self.turn)
        self.turn = []

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        """A turn with one stale move at its end leaves no trace, and can be written without it."""
        old = self.runs[data.draw(st.sampled_from(sorted(self.runs)))]
        elsewhere = next(state for state in RunState if state is not old.state)
        stale = PutRun(run=old, before=replace(old, state=elsewhere))
        before = rows_of(self.store.load())
        with pytest.raises(StoreConflictError) as refusal:
            self.store.write(self.epoch, [*self.turn, stale])
        assert refusal.value.key == old.key
        assert rows_of(self.store.load()) == before
        self.commit()

    @invariant()
    def same(self) -> None:
        if not self.turn:
            self.world_is_the_models()
            self.history_is_the_models()

    def world_is_the_models(self) -> None:
        world = self.store.load()
        open_runs = {key: each for key, each in self.runs.items() if not each.state.final}
        in_use = {(each.dag_id, each.version) for each in self.dags.values()}
        in_use |= {(each.key.dag_id, each.version) for each in open_runs.values()}
        assert {each.dag_id: each for each in world.dags} == self.dags
        assert {(each.dag_id, each.version): each for each in world.versions} == {
            key: self.versions[key] for key in in_use
        }
        assert {each.file: each for each in world.files} == self.files
        assert {each.key: each for each in world.runs} == open_runs
        assert {each.key: each for each in world.tasks} == {
            key: each for key, each in self.tasks.items() if key.run in open_runs
        }
        assert {each.try_id: each for each in world.tries} == {
            key: each for key, each in self.tries.items() if each.removed_at is None
        }
        assert {each.id for each in self.store.unanswered()} == self.asked.keys() - self.answers

    def history_is_the_models(self) -> None:
        newest = sorted(self.runs.values(), key=lambda each: (each.created_at, each.key), reverse=True)
        assert self.store.runs(None, Page(limit=1000)) == tuple(newest)
        for key in self.runs:
            wanted = [each for instance, each in self.tasks.items() if instance.run == key]
            assert self.store.tasks(key) == tuple(sorted(wanted, key=lambda each: each.key))
        for try_id, each in self.tries.items():
            assert self.store.attempt(try_id) == each
        for key in self.tasks:
            assert self.store.result(key) == self.results.get(key)
        for number, answer in self.answers.items():
            assert self.store.answer(number) == answer


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
