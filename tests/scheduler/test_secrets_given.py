"""Secrets of tasks over the fake engine: what a container is given, what is stored, what its log shows, and what is
done where one is not to be had."""

from typing import Any

import msgspec
import pytest
from scheduler_stage import RESULT, Stage, dag, retries, task

from orchestrator.errors import LaunchRefusedError
from orchestrator.planning.rows import Reason
from orchestrator.ports import LogFlag
from orchestrator.scheduler.notices import TaskChanged
from orchestrator.spec.container import InputFile
from orchestrator.spec.dag import ContainerTemplate, TaskSpec
from orchestrator.spec.secrets import SecretKind, SecretRef, SecretUse
from orchestrator.states import ReasonCode, TaskState
from orchestrator.testing.fake_container import FakeContainer
from orchestrator.testing.programs import Output, Program, says

VALUE = "correct horse battery"
TOKEN = SecretRef(kind=SecretKind.VARIABLE, id="token")
USES = {"secrets": (SecretUse(id="db"), SecretUse(id="db", env="DB"))}


def secretive(task_id: str = "a", *, keep_failed: bool = False, policy: Any = None, **fields: Any) -> TaskSpec:
    container = ContainerTemplate(**{"image": "base", **USES, **fields})
    extra = {"retry": policy} if policy else {}
    return task(task_id, container=container, keep_failed=keep_failed, **extra)


def everything_stored(stage: Stage) -> bytes:
    """All of the database, as bytes."""
    with stage.store._reading() as connection:
        plain = connection.connection.driver_connection
        assert plain is not None
        return "\n".join(plain.iterdump()).encode()


def content(container: FakeContainer, path: str) -> bytes:
    return container.files[path].data or b""


def log_of(stage: Stage, attempt: Any) -> bytes:
    return b"".join(each.data for each in stage.logs.records(attempt.key) if LogFlag.SYSTEM not in each.flags)


def reason_of(stage: Stage, one: TaskSpec) -> Reason:
    reason = stage.wait(stage.trigger(dag(one))).tasks[0].reason
    assert reason is not None
    return reason


@pytest.fixture
def stage_with_db(stage: Stage) -> Stage:
    stage.secrets.keep("db", f"{VALUE}\n")
    return stage


def test_a_container_is_given_what_its_row_only_refers_to(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.secrets.keep("pg", "postgres://u:p@h/s", SecretKind.CONNECTION)
    stage.script.programs["a"] = Program(stays=True)
    stage.begin()
    run = stage.trigger(dag(secretive(connections=("pg",), user="1000", environment={"A": "plain"})))
    stage.wait_state(run, "a", TaskState.RUNNING)
    container = stage.container("a")
    assert container.spec.environment["DB"] == VALUE
    assert container.spec.environment["A"] == "plain"
    assert (container.spec.secret_environment, container.spec.secret_files) == ({}, ())
    assert content(container, "/run/secrets/conn_pg.uri") == b"postgres://u:p@h/s"
    assert b'"conn_id":"pg"' in content(container, "/run/secrets/conn_pg.json")
    assert container.files["/run/secrets/db"] == InputFile(
        path="/run/secrets/db", data=f"{VALUE}\n".encode(), mode=0o400, uid=1000
    )
    assert b"horse" not in everything_stored(stage)
    assert b'"id":"db"' in everything_stored(stage)
    stage.engine.finish(container.id)
    stage.wait(run)


def test_a_value_never_reaches_the_log_whatever_pieces_it_comes_in(stage_with_db: Stage) -> None:
    stage = stage_with_db
    pieces = [b"user:", VALUE[:7].encode(), VALUE[7:].encode(), b"@host\n", b"the end is corr"]
    stage.script.programs["a"] = Program(output=tuple(Output(data=each) for each in pieces))
    stage.begin()
    view = stage.wait(stage.trigger(dag(secretive())))
    assert log_of(stage, view.tries[0]) == b"user:***@host\nthe end is corr"
    assert view.results["a"] == "the end is corr"
    assert stage.scheduler._containers._masks._known == {}


@pytest.mark.parametrize("known", [True, False])
def test_a_log_that_is_read_back_after_a_restart_is_masked_as_well(stage_with_db: Stage, *, known: bool) -> None:
    """By reference; where that leads nowhere any more, the log says so."""
    stage = stage_with_db
    stage.script.programs["a"] = Program(stays=True)
    life = stage.begin()
    run = stage.trigger(dag(secretive()))
    stage.wait_state(run, "a", TaskState.RUNNING)
    container = stage.container("a")
    stage.engine.write(container.id, f"first {VALUE}\npart of the second: {VALUE[:5]}".encode())
    life.kill()
    if not known:
        stage.secrets.kept.clear()
    stage.engine.write(container.id, f"{VALUE[5:]}\nthird {VALUE}\n".encode())
    stage.begin()
    stage.heard.wait_for(lambda: bool(log_of(stage, stage.wait_open(run, "a"))), "its log")
    stage.engine.finish(container.id)
    attempt = stage.wait(run).tries[0]
    notes = [each.data.decode() for each in stage.logs.records(attempt.key) if LogFlag.SYSTEM in each.flags]
    if known:
        assert log_of(stage, attempt) == b"first ***\npart of the second: ***\nthird ***\n"
    else:
        assert any("the log may show secret 'db'" in note for note in notes)


def test_a_log_waits_for_a_place_of_secrets_that_is_away(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.script.programs["a"] = Program(stays=True)
    life = stage.begin()
    run = stage.trigger(dag(secretive()))
    stage.wait_state(run, "a", TaskState.RUNNING)
    container = stage.container("a")
    life.kill()
    stage.engine.write(container.id, f"it is {VALUE}\n".encode())
    stage.secrets.away = True
    stage.begin()
    stage.heard.wait_for(lambda: stage.view(run).tries[0].adopted == 1, "the adoption")
    stage.engine.finish(container.id)
    assert log_of(stage, stage.view(run).tries[0]) == b""
    stage.secrets.away = False
    view = stage.wait(run)
    assert log_of(stage, view.tries[0]) == b"it is ***\n"
    assert view.results["a"] == "it is ***"


def test_a_result_that_tells_a_secret_fails_its_try_and_is_stored_nowhere(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.script.programs["a"] = Program(files={RESULT: msgspec.json.encode({"password": VALUE})})
    stage.begin()
    reason = reason_of(stage, secretive())
    assert reason.code is ReasonCode.RESULT_INVALID
    assert "holds the value of a secret" in reason.text
    assert b"horse" not in everything_stored(stage)


def test_a_last_line_that_tells_a_secret_is_masked_in_the_reason(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.script.programs["a"] = says(f"cannot log in with {VALUE}", exit_code=3)
    stage.begin()
    reason = reason_of(stage, secretive())
    assert reason.code is ReasonCode.EXIT_CODE
    assert "horse" not in reason.text
    assert "log in with ***" in reason.text


def test_what_an_engine_says_of_a_secret_is_masked(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.engine.faults.fail("create", LaunchRefusedError(ReasonCode.CREATE_REFUSED, f"no {VALUE} for you"))
    stage.begin()
    assert reason_of(stage, secretive()).text == "no *** for you"


def test_a_secret_that_is_nowhere_fails_its_task_and_says_where_it_was_looked_for(stage: Stage) -> None:
    stage.begin()
    reason = reason_of(stage, secretive())
    assert reason.code is ReasonCode.SECRET_MISSING
    assert reason.text.startswith("the secret 'db' is nowhere; asked: the test's secret db. put it into")
    assert stage.engine.calls.count("create") == 0


def test_one_that_goes_between_preparation_and_launch_fails_its_try(stage_with_db: Stage) -> None:
    stage = stage_with_db
    asked: list[int] = []

    def find(kind: SecretKind, stored_id: str) -> bytes | None:
        asked.append(1)
        return b"there" if len(asked) == 1 else None

    stage.secrets.find = find  # type: ignore[method-assign]
    stage.begin()
    assert reason_of(stage, secretive()).code is ReasonCode.SECRET_MISSING
    assert stage.engine.calls.count("create") == 0


def test_a_place_of_secrets_that_is_away_is_waited_for_without_a_slot(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.secrets.away = True
    stage.begin()
    run = stage.trigger(dag(secretive(policy=retries(0))))

    def told() -> set[ReasonCode]:
        changes = [each.task for each in stage.heard.notices if isinstance(each, TaskChanged)]
        return {each.reason.code for each in changes if each.reason is not None}

    stage.heard.wait_for(lambda: ReasonCode.SECRET_UNAVAILABLE in told(), "the reason")
    assert [each.state for each in stage.store.tasks(run)] == [TaskState.QUEUED]
    stage.secrets.away = False
    stage.check_end(stage.wait(run), {"a": TaskState.SUCCESS})


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({"secrets": (SecretUse(id="db", env="DB"),)}, b"\xff\xfe", "it is no text, which DB must be"),
        ({"secrets": (), "connections": ("db",)}, b"hunter2", "it is neither JSON nor a URI"),
    ],
)
def test_what_cannot_be_used_says_why_and_not_what_it_is(
    stage: Stage, fields: dict[str, Any], value: bytes, words: str
) -> None:
    stage.secrets.kept = dict.fromkeys([(SecretKind.SECRET, "db"), (SecretKind.CONNECTION, "db")], value)
    stage.begin()
    reason = reason_of(stage, secretive(**fields))
    assert reason.code is ReasonCode.SECRET_INVALID
    assert words in reason.text
    assert "hunter2" not in reason.text


def test_templates_see_what_the_places_have_and_no_secret_part(stage: Stage) -> None:
    stage.secrets.keep("region", "eu", SecretKind.VARIABLE)
    stage.secrets.keep("token", "hunter2", SecretKind.VARIABLE)
    unsealing = stage.begin().scheduler._containers.unsealing
    assert unsealing.shown(SecretKind.VARIABLE, "region").text == "eu"
    assert unsealing.shown(SecretKind.VARIABLE, "token").hidden == ((),)
    missing = unsealing.shown(SecretKind.CONNECTION, "pg").missing
    assert missing == "the connection 'pg' is nowhere; asked: the test's connection pg"


def test_the_secrets_of_a_kept_container_are_wiped(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.script.programs["a"] = Program(exit_code=1)
    stage.begin()
    stage.wait(stage.trigger(dag(secretive(keep_failed=True))))
    kept = stage.container("a")
    assert content(kept, "/run/secrets/db") == b""


def test_a_file_of_secrets_is_no_output_whatever_patterns_mean(stage_with_db: Stage) -> None:
    stage = stage_with_db
    stage.script.programs["a"] = Program(files={"/run/x": b"x"})
    stage.begin()
    attempt = stage.wait(stage.trigger(dag(secretive(outputs=("/run/**",))))).tries[0]
    harvest = stage.artifacts.harvest(attempt.key)
    assert harvest is not None
    assert [each.path for each in harvest.artifacts] == ["/run/x"]
    assert harvest.notes == ("/run/secrets/db was not kept: it holds a secret",)


def test_a_login_is_asked_for_by_its_connection_and_handed_to_the_pull(stage: Stage) -> None:
    stage.secrets.keep("registry", "docker://bob:hunter2@registry.example:5000", SecretKind.CONNECTION)
    stage.begin()
    one = msgspec.structs.replace(task("a"), docker_conn_id="registry")
    stage.check_end(stage.wait(stage.trigger(dag(one))), {"a": TaskState.SUCCESS})
    logins = [each for each in stage.images.logins if each is not None]
    assert [(each.registry, each.username, each.password) for each in logins] == [
        ("registry.example:5000", "bob", "hunter2")
    ]
    assert b"hunter2" not in everything_stored(stage)


@pytest.mark.parametrize(
    ("uri", "code"),
    [(None, ReasonCode.SECRET_MISSING), ("docker://registry.example", ReasonCode.SECRET_INVALID)],
)
def test_a_login_that_cannot_be_had_fails_who_needs_it(stage: Stage, uri: str | None, code: ReasonCode) -> None:
    if uri:
        stage.secrets.keep("registry", uri, SecretKind.CONNECTION)
    stage.begin()
    one = msgspec.structs.replace(task("a"), docker_conn_id="registry")
    assert reason_of(stage, one).code is code
