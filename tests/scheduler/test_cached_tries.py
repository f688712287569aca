"""Tasks with a cache in a whole scheduler: what is used again, what is not, and what people are told."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from scheduler_stage import RESULT, Stage, dag, staged, task

from orchestrator.ids import TaskKey
from orchestrator.planning.rows import RequestKind
from orchestrator.queries import RunView
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.caching import CachePolicy
from orchestrator.spec.dag import ContainerTemplate, DagSpec
from orchestrator.spec.secrets import SecretUse
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.testing.manual_clock import ManualClock
from orchestrator.testing.programs import Program

KEPT = "/out/a.csv"
TEMPLATE = ContainerTemplate(image="base", command="work", cache=CachePolicy(), outputs=(KEPT,))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.csv").write_text("1\n")
    return tmp_path


@pytest.fixture
def cached(stage: Stage, project: Path) -> Stage:
    """A scheduler, and a task that leaves a result and a file."""
    return begun(stage, project)


def begun(stage: Stage, project: Path) -> Stage:
    stage.site = replace(stage.site, project=str(project))
    stage.script.programs = {"a": Program(files={RESULT: b'{"rows": 3}', KEPT: b"1,2\n"})}
    stage.secrets.keep("db", "a secret value")
    stage.begin()
    return stage


def one(template: ContainerTemplate = TEMPLATE, **policy: object) -> DagSpec:
    return dag(task("a", container=replace(template, cache=CachePolicy(**policy))))


def ran(stage: Stage, spec: DagSpec) -> RunView:
    view = stage.wait(stage.trigger(spec))
    assert view.run.state is RunState.SUCCESS, view.tasks
    return view


def note(view: RunView) -> str:
    """What is told of its only try."""
    (attempt,) = view.tries
    return attempt.note


def test_the_same_again_does_not_run_and_leaves_the_same(cached: Stage) -> None:
    first = ran(cached, one())
    second = ran(cached, one())
    assert cached.creations("a") == 1
    assert second.results == first.results == {"a": {"rows": 3}}
    assert note(first) == "not cached: no earlier try with a cache has succeeded"
    assert note(second) == f"cached: try 1 in run {first.run.key.run_id} came to the same"
    assert second.tasks[0].reason is not None
    assert second.tasks[0].reason.code is ReasonCode.CACHED
    kept = ArtifactId(attempt=second.tries[0].key, path=KEPT)
    with cached.artifacts.open(kept) as file:
        assert file.read() == b"1,2\n"


def test_what_was_used_again_is_there_for_tasks_downstream(cached: Stage) -> None:
    taken = ContainerTemplate(image="base", inputs={"/in.csv": OutputRef(task_id="a", path=KEPT)})
    spec = dag(task("a", container=TEMPLATE), task("b", "a", container=taken))
    ran(cached, spec)
    assert ran(cached, spec).tasks[1].state is TaskState.SUCCESS
    assert (cached.creations("a"), cached.creations("b")) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"image": "other"}, "its image"),
        ({"command": "other"}, "its command"),
        ({"script": "work", "command": None}, "its command"),
        ({"entrypoint": "sh"}, "its command"),
        ({"environment": {"X": "1"}}, "its environment"),
        ({"secrets": (SecretUse(id="db"),)}, "its environment"),
        ({"user": "1000"}, "its user or its working_dir"),
        ({"inputs": {"/in.txt": "text"}}, "the files that it is given"),
        ({"outputs": ("/out/b.csv",)}, "what is kept of it"),
        ({"command": "other", "image": "other"}, "its image and its command"),
    ],
)
def test_what_differs_is_told(cached: Stage, changes: dict[str, object], what: str) -> None:
    first = ran(cached, one())
    second = ran(cached, one(replace(TEMPLATE, **changes)))
    assert note(second) == f"not cached: {what} differs from try 1 in run {first.run.key.run_id}"
    assert cached.creations("a") == 2


def test_files_of_the_project_count_by_their_content(cached: Stage, project: Path) -> None:
    spec = one(inputs=("data/*.csv", "data"))
    ran(cached, spec)
    assert note(ran(cached, spec)).startswith("cached: ")
    (project / "data" / "in.csv").write_text("2\n")
    assert "the project's files that its cache names differs" in note(ran(cached, spec))


@pytest.mark.parametrize("path", ["data/none.csv", "../up.csv", "/etc/passwd", ""])
def test_a_file_that_is_not_in_the_project_fails_the_task(cached: Stage, path: str) -> None:
    view = cached.wait(cached.trigger(one(inputs=(path,))))
    reason = view.tasks[0].reason
    assert reason is not None
    assert reason.code is ReasonCode.RENDER_ERROR
    assert reason.text.startswith("cache: inputs has ")


def test_a_key_of_its_own_has_a_result_of_its_own(cached: Stage) -> None:
    for day, creations in (("1", 1), ("2", 2), ("1", 2)):
        ran(cached, one(key_extra=day))
        assert cached.creations("a") == creations


def test_a_result_that_is_too_old_is_not_used(project: Path) -> None:
    clock = ManualClock()
    with staged(project, clock) as stage:
        begun(stage, project)
        first = ran(stage, one(max_age=timedelta(hours=1)))
        clock.advance(3600)
        assert note(ran(stage, one(max_age=timedelta(hours=1)))).startswith("cached: ")
        clock.advance(1)
        told = note(ran(stage, one(max_age=timedelta(hours=1))))
        assert told == (
            f"not cached: try 1 in run {first.run.key.run_id} came to the same, but is older than max_age=1:00:00"
        )


def test_files_that_are_gone_cannot_be_used_again(cached: Stage) -> None:
    first = ran(cached, one())
    cached.artifacts.remove(first.tries[0].key)
    assert note(ran(cached, one())).endswith("came to the same, but kept files that are gone")
    assert cached.creations("a") == 2


def test_what_was_cleared_runs_again(cached: Stage) -> None:
    first = ran(cached, one())
    selection = {"dag_id": "d", "run_ids": [first.run.key.run_id]}
    cached.ask(RequestKind.CLEAR, selection=selection)
    key = TaskKey("d", first.run.key.run_id, "a")
    cached.heard.wait_for(lambda: len(cached.store.tries(key)) == 2, "another try")
    assert cached.wait(first.run.key).tries[1].note == "not cached: no earlier try with a cache has succeeded"
    assert cached.creations("a") == 2


def test_what_failed_is_no_cache(cached: Stage) -> None:
    cached.script.programs = {"a": [Program(exit_code=1)]}
    cached.wait(cached.trigger(one()))
    cached.script.programs = {"a": Program()}
    assert note(ran(cached, one())) == "not cached: no earlier try with a cache has succeeded"


def test_a_task_without_a_cache_runs_each_time(cached: Stage) -> None:
    spec = dag(task("a", container=replace(TEMPLATE, cache=None)))
    assert [note(ran(cached, spec)) for _ in range(2)] == ["", ""]
    assert cached.creations("a") == 2
