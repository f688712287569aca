"""Every way to end a task, in every state that it can be in: it comes to what was asked for, nothing of its tries
runs on or is left over, and its room is free (invariant I6). On the fake engine, with time standing still: what
heeds its stop signal needs none, and what does not is killed when its grace is over."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from scheduler_stage import SOON, Stage, dag, retries, task, templated, with_files

from orchestrator.errors import EngineTimeoutError
from orchestrator.ids import ContainerId, RunKey, TaskKey
from orchestrator.planning.rows import Answer, RequestKind
from orchestrator.scheduler.patience import FIRST_DELAY
from orchestrator.spec.container import EngineEventKind, ImageFacts
from orchestrator.spec.dag import SensorSpec
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.fake_images import FakeImages
from orchestrator.testing.faults import Pause
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

S = TaskState
#: Shorter than what is taken for a sleep of the machine, which would give every limit more time.
_LIMIT, _RUN_LIMIT, _GRACE = timedelta(seconds=20), timedelta(seconds=50), timedelta(seconds=7)
_STAYS = Program(stays=True)
_DEAF = Program(stays=True, deaf_to=frozenset({"TERM"}))


class SlowImages(FakeImages):
    """The image `slow` is there once that is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.there = threading.Event(), threading.Event()

    def _facts(self, pinned: str) -> ImageFacts:
        if pinned == "slow":
            self.asked.set()
            self.there.wait(SOON)
        return super()._facts(pinned)


class Scene:
    """A run of task `t`, after `before` and beside `other`, and what happens to it."""

    def __init__(self, stage: Stage, clock: ManualClock, *, fail_fast: bool) -> None:
        self.stage, self.clock, self._fail_fast = stage, clock, fail_fast
        self.run = RunKey("d", "")
        self.program = _STAYS
        self.last = False  #: what begins from now on ends by itself
        self.images = SlowImages()
        self._held: list[Pause] = []
        stage.images = self.images
        stage.script.programs = {name: lambda: Program() if self.last else _STAYS for name in ("before", "other")}
        stage.script.programs["t"] = lambda: Program() if self.last else self.program

    # --- into a state -----------------------------------------------------------------------------------

    def begin(self, **fields: object) -> None:
        """Until `before` and `other` run, and `t` waits."""
        one = task("t", "before", stop_grace=_GRACE, execution_timeout=_LIMIT, **fields)
        spec = dag(task("before"), one, task("other"))
        self.stage.begin()
        self.run = self.stage.trigger(
            type(spec)(
                dag_id=spec.dag_id,
                file=spec.file,
                tasks=spec.tasks,
                paused_on_creation=True,
                dagrun_timeout=_RUN_LIMIT,
                fail_fast=self._fail_fast,
            )
        )
        for name in ("before", "other"):
            self.stage.wait_state(self.run, name, S.RUNNING)

    def go_on(self, state: TaskState | None = None, *held: Pause) -> None:
        """Have `before` end, until `t` is in a state, or held."""
        self.finish("before")
        for pause in held:
            assert pause.reached.wait(SOON)
        self._held += held
        if state is not None:
            self.stage.wait_state(self.run, "t", state)

    def hold(self, verb: str) -> Pause:
        """The next call of the engine stands still until it is let go."""
        return self.stage.engine.faults.pause(verb)

    def finish(self, name: str, code: int = 0) -> None:
        for container in self.stage.containers(name):
            if container.runs:
                self.stage.engine.finish(container.id, code)

    # --- and out of it ----------------------------------------------------------------------------------

    def ask(self, kind: RequestKind, **payload: object) -> Answer:
        request = self.stage.ask(kind, **payload)
        self.stage.heard.wait_for(lambda: self.stage.store.answer(request.id) is not None, "an answer")
        answer = self.stage.store.answer(request.id)
        assert answer is not None
        return answer

    def selected(self) -> dict[str, object]:
        return {"dag_id": "d", "run_ids": [self.run.run_id], "tasks": "t"}

    def let_go(self) -> None:
        """What was held goes on, and what begins from now on ends by itself."""
        self.last = True
        self.images.there.set()
        for pause in self._held:
            pause.proceed.set()

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.run.dag_id, self.run.run_id, "t")

    @property
    def signals(self) -> list[str]:
        """What the containers of `t` were sent, by number."""
        happened = self.stage.engine.board.happened
        return [
            event.detail
            for event in happened
            if event.kind is EngineEventKind.KILL and event.labels["orchestrator.task_id"] == "t"
        ]

    def still(self) -> tuple[ContainerId, ...]:
        """Containers of `t` that run."""
        return tuple(each.id for each in self.stage.containers("t") if each.runs)


# --- the states -----------------------------------------------------------------------------------------------


def _waiting(scene: Scene) -> None:
    scene.begin()


def _waits_for_its_image(scene: Scene) -> None:
    scene.begin(image="slow")
    scene.go_on(S.QUEUED)
    assert scene.images.asked.wait(SOON)


def _rendering(scene: Scene) -> None:
    pause = scene.stage.authoring.faults.pause("render")
    scene.begin(container=templated("{{ ds }}"))
    scene.go_on(S.QUEUED, pause)


def _create_blocked(scene: Scene) -> None:
    scene.begin()
    scene.go_on(S.STARTING, scene.hold("create"))


def _copying_in(scene: Scene) -> None:
    scene.begin(container=with_files())
    scene.go_on(S.STARTING, scene.hold("put_files"))


def _start_blocked(scene: Scene) -> None:
    scene.begin()
    scene.go_on(S.STARTING, scene.hold("start"))


def _start_unanswered(scene: Scene) -> None:
    scene.begin()
    scene.stage.engine.faults.fail("start", EngineTimeoutError("not answered"), after_effect=True)
    pause = scene.hold("inspect")
    scene.finish("before")
    scene.clock.let_pass(FIRST_DELAY)
    scene.go_on(S.STARTING, pause)


def _running(scene: Scene) -> None:
    scene.begin()
    scene.go_on(S.RUNNING)


def _running_and_deaf(scene: Scene) -> None:
    scene.program = _DEAF
    _running(scene)


def _being_stopped(scene: Scene) -> None:
    _running_and_deaf(scene)
    assert scene.ask(RequestKind.KILL, selection=scene.selected()).ok
    scene.stage.heard.wait_for(lambda: scene.signals == ["15"], "TERM")


def _up_for_retry(scene: Scene) -> None:
    scene.program = Program(exit_code=1)
    scene.begin(retry=retries(3, delay=timedelta(days=1)))
    scene.go_on(S.UP_FOR_RETRY)


def _between_two_looks(scene: Scene) -> None:
    scene.program = Program(exit_code=75)
    scene.begin(sensor=SensorSpec(poke_interval=timedelta(days=1), timeout=timedelta(days=9)))
    scene.go_on(S.UP_FOR_RESCHEDULE)


def _exit_seen(scene: Scene) -> None:
    _running(scene)
    pause = scene.hold("read_file")
    scene.finish("t")
    scene.go_on(None, pause)
    scene.clock.advance(1)


def _adopted(scene: Scene) -> None:
    _running(scene)
    scene.stage.lives[-1].kill()
    followed = scene.stage.engine.calls.count("follow_logs")
    scene.stage.begin()
    scene.stage.heard.wait_for(
        lambda: scene.stage.engine.calls.count("follow_logs") == followed + 2, "their adoption"
    )


STATES = (
    _waiting,
    _waits_for_its_image,
    _rendering,
    _create_blocked,
    _copying_in,
    _start_blocked,
    _start_unanswered,
    _running,
    _running_and_deaf,
    _being_stopped,
    _up_for_retry,
    _between_two_looks,
    _exit_seen,
    _adopted,
)
_DEAF_ONES = (_running_and_deaf, _being_stopped)

# --- the ways -------------------------------------------------------------------------------------------------


def _kill(scene: Scene) -> None:
    assert scene.ask(RequestKind.KILL, selection=scene.selected()).ok


def _cancel(scene: Scene) -> None:
    assert scene.ask(RequestKind.CANCEL, dag_id="d", run_id=scene.run.run_id).ok


def _mark_failed(scene: Scene) -> None:
    assert scene.ask(RequestKind.MARK, selection=scene.selected(), state="failed").ok


def _mark_success(scene: Scene) -> None:
    assert scene.ask(RequestKind.MARK, selection=scene.selected(), state="success").ok


def _mark_skipped(scene: Scene) -> None:
    assert scene.ask(RequestKind.MARK, selection=scene.selected(), state="skipped").ok


def _clear(scene: Scene) -> None:
    scene.last = True  # its next try may begin at once
    assert scene.ask(RequestKind.CLEAR, selection=scene.selected()).ok


def _execution_timeout(scene: Scene) -> None:
    scene.clock.advance(_LIMIT.total_seconds())
    scene.stage.scheduler.wake()


def _dagrun_timeout(scene: Scene) -> None:
    scene.clock.advance(_RUN_LIMIT.total_seconds())
    scene.stage.scheduler.wake()


def _fail_fast(scene: Scene) -> None:
    scene.finish("other", 1)
    scene.stage.wait_state(scene.run, "other", S.FAILED)


#: What `t` comes to, and for what reason where that is the way's own.
WAYS: dict[Callable[[Scene], None], tuple[frozenset[TaskState], ReasonCode | None]] = {
    _kill: (frozenset({S.FAILED}), ReasonCode.KILLED_BY),
    _cancel: (frozenset({S.FAILED, S.UPSTREAM_FAILED}), None),
    _mark_failed: (frozenset({S.FAILED}), ReasonCode.MARKED_BY),
    _mark_success: (frozenset({S.SUCCESS}), None),
    _mark_skipped: (frozenset({S.SKIPPED}), ReasonCode.MARKED_BY),
    _clear: (frozenset({S.SUCCESS}), None),
    _execution_timeout: (frozenset({S.FAILED}), ReasonCode.TIMEOUT),
    _dagrun_timeout: (frozenset({S.FAILED, S.UPSTREAM_FAILED}), None),
    _fail_fast: (frozenset({S.FAILED, S.UPSTREAM_FAILED}), None),
}
#: Who ended before it was to be stopped has ended so.
_STOPS, _TOO_LATE = (_cancel, _dagrun_timeout, _fail_fast), (frozenset({S.SUCCESS}), None)
#: The limit on a try counts from its start.
_STARTED = (_running, _running_and_deaf, _adopted)
MATRIX = [
    pytest.param(state, way, id=f"{state.__name__[1:]}-{way.__name__[1:]}")
    for state in STATES
    for way in WAYS
    if way is not _execution_timeout or state in _STARTED
]


@pytest.mark.parametrize(("state", "way"), MATRIX)
def test_it_comes_to_what_was_asked_for_and_nothing_is_left(
    still_stage: Stage, clock: ManualClock, state: Callable[[Scene], None], way: Callable[[Scene], None]
) -> None:
    stage = still_stage
    scene = Scene(stage, clock, fail_fast=way is _fail_fast)
    state(scene)
    open_tries = [each for each in stage.store.tries(scene.key) if each.outcome is None]
    way(scene)
    stage.heard.wait_for(lambda: _is_stopping(scene, len(open_tries)), "the stop")
    scene.let_go()
    if state in _DEAF_ONES and not (state is _being_stopped and way is _dagrun_timeout):  # that took all its grace
        stage.heard.wait_for(lambda: scene.signals == ["15"], "TERM")
        assert scene.still()
        clock.let_pass(_GRACE.total_seconds())
    stage.heard.wait_for(lambda: not scene.still(), "the end of its containers")
    for name in ("before", "other"):
        scene.finish(name)
    view = stage.wait(scene.run)
    stage.check_end(view)
    (found,) = [each for each in view.tasks if each.key == scene.key]
    states, reason = _TOO_LATE if state is _exit_seen and way in _STOPS else WAYS[way]
    assert found.state in states
    if reason is not None:
        assert found.reason is not None
        assert found.reason.code is (ReasonCode.KILLED_BY if state is _being_stopped else reason)
    well = way in (_clear, _mark_success, _mark_skipped)
    assert view.run.state is (RunState.SUCCESS if well else RunState.FAILED)
    assert scene.signals in ([], ["15"]) or state in _DEAF_ONES
    assert all(each.outcome is not None for each in view.tries)
    stage.check_running(dag(task("before"), dag_id="another"))


def _is_stopping(scene: Scene, open_tries: int) -> bool:
    """What had a try open is told to stop, or has ended."""
    tries = scene.stage.store.tries(scene.key)
    return all(each.stop_requested_at or each.outcome is not None for each in tries[:open_tries])
