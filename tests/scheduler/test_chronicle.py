"""What our own log tells of decisions: what a person looks for in it, and nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from scheduler_stage import Stage, dag, retries, task
from structlog.testing import capture_logs

from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import ParsedFile, Problem, Severity
from orchestrator.testing.fake_engine import Outage
from orchestrator.testing.programs import Output, Program, says

Told = list[Any]


@pytest.fixture
def told() -> Iterator[Told]:
    with capture_logs() as log:
        yield log


def events(told: Told, *names: str) -> list[dict[str, Any]]:
    return [dict(entry) for entry in told if entry["event"].startswith(names)]


def test_a_run_that_fails_is_told_from_its_request_to_its_end(stage: Stage, told: Told) -> None:
    stage.script.programs = {"a": [says("no\n", exit_code=3), says("no, no\n", exit_code=4)]}
    stage.begin()
    spec = dag(task("a", retry=retries(1)), task("b", "a"))
    run = stage.trigger(spec)
    stage.wait(run)
    ids = {"dag_id": "d", "run_id": run.run_id}
    entries = events(told, "dag.", "run.", "task.", "request.")
    for entry in entries:
        entry.pop("seconds", None)
        entry.pop("at", None)
    assert entries[1:] == [
        {"event": "request.answered", "log_level": "info", **ids, "kind": "trigger", "actor": "a test", "ok": True},
        {"event": "run.started", "log_level": "info", **ids, "actor": "a test"},
        {"event": "task.retries", "log_level": "warning", **ids, "task_id": "a", "tries": 1,
         "reason": "exit_code", "why": "it exited with 3; last line: no"},
        {"event": "task.failed", "log_level": "warning", **ids, "task_id": "a", "tries": 2,
         "reason": "exit_code", "why": "it exited with 4; last line: no, no"},
        {"event": "run.ended", "log_level": "warning", **ids, "state": "failed",
         "reason": "exit_code", "why": "a: it exited with 4; last line: no, no"},
    ]  # fmt: skip
    assert entries[0]["event"] == "dag.changed"


def test_of_a_run_that_goes_well_its_beginning_and_its_end_are_told(stage: Stage, told: Told) -> None:
    stage.begin()
    stage.wait(stage.trigger(dag(task("a"), task("b", "a"), task("c", "b"))))
    assert [entry["event"] for entry in events(told, "run.", "task.")] == ["run.started", "run.ended"]


def test_who_asked_for_what_is_told_also_where_it_was_refused(stage: Stage, told: Told) -> None:
    stage.begin()
    request = stage.ask(RequestKind.CANCEL, dag_id="d", run_id="none")
    stage.heard.wait_for(lambda: stage.store.answer(request.id) is not None, "the answer")
    (entry,) = events(told, "request.")
    assert (entry["kind"], entry["actor"], entry["ok"]) == ("cancel", "a test", False)
    assert "no open run 'none'" in entry["error"]


def test_a_broken_file_is_told_once_until_it_breaks_otherwise_or_is_mended(stage: Stage, told: Told) -> None:
    def parsed(*texts: str) -> FileParsed:
        wrong = [
            Problem(file="d.py", line=3, rule="syntax", text=each, fix="f", severity=Severity.ERROR)
            for each in texts
        ]
        return FileParsed(parsed=ParsedFile(file="d.py", problems=tuple(wrong)))

    stage.begin()
    for event in (parsed("x"), parsed("x"), parsed("y"), parsed(), parsed(), FileGone(file="d.py")):
        stage.scheduler.post(event)
    stage.heard.wait_for(lambda: len(events(told, "dag_file.gone")) == 1, "the end")
    names = [entry["event"].removeprefix("dag_file.") for entry in events(told, "dag_file.")]
    assert names == ["broken", "broken", "mended", "gone"]
    assert "d.py:3" in events(told, "dag_file.broken")[0]["problems"][0]


def test_the_engine_is_told_to_be_away_and_back_once_each(stage: Stage, told: Told) -> None:
    stage.script.programs = {"a": Program(stays=True, output=(Output(data=b"here"),))}
    stage.begin()
    run = stage.trigger(dag(task("a", execution_timeout=timedelta(hours=1))))
    stage.wait_open(run, "a")
    stage.engine.go_down(Outage.CONNECTION)
    stage.heard.wait_for(lambda: len(events(told, "engine.disconnected")) == 1, "the end of the stream")
    stage.engine.come_up()
    stage.heard.wait_for(lambda: len(events(told, "engine.connected")) == 2, "the stream")
    stage.heard.wait_for(lambda: bool(stage.containers("a")), "the container")
    stage.cancel(run)
    stage.wait(run)
    names = [entry["event"] for entry in events(told, "engine.")]
    assert names == ["engine.connected", "engine.disconnected", "engine.connected"]
