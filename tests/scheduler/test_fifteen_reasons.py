"""The fifteen first reasons that `explain` must name, each brought about in a whole scheduler over the fake engine,
and asked of the command itself: the code, the sentence, and what to do."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from click import Command
from click.testing import CliRunner
from scheduler_stage import PAGE, RESULT, Stage, dag, retries, task

from orchestrator.cli import explain
from orchestrator.clock import SystemClock
from orchestrator.explanations import Explanations
from orchestrator.ids import RunKey
from orchestrator.planning.rows import Reason, RequestKind
from orchestrator.queries import Queries
from orchestrator.scheduler.local_socket import LocalSocket
from orchestrator.spec.container import ImageFacts
from orchestrator.spec.control import Approval
from orchestrator.spec.dag import (
    BranchChoice,
    ContainerTemplate,
    CronSchedule,
    DagSpec,
    SensorSpec,
    TaskKind,
    TaskSpec,
)
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.fake_images import FakeImages
from orchestrator.testing.programs import Program

HOUR = timedelta(hours=1)
STAYS = Program(stays=True)
DAILY = CronSchedule(expressions=("0 0 * * *",))


class Site:
    """A deployment as the command sees it, and people who act in it."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.clock = stage.clock
        self.socket = folder / "scheduler.sock"
        self.images = Images()
        self.printed: list[Any] = []

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        yield Queries(self.stage.store, self.stage.logs)

    @contextmanager
    def explanations(self) -> Iterator[Explanations]:
        stage = self.stage
        with self.queries() as queries:
            yield Explanations(stage.store, stage.artifacts, queries, self.socket, self.clock, stage.settings)

    def define(self, *tasks: TaskSpec, **about: Any) -> DagSpec:
        spec = msgspec.structs.replace(dag(*tasks), **about)
        self.stage.define(spec)
        self.stage.heard.wait_for(lambda: self.stage.store.dag(spec.dag_id) is not None, "the DAG")
        return spec

    def run(self, *tasks: TaskSpec, **about: Any) -> RunKey:
        """A run of these tasks, the first of which runs on for ever where the engine is there."""
        self.stage.script.programs["first"] = STAYS
        return self.stage.trigger(msgspec.structs.replace(dag(*tasks), **about))

    def request(self, kind: RequestKind, **payload: Any) -> None:
        asked = self.stage.ask(kind, **payload)
        self.stage.heard.wait_for(lambda: self.stage.store.answer(asked.id) is not None, "the answer")
        answer = self.stage.store.answer(asked.id)
        assert answer is not None
        assert answer.ok, answer.error


class Images(FakeImages):
    """Images that are built at once, or `slow` ones when the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.built = threading.Event()

    def ensure(self, pinned: str, *, progress: Callable[[Reason], None] = lambda _: None, **_: Any) -> ImageFacts:
        if pinned == "slow":
            progress(Reason(code=ReasonCode.IMAGE_BUILDING, text=f"the image {pinned} is being built"))
            self.built.wait()
        return ImageFacts(id=pinned)


def two(**fields: Any) -> tuple[TaskSpec, TaskSpec]:
    return task("first", priority_weight=9, **fields), task("second", **fields)


# --- how each comes about -------------------------------------------------------------------------------


def paused(site: Site) -> None:
    site.define(task("a"), schedule=DAILY)


def held(site: Site) -> None:
    spec = site.define(task("second"))
    site.request(RequestKind.PAUSE, dag_id="d", hold=True)
    site.stage.trigger(spec)


def before_first_interval(site: Site) -> None:
    site.define(task("a"), schedule=DAILY, start_date=datetime(2099, 1, 1, tzinfo=UTC), paused_on_creation=False)


def max_active_runs(site: Site) -> None:
    site.run(*two(), max_active_runs=1)
    site.request(RequestKind.TRIGGER, dag_id="d")


def pool_full(site: Site) -> None:
    site.request(RequestKind.SET_POOL, name="narrow", slots=1)
    site.run(*two(pool="narrow"))


def concurrency_key(site: Site) -> None:
    site.run(*two(container=ContainerTemplate(image="base", concurrency_key="warehouse")))


def engine_full(site: Site) -> None:
    site.run(*two(container=ContainerTemplate(image="base", cpus=3)))


def upstream_pending(site: Site) -> None:
    site.run(task("first"), task("second", "first"))


def branch_skip(site: Site) -> None:
    site.stage.script.programs["branch"] = Program(files={RESULT: b'"left"'})
    tasks = (task("branch", choice=BranchChoice()), task("left", "branch"), task("second", "branch"))
    site.stage.wait(site.stage.trigger(dag(*tasks)))


def depends_on_past(site: Site) -> None:
    site.stage.script.programs["second"] = Program(exit_code=1)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    site.define(task("second", depends_on_past=True), schedule=DAILY, start_date=begin)
    site.request(RequestKind.BACKFILL, dag_id="d", start="2024-01-01", end="2024-01-02")
    site.stage.heard.wait_for(lambda: len(site.stage.store.runs("d", PAGE)) == 2, "the second run")


def retry_delay(site: Site) -> None:
    site.stage.script.programs["second"] = Program(exit_code=1)
    key = site.run(task("second", retry=retries(1, delay=HOUR)))
    site.stage.wait_state(key, "second", TaskState.UP_FOR_RETRY)


def sensor_wait(site: Site) -> None:
    site.stage.script.programs["second"] = Program(exit_code=75)
    key = site.run(task("second", sensor=SensorSpec(poke_interval=HOUR)))
    site.stage.wait_state(key, "second", TaskState.UP_FOR_RESCHEDULE)


def approval(site: Site) -> None:
    asks = TaskSpec(task_id="second", kind=TaskKind.APPROVAL, control=Approval(prompt="Deploy?"))
    site.stage.wait_state(site.run(asks), "second", TaskState.UP_FOR_RESCHEDULE)


def engine_down(site: Site) -> None:
    site.stage.engine.go_down()
    site.run(task("second"))


def image_building(site: Site) -> None:
    site.run(task("second", image="slow"))


class Case(NamedTuple):
    """How it comes about, what is explained (words of the command), by which code, in which words."""

    bring_about: Callable[[Site], None]
    about: Sequence[str]
    code: ReasonCode
    text: str


DAG, SECOND = ("d",), ("d", "second")
_C = ReasonCode
FIFTEEN = {
    "paused": Case(paused, DAG, _C.PAUSED, "the DAG is paused: no scheduled run of it starts"),
    "held": Case(held, SECOND, _C.HELD, "nothing new starts in runs of a DAG on hold"),
    "before first interval": Case(before_first_interval, DAG, _C.NOT_DUE, "its first run is due 2 Jan 2099"),
    "max_active_runs": Case(
        max_active_runs, SECOND, _C.MAX_ACTIVE_RUNS, "1 of max_active_runs=1 are running: manual__"
    ),
    "pool full": Case(pool_full, SECOND, _C.POOL_FULL, "pool narrow: 1 of 1 taken"),
    "concurrency key": Case(concurrency_key, SECOND, _C.CONCURRENCY_KEY, "concurrency_key warehouse: 1 of 1 taken"),
    "engine full": Case(engine_full, SECOND, _C.ENGINE_FULL, "cpus: 3 cpus of 4 cpus taken, 3 cpus needed"),
    "upstream pending": Case(upstream_pending, SECOND, _C.UPSTREAM, "its rule all_success waits for first"),
    "branch skip": Case(branch_skip, SECOND, _C.BRANCH, "the branch branch chose another way"),
    "depends_on_past": Case(depends_on_past, SECOND, _C.DEPENDS_ON_PAST, "backfill__2024-01-01"),
    "retry delay": Case(retry_delay, SECOND, _C.RETRY_DELAY, "the last try: it exited with 1"),
    "sensor wait": Case(sensor_wait, SECOND, _C.NOT_READY, "it waits between two looks: look 2 comes at"),
    "approval": Case(approval, SECOND, _C.APPROVAL, "it waits for somebody to approve or reject it"),
    "engine down": Case(engine_down, SECOND, _C.ENGINE_DOWN, ""),
    "image building": Case(image_building, SECOND, _C.IMAGE_BUILDING, "the image slow is being built"),
}


@pytest.fixture
def site(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """With a scheduler that is asked over its socket."""
    made = Site(stage, tmp_path)
    monkeypatch.setattr(explain, "open_app", lambda: made)
    monkeypatch.setattr(explain, "show_json", made.printed.append)
    stage.images = made.images
    stage.begin()
    local = LocalSocket(made.socket)
    local.start(stage.scheduler.wake, stage.scheduler.ask)
    yield made
    made.images.built.set()
    local.close()


def told(site: Site, command: Command, about: Sequence[str]) -> dict[str, Any]:
    """What the command prints as JSON: taken from where it does, since the scheduler logs to the same output."""
    said = CliRunner().invoke(command, [*about, "--output", "json"])
    assert said.exit_code == 0, said.output
    answer: dict[str, Any] = msgspec.to_builtins(site.printed[-1])
    return answer


def says(answer: dict[str, Any], case: Case) -> bool:
    return (answer["reason"] or {}).get("code") == case.code and case.text in answer["text"]


def until(site: Site, command: Command, case: Case) -> dict[str, Any]:
    """Ask until it says so: what waits in memory only, nothing else tells of."""
    clock, never = SystemClock(), threading.Event()
    end = clock.monotonic() + 60
    answer = told(site, command, case.about)
    while not says(answer, case) and clock.monotonic() < end:
        clock.wait(never, 0.05)
        answer = told(site, command, case.about)
    return answer


def test_all_fifteen_are_here() -> None:
    assert len(FIFTEEN) == len({(case.code, case.about) for case in FIFTEEN.values()}) == 15


@pytest.mark.parametrize("name", FIFTEEN)
def test_the_command_names_the_first_binding_reason(site: Site, name: str) -> None:
    case = FIFTEEN[name]
    case.bring_about(site)
    answer = until(site, explain.explain_dag if case.about == DAG else explain.explain_task, case)
    assert says(answer, case), answer
    assert answer["scheduler"]
    assert answer["next_step"]
