"""Outputs of tries: kept before their containers go, whatever happens meanwhile, and handed to later tasks."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from scheduler_stage import Stage, dag, staged, task

from orchestrator.errors import ArtifactsUnavailableError, EngineError, EngineTimeoutError, EngineUnavailableError
from orchestrator.ids import TryKey
from orchestrator.planning.rows import Try
from orchestrator.ports import RenderFacts
from orchestrator.queries import RunView
from orchestrator.settings import Settings, TasksSettings
from orchestrator.spec.artifacts import ArtifactId, Harvest, LostFile, OutputRef
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.lives import Life
from orchestrator.testing.programs import Program

SUCCESS, FAILED = TaskState.SUCCESS, TaskState.FAILED
FILES = {"/out/a.csv": b"a", "/out/deep/b.csv": b"bb", "/out/c.txt": b"ccc"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage


def keeping(task_id: str, *patterns: str, **fields: object) -> TaskSpec:
    return task(task_id, container=ContainerTemplate(image="base", outputs=patterns), **fields)


def harvest(stage: Stage, attempt: Try) -> Harvest:
    found = stage.artifacts.harvest(attempt.key)
    assert found is not None
    assert found.try_id == attempt.try_id
    return found


def contents(stage: Stage, key: TryKey) -> dict[str, bytes]:
    found = stage.artifacts.harvest(key)
    kept: dict[str, bytes] = {}
    for artifact in found.artifacts if found else ():
        with stage.artifacts.open(ArtifactId(attempt=key, path=artifact.path)) as file:
            kept[artifact.path] = file.read()
    return kept


def ran(stage: Stage, *tasks: TaskSpec, life: Life | None = None) -> RunView:
    stage.begin(life)
    view = stage.wait(stage.trigger(dag(*tasks)))
    stage.check_end(view)
    return view


@pytest.mark.parametrize("exit_code", [0, 3])
def test_what_patterns_mean_is_kept_of_failed_tries_too(stage: Stage, exit_code: int) -> None:
    stage.script.programs = {"a": Program(files=FILES, exit_code=exit_code)}
    view = ran(stage, keeping("a", "/out/**/*.csv", "/none"))
    (attempt,) = view.tries
    assert contents(stage, attempt.key) == {"/out/a.csv": b"a", "/out/deep/b.csv": b"bb"}
    assert harvest(stage, attempt).notes == ("nothing was found at /none",)


def test_who_keeps_nothing_and_succeeds_costs_no_call(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=FILES)}
    (attempt,) = ran(stage, task("a")).tries
    assert stage.artifacts.harvest(attempt.key) is None
    assert {call.verb for call in stage.engine.calls.all}.isdisjoint({"copy_out", "changed_paths", "file_size"})


def test_limits_hold_and_say_what_was_left_out(stage: Stage) -> None:
    limits = TasksSettings(default_image="base", output_limit=4, output_files=2)
    stage.settings = msgspec.structs.replace(stage.settings, tasks=limits)
    stage.script.programs = {
        "size": Program(files={"/out/1": b"123", "/out/2": b"45", "/out/3": b"6"}),
        "count": Program(files={f"/out/{n}": b"" for n in range(30)}),
        "search": Program(files={"/out/big": b"x" * 17, "/out/wanted": b"1"}),
    }
    view = ran(stage, keeping("size", "/out"), keeping("count", "/out"), keeping("search", "/out/w*"))
    size, count, search = (harvest(stage, attempt) for attempt in view.tries)
    assert [artifact.path for artifact in size.artifacts] == ["/out/1", "/out/3"]
    (too_large,) = size.notes
    assert too_large.startswith(
        "/out/2 was not kept: with its 2 B it would be more than the 4 B of setting tasks.out"
    )
    assert len(count.artifacts) == 2
    assert len(count.notes) == 21
    assert count.notes[0].endswith("was not kept: 2 files were (setting tasks.output_files)")
    assert count.notes[-1] == "8 more files were not kept"
    assert search.artifacts == ()
    assert "/out was not looked through" in search.notes[-1]


def test_the_next_task_gets_files_and_folders_as_inputs(stage: Stage) -> None:
    def rendering(facts: RenderFacts) -> ContainerTemplate:
        inputs = {
            "/in/one.csv": OutputRef(task_id="a", path="/out/deep/b.csv"),
            "/all": OutputRef(task_id="a", path="/out"),
            "/text": "t",
        }
        return ContainerTemplate(image="base", inputs=inputs)

    stage.authoring.rendering = rendering
    stage.script.programs = {"a": Program(files=FILES), "b": Program(stays=True)}
    stage.begin()
    consumer = task("b", "a", container=ContainerTemplate(image="base", inputs={"/text": "{{ x }}"}))
    run = stage.trigger(dag(keeping("a", "/out"), consumer))
    stage.wait_state(run, "b", TaskState.RUNNING)
    found = {path: file.data for path, file in stage.container("b").files.items()}
    assert found == {
        "/in/one.csv": b"bb",
        "/all/a.csv": b"a",
        "/all/deep/b.csv": b"bb",
        "/all/c.txt": b"ccc",
        "/text": b"t",
    }
    stage.engine.finish(stage.container("b").id)
    stage.check_end(stage.wait(run))


def wanting(stage: Stage, wanted: OutputRef) -> TaskSpec:
    """A task that gets one output as an input."""
    stage.authoring.rendering = lambda _: ContainerTemplate(image="base", inputs={"/in": wanted})
    return task("b", "a", container=ContainerTemplate(image="base", inputs={"/in": "{{ x }}"}))


def test_it_waits_until_they_are_kept_while_others_go_on(stage: Stage) -> None:
    pause = stage.engine.faults.pause("copy_out")
    stage.script.programs = {"a": Program(files=FILES)}
    consumer = wanting(stage, OutputRef(task_id="a", path="/out/a.csv"))
    stage.begin()
    run = stage.trigger(dag(keeping("a", "/out"), consumer, task("c", "a")))
    stage.wait_state(run, "c", SUCCESS)
    (waiting,) = [each for each in stage.store.tasks(run) if each.key.task_id == "b"]
    stage.heard.wait_for(
        lambda: any(each.reason and "copied" in each.reason.text for each in stage.store.tasks(run)), "the reason"
    )
    assert waiting.state is TaskState.QUEUED
    pause.proceed.set()
    stage.check_end(stage.wait(run), {"a": SUCCESS, "b": SUCCESS, "c": SUCCESS})


@pytest.mark.parametrize(
    ("wanted", "patterns", "words"),
    [
        (OutputRef(task_id="a", path="/out/x"), ("/out",), "'a' kept nothing at /out/x; it kept /out/a.csv"),
        (OutputRef(task_id="a", path="/out/a.csv"), (), "'a' keeps no files"),
        (OutputRef(task_id="zz", path="/out/a.csv"), ("/out",), "'zz' has not run in this run"),
    ],
)
def test_a_reference_that_means_nothing_fails_the_task_and_says_what_there_is(
    stage: Stage, wanted: OutputRef, patterns: tuple[str, ...], words: str
) -> None:
    stage.script.programs = {"a": Program(files=FILES)}
    view = ran(stage, keeping("a", *patterns), wanting(stage, wanted))
    (reason,) = [each.reason for each in view.tasks if each.key.task_id == "b"]
    assert reason is not None
    assert reason.code is ReasonCode.RENDER_ERROR
    assert reason.text.startswith(f"inputs['/in']: {words}")


@pytest.mark.parametrize("verb", ["copy_out", "remove"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_after_the_end_the_next_life_keeps_them(stage: Stage, verb: str, moment: str) -> None:
    stage.script.programs = {"a": Program(files=FILES)}
    life = Life()
    pause = life.at(verb, after_effect=moment == "after")
    first = stage.begin(life)
    run = stage.trigger(dag(keeping("a", "/out"), wanting(stage, OutputRef(task_id="a", path="/out"))))
    assert pause.reached.wait(20)
    first.kill()
    stage.begin()
    view = stage.wait(run)
    stage.check_end(view, {"a": SUCCESS, "b": SUCCESS})
    assert contents(stage, view.tries[0].key) == FILES


def test_an_engine_that_goes_away_while_they_are_copied_costs_nothing(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=FILES)}
    stage.engine.faults.fail("copy_out", EngineUnavailableError("away"), times=2)
    stage.engine.faults.fail("copy_out", EngineTimeoutError("broke off"), after_effect=True)
    (attempt,) = ran(stage, keeping("a", "/out")).tries
    assert contents(stage, attempt.key) == FILES
    assert harvest(stage, attempt).notes == ()


def test_what_cannot_be_read_at_all_is_told_and_holds_nothing_up(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=FILES), "b": Program(files=FILES)}
    stage.engine.faults.fail("copy_out", EngineError("the engine answered 500: no such driver"))
    (attempt,) = ran(stage, keeping("a", "/out")).tries
    assert harvest(stage, attempt).notes == (
        "nothing was found at /out",
        "/out could not be read: the engine answered 500: no such driver",
    )


def test_a_full_disk_is_waited_for(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=FILES)}
    store = stage.artifacts

    class Full:
        """A store whose first drafts fail."""

        failing = 2

        def __getattr__(self, name: str) -> object:
            if name == "draft" and self.failing:
                Full.failing -= 1
                raise ArtifactsUnavailableError("no space left on device")
            return getattr(store, name)

    stage.artifacts = Full()  # type: ignore[assignment]  # it hands on what it has not itself
    (attempt,) = ran(stage, keeping("a", "/out")).tries
    assert contents(stage, attempt.key) == FILES
    assert Full.failing == 0


def test_of_a_failed_try_it_is_noted_what_nothing_keeps(stage: Stage) -> None:
    files = {
        **FILES,
        "/data/kept": b"1",
        "/tmp/scratch": b"1",
        "/app/__pycache__/x.pyc": b"1",
        "/work/r.json": b"12",
    }
    container = ContainerTemplate(
        image="base",
        outputs=("/out/*.csv",),
        inputs={"/work/input": "x"},
        mounts=(Mount(type=MountType.VOLUME, source="data", target="/data"),),
    )
    stage.script.programs = {"a": Program(files=files, exit_code=1)}
    (attempt,) = ran(stage, task("a", container=container)).tries
    found = harvest(stage, attempt)
    assert found.lost == (
        LostFile(path="/out/c.txt", size=3),
        LostFile(path="/out/deep/b.csv", size=2),
        LostFile(path="/work/r.json", size=2),
    )
    assert found.sentences == (
        "wrote /out/c.txt, 3 B; no mount covers it",
        "wrote /out/deep/b.csv, 2 B; no mount covers it",
        "wrote /work/r.json, 2 B; no mount covers it",
    )


def test_of_many_lost_files_the_first_are_told_and_the_others_counted(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files={f"/out/{n:04}": b"" for n in range(500)}, exit_code=1)}
    (attempt,) = ran(stage, task("a")).tries
    found = harvest(stage, attempt)
    assert [file.path for file in found.lost] == [f"/out/{n:04}" for n in range(10)]
    assert found.more_lost == 490
    assert found.sentences[-1] == "wrote 490 more files that no mount covers"
    assert stage.engine.calls.count("file_size") == 10


def test_a_notice_that_cannot_be_had_holds_nothing_up(stage: Stage) -> None:
    stage.script.programs = {"a": Program(files=FILES, exit_code=1)}
    stage.engine.faults.fail("changed_paths", EngineError("it changed more files than can be looked through"))
    (attempt,) = ran(stage, task("a")).tries
    assert stage.artifacts.harvest(attempt.key) is None


def test_settings_say_how_much_is_kept() -> None:
    assert (Settings().tasks.output_limit, Settings().tasks.output_files) == (268435456, 1000)
