"""What Airflow takes and nothing here needs, or nothing here does yet: taken with one warning that says why,
refused with what to do meanwhile, or passed over where it asks for nothing."""

from typing import Any

import pytest

from orchestrator import DAG, DockerOperator, EmptyOperator, TaskGroup
from orchestrator.authoring.without_effect import ENGINE_NAMES, IDLE_DAG, IDLE_DOCKER, NEVER, engine_called
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import ContainerTemplate, TaskSpec

#: What many of Airflow's DAG files begin with.
USUAL = {
    "owner": "ann",
    "depends_on_past": False,
    "email": ["ann@example.org"],
    "email_on_failure": True,
    "email_on_retry": False,
    "on_failure_callback": None,
    "sla": None,
    "retries": 1,
}


def refusal(**arguments: Any) -> AuthoringError:
    with DAG("d"), pytest.raises(AuthoringError) as refused:
        DockerOperator(**{"task_id": "t", **arguments})
    return refused.value


@pytest.mark.parametrize(
    "name",
    [
        "on_failure_callback",
        "on_deadline_miss",
    ],
)
def test_what_cannot_be_had_yet_is_refused_and_says_what_to_do(name: str) -> None:
    refused = refusal(**{name: "x"})
    assert refused.rule == "unknown_argument"
    assert refused.message == f"DockerOperator 't' takes no argument {name!r} yet"
    assert refused.fix.startswith("leave it out: ")


@pytest.mark.parametrize("name", sorted(NEVER))
def test_what_is_not_to_be_had_says_what_serves_instead(name: str) -> None:
    refused = refusal(**{name: "x"})
    assert refused.message == f"DockerOperator 't' takes no argument {name!r}"
    assert refused.fix == f"leave it out: {NEVER[name]}"
    with pytest.raises(AuthoringError, match=f"DAG 'd' takes no argument {name!r}\n"):
        DAG("d", **{name: "x"})  # type: ignore[arg-type]  # names that the signature does not have


def test_the_older_name_of_fail_fast_is_known() -> None:
    assert DAG("d", fail_stop=True).spec.fail_fast


@pytest.mark.parametrize("name", ["on_success_callback", "on_deadline_miss"])
def test_what_a_dag_cannot_have_yet_is_refused_too(name: str) -> None:
    with pytest.raises(AuthoringError, match=f"DAG 'd' takes no argument {name!r} yet"):
        DAG("d", **{name: 3})  # type: ignore[arg-type]  # names that the signature does not have


@pytest.mark.parametrize("name", ["on_deadline_miss", "on_failure_callback"])
@pytest.mark.parametrize("empty", [False, None, []])
def test_an_empty_wish_is_none(name: str, empty: Any) -> None:
    with DAG("d") as made:
        spec = DockerOperator(**{"task_id": "t", name: empty}).spec  # type: ignore[misc]  # see above
    assert spec == TaskSpec(task_id="t", container=ContainerTemplate(), line=spec.line)
    assert made.graph.notes == []


@pytest.mark.parametrize("name", sorted(IDLE_DOCKER.keys() - ENGINE_NAMES))
def test_what_needs_nothing_said_is_taken_with_a_warning_that_says_why(name: str) -> None:
    with DAG("d") as made:
        task = DockerOperator(**{"task_id": "t", name: "x"})  # type: ignore[misc]  # names from the table
    (note,) = made.graph.notes
    assert (note.rule, note.task_id, note.line) == ("no_effect", "t", task.spec.line)
    assert note.text == f"DockerOperator 't': {name} has no effect: {IDLE_DOCKER[name]}"
    assert task.spec.container == ContainerTemplate()


def test_to_keep_a_container_is_asked_for_by_an_empty_value_too() -> None:
    with DAG("d") as made:
        DockerOperator(task_id="t", auto_remove=False, tls_verify=False)
    assert ["auto_remove has no effect" in note.text for note in made.graph.notes] == [True]


def test_one_reason_is_one_warning() -> None:
    with DAG("d") as made:
        DockerOperator(task_id="t", tls_ca_cert="ca.pem", tls_client_key="key.pem", tls_verify=True, timeout=60)
    assert sorted(note.text.partition(" no effect: ")[0] for note in made.graph.notes) == [
        "DockerOperator 't': timeout has",
        "DockerOperator 't': tls_ca_cert and tls_client_key and tls_verify have",
    ]


def test_the_usual_defaults_of_airflow_are_taken_with_one_warning() -> None:
    with DAG("d", default_args=USUAL) as made, TaskGroup("g"):
        spec = DockerOperator(task_id="a").spec
        EmptyOperator(task_id="b")
    assert (spec.owner, spec.retry.retries) == ("ann", 1)
    (note,) = made.graph.notes
    assert note.text == (
        "DAG 'd': default_args: email and email_on_failure have no effect: nobody is told by mail yet"
    )


@pytest.mark.parametrize("name", sorted(ENGINE_NAMES))
@pytest.mark.parametrize("engine", [None, "default", "unix:///var/run/docker.sock", ["/run/docker.sock"]])
def test_a_local_socket_means_the_default_engine(name: str, engine: Any) -> None:
    with DAG("d", default_args={name: engine}) as made:
        DockerOperator(**{"task_id": "t", name: engine})  # type: ignore[misc]  # names from the table
    assert made.graph.notes == []


@pytest.mark.parametrize("engine", ["tcp://x:1", "gpu-cluster", ["unix:///x", "ssh://x"], 3])
@pytest.mark.parametrize("name", sorted(ENGINE_NAMES))
def test_another_engine_is_refused(name: str, engine: Any) -> None:
    named = engine[-1] if isinstance(engine, list) else engine
    refused = refusal(**{name: engine})
    assert refused.message == f"DockerOperator 't': {name} names another engine, {named!r}"
    assert "engine.address" in refused.fix
    with pytest.raises(AuthoringError, match=f"default_args: {name} names another engine"):
        DAG("d", default_args={name: engine})


def test_names_that_the_site_knows_for_the_engine_mean_it() -> None:
    with engine_called(("tcp://proxy:2375", "gpu")), DAG("d", engine="gpu") as made:
        DockerOperator(task_id="t", docker_url=["tcp://proxy:2375"])
        with pytest.raises(AuthoringError, match="engine names another engine, 'cpu'"):
            DockerOperator(task_id="u", engine="cpu")
    assert made.graph.notes == []
    assert "engines.aliases" in refusal(engine="gpu").fix


def test_a_dag_names_its_engine_as_its_tasks_do() -> None:
    DAG("d", engine="default")
    with pytest.raises(AuthoringError, match="DAG 'e': engine names another engine, 'gpu'"):
        DAG("e", engine="gpu")


def test_what_a_dag_says_without_effect_is_warned_of() -> None:
    for name in IDLE_DAG.keys() - ENGINE_NAMES:
        (note,) = DAG("d", **{name: "x"}).graph.notes  # type: ignore[arg-type]  # names from the table
        assert note.text == f"DAG 'd': {name} has no effect: {IDLE_DAG[name]}"


def test_an_empty_operator_has_no_engine() -> None:
    with DAG("d"), pytest.raises(AuthoringError, match="takes no argument 'docker_url'"):
        EmptyOperator(task_id="t", docker_url="unix:///x")  # type: ignore[call-arg]  # what a user might try
