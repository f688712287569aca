"""Secrets as a DAG file asks for them, down to the container that is stored: references, and no value."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from orchestrator import DAG, DockerOperator, Secret
from orchestrator.authoring.serialize import to_spec
from orchestrator.errors import AuthoringError, FinalizeError
from orchestrator.ids import RunKey, TaskKey, VersionId
from orchestrator.planning.rows import Run
from orchestrator.spec.container import ContainerSpec, ImageFacts, InputFile, Mount
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.finalize import Site, finalize
from orchestrator.spec.interval import Interval
from orchestrator.spec.secrets import SecretFile, SecretKind, SecretRef, SecretUse
from orchestrator.states import RunState, RunType

SITE = Site(network="net", project="/p", root_path=lambda name: f"/r/{name}")
ROOT, USER = ImageFacts(id="i"), ImageFacts(id="i", user="1000:50", world_writable_tmp=True)
DB = SecretRef(kind=SecretKind.SECRET, id="db")
VAR = SecretRef(kind=SecretKind.VARIABLE, id="token")


DAY = datetime(2013, 1, 1, tzinfo=UTC)
RUN = Run(
    key=RunKey("d", "r"),
    run_type=RunType.MANUAL,
    state=RunState.RUNNING,
    version=VersionId("v"),
    interval=Interval(start=DAY, end=DAY),
    created_at=DAY,
)


def written(**arguments: Any) -> TaskSpec:
    with DAG("d") as dag:
        DockerOperator(task_id="t", image="i", **arguments)
    return to_spec(dag, "d.py").task("t")


def refusal(**arguments: Any) -> AuthoringError:
    with pytest.raises(AuthoringError) as refused:
        written(**arguments)
    assert refused.value.fix
    return refused.value


def final(facts: ImageFacts = ROOT, /, **fields: Any) -> ContainerSpec:
    task, flow = TaskSpec(task_id="t"), DagSpec(dag_id="d", file="d.py")
    template = ContainerTemplate(**{"image": "i", **fields})
    return finalize(template, dag=flow, task=task, run=RUN, key=TaskKey("d", "r", "t"), image=facts, site=SITE)


def refused_final(**fields: Any) -> FinalizeError:
    with pytest.raises(FinalizeError) as refused:
        final(**fields)
    assert refused.value.fix
    return refused.value


# --- as written ---------------------------------------------------------------------------------------


def test_secrets_and_connections_reach_the_spec() -> None:
    task = written(
        secrets=[Secret("db"), Secret("db", env="DB"), "key"],
        connections=["pg", "pg"],
        private_environment={"TOKEN": "{{ var.value.x }}"},
        docker_conn_id="registry",
    )
    assert task.container is not None
    assert task.container.secrets == (SecretUse(id="db"), SecretUse(id="db", env="DB"), SecretUse(id="key"))
    assert (task.container.connections, task.docker_conn_id) == (("pg",), "registry")
    assert task.container.private_environment == {"TOKEN": "{{ var.value.x }}"}


def test_none_of_them_is_none() -> None:
    empty = written(secrets=None, connections=None, private_environment=None, docker_conn_id=None)
    assert (empty.container, empty.docker_conn_id) == (written().container, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"secrets": "db"}, "expected a list"),
        ({"secrets": ["../db"]}, "is no id"),
        ({"secrets": ["{{ params.x }}"]}, "nobody who triggers a run can choose"),
        ({"secrets": ["db", Secret("db")]}, "'db' stands in it twice"),
        ({"secrets": [Secret("a", env="X"), Secret("b", env="X")]}, "'X' stands in it twice"),
        ({"connections": "pg"}, "expected a list"),
        ({"connections": ["{{ conf.x }}"]}, "is no id"),
        ({"docker_conn_id": "{{ ds }}"}, "is no id"),
        ({"private_environment": ["X"]}, "expected a dict"),
        ({"private_environment": {"X": "hunter2"}}, "is not private: it is stored with the DAG"),
        ({"secrets": [Secret("db", env="ORCHESTRATOR_DAG_ID")]}, "set by the orchestrator"),
        ({"connections": ["pg"], "environment": {"ORCHESTRATOR_CONN_PG_FILE": "x"}}, "set by the orchestrator"),
        ({"secrets": ["db"], "mounts": ["data:/run/secrets"]}, "is where its secrets are"),
        ({"secrets": ["db"], "inputs": {"/run/secrets/db": "x"}}, "is where its secrets are"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(arguments: dict[str, Any], words: str) -> None:
    assert words in refusal(**arguments).message


def test_a_secret_knows_a_variables_name() -> None:
    with pytest.raises(AuthoringError, match="is no variable's name"):
        Secret("db", env="A-B")


# --- as stored ----------------------------------------------------------------------------------------


def test_what_is_most_private_sets_a_variable() -> None:
    spec = final(
        env_file={"A": "file", "B": "file", "C": "file", "D": "file"},
        environment={"B": "plain", "C": "plain", "D": "plain"},
        private_environment={"C": "", "D": ""},
        secrets=(SecretUse(id="db", env="D"),),
        sealed={"private_environment.C": ("a ", VAR), "private_environment.D": (VAR,)},
    )
    assert [spec.environment.get(name) for name in "ABCD"] == ["file", "plain", None, None]
    assert spec.secret_environment == {"C": ("a ", VAR), "D": (DB,)}


def test_an_environment_may_hold_references_too() -> None:
    spec = final(environment={"A.B": "", "C": "c"}, sealed={"environment.A.B": (VAR,)})
    assert spec.secret_environment == {"A.B": (VAR,)}
    assert spec.environment["C"] == "c"


def test_a_private_value_that_renders_without_a_reference_is_refused() -> None:
    assert "is not private" in refused_final(private_environment={"X": "hunter2"}).message


def test_files_belong_to_the_tasks_user() -> None:
    spec = final(USER, secrets=(SecretUse(id="db"),), connections=("my-pg",))
    assert [(file.path, file.owner, file.volume, file.mode) for file in spec.secret_files] == [
        ("/run/secrets/db", "1000:50", "/", 0o400),
        ("/run/secrets/conn_my-pg.json", "1000:50", "/", 0o400),
        ("/run/secrets/conn_my-pg.uri", "1000:50", "/", 0o400),
    ]
    assert spec.environment["ORCHESTRATOR_CONN_MY_PG_FILE"] == "/run/secrets/conn_my-pg.json"
    assert final(USER, secrets=(SecretUse(id="db"),), user="7").secret_files[0].owner == "7"


@pytest.mark.parametrize("facts", [ROOT, USER])
def test_a_read_only_container_has_volumes_for_secrets_and_for_its_result(facts: ImageFacts) -> None:
    spec = final(facts, secrets=(SecretUse(id="db"),), read_only=True)
    assert spec.volumes == ("/run/secrets", "/.orchestrator")
    assert {file.volume for file in spec.secret_files} == {"/run/secrets"}
    assert final(facts, secrets=(SecretUse(id="db", env="X"),), read_only=True).volumes == ("/.orchestrator",)


@pytest.mark.parametrize("fields", [{"tmpfs": {"/run": ""}}, {"mounts": (Mount(source="vol", target="/run"),)}])
def test_what_would_hide_the_secrets_gets_a_volume_over_it(fields: dict[str, Any]) -> None:
    spec = final(secrets=(SecretUse(id="db"),), **fields)
    assert spec.volumes == ("/run/secrets",)
    assert spec.secret_files[0].volume == "/run/secrets"
    assert spec.result_path == "/.orchestrator-result"


def test_an_input_that_holds_a_reference_is_a_secret_file() -> None:
    spec = final(USER, inputs={"/etc//x.ini": "", "/y": "plain"}, sealed={"inputs./etc//x.ini": ("p=", VAR)})
    assert spec.files == (InputFile(path="/y", data=b"plain"),)
    assert spec.secret_files == (SecretFile(path="/etc/x.ini", content=("p=", VAR), owner="1000:50"),)


def test_a_spec_with_references_survives_serialization() -> None:
    spec = final(environment={"A": ""}, secrets=(SecretUse(id="db"),), sealed={"environment.A": ("x", VAR, "y")})
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ContainerSpec) == spec
