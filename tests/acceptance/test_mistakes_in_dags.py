"""Mistakes in DAG files and task images, each through the command line: it fails, says what happened, to what, and
what to do; under a scheduler it fails its own run, and nothing else is lost or held up."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import docker
import pytest
from cli_project import LONG, CliProject, Said, Started, command
from mistakes import BROKEN, MISTAKES, TWIN, foreign_image, silent_registry, write_mistakes

from orchestrator.app import App
from orchestrator.settings import open_project

pytestmark = pytest.mark.engine

#: `dags test`s at one time.
_PARALLEL = 2
#: All that should run at one time does, whatever limits there are by default.
_SETTINGS = {"ORCHESTRATOR__SCHEDULING__PARALLELISM": "100"}


@pytest.fixture(scope="module")
def project(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliProject]:
    """One project with every mistake, and a DAG that is sound."""
    project = CliProject(tmp_path_factory.mktemp("mistaken"), _SETTINGS)
    with silent_registry() as silent, foreign_image():
        write_mistakes(project, silent, base_image)
        yield project
    assert project.containers() == []


@pytest.fixture(scope="module")
def tested(project: CliProject, request: pytest.FixtureRequest) -> Iterator[Mapping[str, "Future[Said]"]]:
    """What `dags test` says of each that is asked for, in the order in which they are."""
    asked = [item.callspec.params["dag_id"] for item in request.session.items
             if isinstance(item, pytest.Function) and "tested" in item.fixturenames]  # fmt: skip
    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield {dag_id: pool.submit(project.run, "dags", "test", dag_id, limit=LONG) for dag_id in asked}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def scheduler(project: CliProject) -> Iterator[Started]:
    """A scheduler that was asked for a run of each of them at once."""
    project.ok("db", "upgrade")
    with Started(command("scheduler"), project.folder, project.environment) as process:
        process.wait_line("scheduler.running")
        project.wait_dags({*MISTAKES, "sound", "killed"})
        with _app(project).actions() as actions:
            for dag_id in MISTAKES:
                actions.trigger(dag_id)
        yield process


@pytest.fixture(scope="module")
def runs(project: CliProject, scheduler: Started) -> dict[str, dict[str, Any]]:
    """The runs of mistakes, once all have ended, by their DAGs."""
    for dag_id in MISTAKES:
        project.wait_run(dag_id, LONG)
    found = [run for run in project.json("runs", "list", "--limit", "500") if run["dag_id"] in MISTAKES]
    assert len(found) == len(MISTAKES)
    return {run["dag_id"]: run for run in found}


@pytest.mark.parametrize("dag_id", MISTAKES)
def test_a_tested_mistake_fails_with_what_happened_and_the_fix(
    dag_id: str, tested: Mapping[str, "Future[Said]"]
) -> None:
    said = tested[dag_id].result()
    mistake = MISTAKES[dag_id]
    assert said.code == 1
    assert any(f"✗ t failed  {code}: " in said.stderr for code in mistake.codes), said.stderr
    for part in (*mistake.says, mistake.fix):
        assert part in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("dag_id", MISTAKES)
def test_a_scheduled_mistake_fails_its_own_run_with_what_happened(
    dag_id: str, runs: dict[str, dict[str, Any]]
) -> None:
    run, mistake = runs[dag_id], MISTAKES[dag_id]
    assert run["state"] == "failed"
    for part in mistake.says:
        assert part in run["reason"]


@pytest.mark.parametrize("dag_id", ["exits_with_1", "never_starts", "no_such_network", "too_many_cores"])
def test_a_scheduled_mistake_is_explained_with_the_fix(
    dag_id: str, project: CliProject, runs: dict[str, dict[str, Any]]
) -> None:
    told = project.ok("tasks", "explain", dag_id, "t").stdout
    assert MISTAKES[dag_id].codes[0] in told
    assert "next" in told


def test_beside_all_mistakes_another_dag_runs_on(project: CliProject, scheduler: Started) -> None:
    project.ok("dags", "trigger", "sound")
    assert project.run("runs", "watch", "sound").code == 0
    assert project.json("runs", "show", "sound")["results"] == {"first": "two", "second": "two and three"}
    assert project.ok("tasks", "logs", "sound", "first").stdout == "one\ntwo\n"


def test_what_a_mistake_wrote_is_kept(project: CliProject, runs: dict[str, dict[str, Any]]) -> None:
    assert project.ok("tasks", "logs", "exits_with_1", "t").stderr == "the last words\n"
    assert project.ok("tasks", "logs", "never_ends", "t").stdout == "begun\n"


# --- killed by somebody else ------------------------------------------------------------------------------------


def test_a_tested_container_that_others_kill_is_told_from_one_that_failed(project: CliProject) -> None:
    with project.start("dags", "test", "killed") as test:
        test.wait_line("t | begun")
        _kill(project, "killed")
        assert test.end() == 1
    said = "".join(test.lines)
    assert "✗ t failed  stopped_externally: something other than the orchestrator stopped its container" in said
    assert "rerun_lost=True" in said


def test_a_scheduled_container_that_others_kill_fails_its_own_run(project: CliProject, scheduler: Started) -> None:
    project.ok("dags", "trigger", "killed")
    with project.start("tasks", "logs", "killed", "t", "--follow") as log:
        log.wait_line("begun")
    _kill(project, "killed")
    watched = project.run("runs", "watch", "killed")
    assert watched.code == 1
    (task,) = project.json("runs", "show", "killed")["tasks"]
    assert task["reason"].startswith(
        "stopped_externally: something other than the orchestrator stopped its container"
    )
    assert "rerun_lost=True" in task["reason"]


# --- broken files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dag_id", BROKEN)
def test_a_broken_file_is_told_of_with_line_and_fix_and_alone(dag_id: str, project: CliProject) -> None:
    said = project.run("dags", "test", dag_id)
    assert (said.code, said.stdout) == (1, "")
    for part in BROKEN[dag_id][1]:
        assert part in said.stderr
    assert not [other for other in BROKEN if other != dag_id and other in said.stderr]


def test_a_broken_file_is_named_where_its_dag_is_asked_for(project: CliProject, scheduler: Started) -> None:
    said = project.run("dags", "trigger", "unknown_argument")
    assert (said.code, said.stdout) == (1, "")
    assert "no DAG 'unknown_argument'" in said.stderr
    assert "fix: it may be in a file that is broken now (" in said.stderr
    assert "unknown_argument.py" in said.stderr


def test_an_id_in_two_files_is_refused_with_both_names(project: CliProject) -> None:
    said = project.run("dags", "test", TWIN)
    assert (said.code, said.stdout) == (1, "")
    assert f"'{TWIN}' stands in twin_one.py and in twin_two.py" in said.stderr
    assert "fix: give one of them another id" in said.stderr


def test_of_an_id_in_two_files_the_first_runs_and_the_second_is_told_of(
    project: CliProject, scheduler: Started
) -> None:
    listed = project.ok("dags", "list").stderr
    (line,) = (line for line in listed.splitlines() if "twin_" in line)
    assert "twin_two.py:3: error: duplicate_id: " in line
    assert "twin_one.py" in line
    project.ok("dags", "trigger", TWIN)
    assert project.run("runs", "watch", TWIN).code == 0


def test_a_file_that_breaks_later_leaves_its_dag_as_it_was_and_says_so(
    project: CliProject, scheduler: Started
) -> None:
    text = (project.folder / "dags" / "sound.py").read_text()
    project.write("later.py", text.replace('"sound"', '"later"'))
    project.wait_dags({"later"})
    project.write("later.py", text.replace('"sound"', '"later"').replace("script=", "scirpt="))
    project.wait_dags({"later"}, broken={"later.py"})
    shown = project.ok("dags", "show", "later")
    assert "warning: later.py is broken now; later stays as it was before:" in shown.stderr
    triggered = project.ok("dags", "trigger", "later")
    assert "later.py:4: error: unknown_argument" in triggered.stderr
    assert project.run("runs", "watch", "later").code == 0
    (project.folder / "dags" / "later.py").unlink()
    project.wait_dags({"sound"}, gone={"later"})
    unpaused = project.ok("dags", "unpause", "later")
    assert "warning: the DAG 'later' is inactive: its file later.py no longer defines it" in unpaused.stderr
    refused = project.run("dags", "trigger", "later")
    assert (refused.code, "`orchestrator dags check`" in refused.stderr) == (1, True)


def _app(project: CliProject) -> App:
    return App(open_project(project.folder, project.environment))


def _kill(project: CliProject, dag_id: str) -> None:
    """As `docker kill` does it."""
    client = docker.from_env()
    (name,) = [name for name in project.containers() if f"-{dag_id}-" in name]
    client.containers.get(name).kill()
    client.close()
