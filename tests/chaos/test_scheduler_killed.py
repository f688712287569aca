"""`kill -9` of the scheduler at every instant of a try's life: what had started finishes in the same container,
what had not is created anew, no try runs twice, results and logs are whole, nothing is left over (invariants I1,
I2, I4)."""

import hashlib

import pytest
from engine_proxy import Moment, Step
from engine_record import CREATED, DIED, GONE, STARTED
from stage import GATES, Stage

from orchestrator.ids import ContainerId
from orchestrator.planning.rows import Try, TryOutcome
from orchestrator.ports import Stream
from orchestrator.queries import RunView
from orchestrator.states import RunState

pytestmark = pytest.mark.engine

_GIVEN = b"copied in before the start\n" * 3000


def test_killed_right_after_create_the_container_that_never_ran_is_made_anew(interrupted: Stage) -> None:
    _kill_at(interrupted, interrupted.proxy.at_call(Step.ANSWERED, "POST", "/containers/create", "-victim-"))
    _goes_on_with_a_new_container(interrupted)


def test_killed_while_copying_in_the_container_that_never_ran_is_made_anew(interrupted: Stage) -> None:
    _kill_at(interrupted, interrupted.proxy.at_call(Step.SENDING, "PUT", "/archive", "-victim-"))
    _goes_on_with_a_new_container(interrupted)


def test_killed_with_its_start_sent_and_unanswered_the_container_goes_on(interrupted: Stage) -> None:
    _kill_at(interrupted, interrupted.proxy.at_call(Step.ANSWERED, "POST", "/start", "-victim-"))
    _goes_on_in_the_same_container(interrupted)


def test_killed_right_after_its_start_the_container_goes_on(interrupted: Stage) -> None:
    _kill_at(interrupted, interrupted.proxy.at_call(Step.PASSED, "POST", "/start", "-victim-"))
    _goes_on_in_the_same_container(interrupted)


def test_killed_while_it_runs_the_container_goes_on_and_what_it_wrote_meanwhile_is_read_back(
    interrupted: Stage,
) -> None:
    interrupted.begin()
    steady, victim = (interrupted.record.wait(STARTED, task) for task in ("steady", "victim"))
    for container in (steady, victim):
        interrupted.wait_gate(container, 1)
    interrupted.scheduler.kill()
    for container in (steady, victim):
        interrupted.open_gate(container, 1)
        interrupted.wait_gate(container, 2)
    _goes_on_in_the_same_container(interrupted)


def test_killed_right_after_its_exit_the_outcome_is_taken_from_the_same_container(interrupted: Stage) -> None:
    _let_it_end_and_kill_at(interrupted, interrupted.proxy.at_event("die", "-victim-"))
    _goes_on_in_the_same_container(interrupted)


def test_killed_before_the_removal_of_its_container_removes_it_and_keeps_the_outcome(interrupted: Stage) -> None:
    removal = interrupted.proxy.at_call(Step.ASKED, "DELETE", "", "-victim-")
    _let_it_end_and_kill_at(interrupted, removal, let_go=False)
    _goes_on_in_the_same_container(interrupted)


def test_killed_right_after_the_removal_of_its_container_knows_that_its_log_was_whole(interrupted: Stage) -> None:
    _let_it_end_and_kill_at(interrupted, interrupted.proxy.at_call(Step.ANSWERED, "DELETE", "", "-victim-"))
    _goes_on_in_the_same_container(interrupted)


def test_killed_while_it_looks_at_an_image_leaves_no_probe(interrupted: Stage) -> None:
    moment = interrupted.proxy.at_call(Step.ANSWERED, "HEAD", "/archive", "")
    interrupted.begin()
    moment.wait()
    interrupted.scheduler.kill()
    moment.let_go()
    assert len(interrupted.leftovers.containers()) == 1
    interrupted.begin()
    _is_whole(interrupted, _end(interrupted))


def test_a_start_on_the_wire_that_comes_after_the_container_was_made_anew_starts_nothing(
    interrupted: Stage,
) -> None:
    late = interrupted.proxy.at_call(Step.ASKED, "POST", "/start", "-victim-")
    _kill_at(interrupted, late, let_go=False)
    interrupted.begin()
    (first,) = interrupted.record.containers(CREATED, "victim")[:1]
    interrupted.record.wait_for(GONE, first)
    late.let_go()
    _is_whole(interrupted, _end(interrupted))
    assert first not in interrupted.record.containers(STARTED, "victim")


def test_a_start_on_the_wire_that_comes_just_before_the_removal_is_taken_over(interrupted: Stage) -> None:
    late = interrupted.proxy.at_call(Step.ASKED, "POST", "/start", "-victim-")
    _kill_at(interrupted, late, let_go=False)
    removal = interrupted.proxy.at_call(Step.ASKED, "DELETE", "", "-victim-")
    interrupted.begin()
    removal.wait()
    late.let_go()
    victim = interrupted.record.wait(STARTED, "victim")
    removal.let_go()
    _is_whole(interrupted, _end(interrupted))
    assert interrupted.record.containers(CREATED, "victim") == [victim]


# --- the play -------------------------------------------------------------------------------------------


def _kill_at(stage: Stage, moment: Moment, *, let_go: bool = True) -> None:
    """Start; kill when `moment` has come and the other task runs, which then writes on with nobody listening."""
    stage.begin()
    steady = stage.record.wait(STARTED, "steady")
    stage.wait_gate(steady, 1)
    moment.wait()
    stage.scheduler.kill()
    stage.open_gate(steady, 1)
    stage.wait_gate(steady, 2)
    if let_go:
        moment.let_go()


def _let_it_end_and_kill_at(stage: Stage, moment: Moment, *, let_go: bool = True) -> None:
    """Start; kill when `moment` has come in the end of the one task, while the other one runs."""
    stage.begin()
    steady = stage.record.wait(STARTED, "steady")
    stage.open_gates("victim")
    moment.wait()
    stage.scheduler.kill()
    if let_go:
        moment.let_go()
    stage.open_gate(steady, 1)


def _goes_on_in_the_same_container(stage: Stage) -> None:
    victim = stage.record.wait(STARTED, "victim")
    stage.begin()
    ended = _end(stage)
    _is_whole(stage, ended)
    assert stage.record.containers(CREATED, "victim") == [victim]


def _goes_on_with_a_new_container(stage: Stage) -> None:
    assert stage.record.containers(STARTED, "victim") == []
    (first,) = stage.record.containers(CREATED, "victim")
    stage.begin()
    ended = _end(stage)
    _is_whole(stage, ended)
    started = _attempt(ended, "victim").container_id
    assert started != first
    assert stage.record.containers(CREATED, "victim") == [first, started]


def _end(stage: Stage) -> RunView:
    """Open the gates that are still shut, and see the run end."""
    for task_id in ("steady", "victim"):
        stage.open_gates(task_id)
    return stage.wait_end()


# --- what always holds ----------------------------------------------------------------------------------


def _is_whole(stage: Stage, ended: RunView) -> None:
    """Everything that no kill may change."""
    assert ended.run.state is RunState.SUCCESS
    for task_id in ("steady", "victim", "after"):
        _ran_once(stage, ended, task_id)
    for task_id in ("steady", "victim"):
        assert stage.log(_attempt(ended, task_id).key) == _output(task_id), f"the log of {task_id} is not whole"
    assert ended.results == {task: _result(ended, task) for task in ("steady", "victim", "after")}
    _nothing_is_left(stage)
    assert stage.scheduler.stop() == 0


def _ran_once(stage: Stage, ended: RunView, task_id: str) -> None:
    attempt = _attempt(ended, task_id)
    container = _container(attempt)
    assert attempt.started_at is not None
    assert attempt.ended_at is not None
    assert attempt.started_at <= attempt.ended_at
    assert attempt.log_complete
    assert (attempt.key.number, attempt.outcome) == (1, TryOutcome.SUCCESS)
    assert stage.record.try_ids(task_id) == {attempt.try_id}
    assert stage.record.containers(STARTED, task_id) == [container]
    assert stage.record.containers(DIED, task_id) == [container]
    assert (stage.runs / task_id).read_text() == f"{container[:12]}\n"


def _nothing_is_left(stage: Stage) -> None:
    for task_id in ("steady", "victim", "after"):
        for container in stage.record.containers(CREATED, task_id):
            stage.record.wait_for(GONE, container)
    assert stage.leftovers.containers() == []
    assert stage.leftovers.volumes() == []


def _attempt(ended: RunView, task_id: str) -> Try:
    """A task's only try."""
    (attempt,) = (attempt for attempt in ended.tries if attempt.key.task.task_id == task_id)
    return attempt


def _container(attempt: Try) -> ContainerId:
    assert attempt.container_id is not None
    return attempt.container_id


def _result(ended: RunView, task_id: str) -> dict[str, str]:
    """What a task must have handed on: the containers where it and its parents ran."""
    names = {task: _container(_attempt(ended, task))[:12] for task in ("steady", "victim", "after")}
    own = {"container": names[task_id]}
    return own if task_id != "after" else {**own, "victim": names["victim"], "steady": names["steady"]}


def _output(task_id: str) -> dict[Stream, bytes]:
    """What a task with gates writes, byte for byte."""
    given = f"{hashlib.sha256(_GIVEN).hexdigest()}  -\n" if task_id == "victim" else ""
    said = {Stream.STDOUT: given, Stream.STDERR: ""}
    for number, stretch in enumerate(("first", "second", "third"), 1):
        said[Stream.STDOUT] += "".join(f"{stretch} out {line} für dich\n" for line in range(1, 301))
        said[Stream.STDERR] += "".join(f"{stretch} err {line}\n" for line in range(1, 301))
        if number in GATES:
            said[Stream.STDOUT] += f"gate {number}\n"
    said[Stream.STDOUT] += "x" * 20_000 + "\nno newline at the end"
    return {stream: text.encode() for stream, text in said.items()}
