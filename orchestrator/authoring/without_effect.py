"""What Airflow takes and nothing here needs, or nothing here does yet: accepted with one warning for each reason
why it has no effect, or refused with what to do meanwhile. Nothing is accepted and ignored in silence."""

from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from orchestrator.authoring.faults import Note, Rule, fault, user_line
from orchestrator.authoring.graph import Graph

#: What names the engine; a socket of this machine means the one that the settings name.
ENGINE_NAMES = frozenset({"engine", "docker_url"})
_ONE_ENGINE = "there is one engine yet: the setting engine.address says where it is"
_LOCAL = ("unix:", "npipe:", "/")
_aliases: ContextVar[Collection[str]] = ContextVar("orchestrator_engine_aliases", default=())


@contextmanager
def engine_called(aliases: Collection[str]) -> Iterator[None]:
    """Inside, the engine may also be named like this: the setting `engines.aliases`."""
    token = _aliases.set(aliases)
    try:
        yield
    finally:
        _aliases.reset(token)


#: What Airflow takes and nothing here needs: accepted, with one warning for each reason why it has no effect. First
#: what is so of every operator.
IDLE: Mapping[str, str] = {
    **dict.fromkeys(("queue", "executor", "executor_config"), "the scheduler starts every container itself"),
    "run_as_user": "`user` says who a container runs as",
    "ignore_first_depends_on_past": "a first run has none before it to wait for",
    **dict.fromkeys(("email", "email_on_failure", "email_on_retry"), "nobody is told by mail yet"),
}
IDLE_DOCKER: Mapping[str, str] = {
    **IDLE,
    "auto_remove": "a container is always removed once its log is read",
    "host_tmp_dir": "temporary files are in a volume of the engine",
    **dict.fromkeys(ENGINE_NAMES, _ONE_ENGINE),
    "api_version": "the API version is negotiated",
    "timeout": "the setting engine.timeout says how long the engine has to answer",
    **dict.fromkeys(
        ("tls_ca_cert", "tls_client_cert", "tls_client_key", "tls_verify", "tls_hostname", "tls_ssl_version"),
        "how the engine is reached is said by the setting engine.address, and by DOCKER_HOST",
    ),
}
#: A sensor's `timeout` is its own.
IDLE_SENSOR: Mapping[str, str] = {name: why for name, why in IDLE_DOCKER.items() if name != "timeout"} | {
    "mode": "between two looks a sensor never holds anything, and each look is a container of its own"
}
#: Of what the scheduler does itself, with no container.
_IDLE_SLOTS: Mapping[str, str] = dict.fromkeys(
    (
        "pool",
        "pool_slots",
        "weight_rule",
        "max_active_tis_per_dag",
        "task_concurrency",
        "max_active_tis_per_dagrun",
    ),
    "it takes no slot",
)
IDLE_EMPTY: Mapping[str, str] = {
    **IDLE,
    **_IDLE_SLOTS,
    **dict.fromkeys(
        ("retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay", "retry_jitter"),
        "it has no tries: nothing in it can fail",
    ),
    "execution_timeout": "it takes no time",
    "params": "it has no templates",
    **dict.fromkeys(("do_xcom_push", "multiple_outputs"), "it has no result"),
}
IDLE_WAIT: Mapping[str, str] = {
    **IDLE,
    **_IDLE_SLOTS,
    **dict.fromkeys(
        ("poke_interval", "mode", "deferrable", "exponential_backoff", "max_wait"),
        "it never looks: it is told when what it waits for has come",
    ),
    "multiple_outputs": "the parts of its result can always be taken by their names",
}
IDLE_EXTERNAL: Mapping[str, str] = {
    **IDLE_WAIT,
    "execution_timeout": "`timeout` says how long it waits",
    **dict.fromkeys(("do_xcom_push", "multiple_outputs"), "it has no result"),
}
IDLE_APPROVAL: Mapping[str, str] = {
    **IDLE,
    **_IDLE_SLOTS,
    "execution_timeout": "`timeout` says how long it waits",
    "multiple_outputs": "the parts of its result can always be taken by their names",
}
IDLE_DAG: Mapping[str, str] = {
    "engine": _ONE_ENGINE,
    "sla_miss_callback": "nobody is told of lateness yet",
    "access_control": "there are no users to tell apart yet",
}
#: Of what has no effect, those that ask for something by an empty value, too: not to remove a container.
_ASKING_ALWAYS = frozenset({"auto_remove"})

#: What is refused for now, rather than accepted without effect.
NOT_YET: Mapping[str, str] = {
    "on_deadline_miss": "nobody is told of lateness yet; `orchestrator runs late` lists what is late",
    **dict.fromkeys(
        ("on_failure_callback", "on_success_callback", "on_retry_callback", "on_skipped_callback"),
        "nobody is told how it ends yet; add a task with trigger_rule that tells",
    ),
}


_NO_CODE = "no code of a DAG file runs beside a task: do it in the container, or in a task before or after it"
_IDS = "lists and pages show ids; doc_md and description have room for words"
#: Names of Airflow's that will not be had here, and what serves instead.
NEVER: Mapping[str, str] = {
    **dict.fromkeys(("pre_execute", "post_execute", "on_execute_callback"), _NO_CODE),
    "user_defined_filters": "a function cannot leave the process that reads DAG files; see user_defined_macros",
    **dict.fromkeys(("jinja_environment_kwargs", "template_undefined"), "all templates are read in one way"),
    "timetable": "schedule= takes it",
    "resources": "cpus= and mem_limit= say it",
    **dict.fromkeys(("task_display_name", "dag_display_name"), _IDS),
    **dict.fromkeys(("doc", "doc_json", "doc_yaml", "doc_rst"), "doc_md= takes the text"),
}


def without_idle(
    what: str,
    takes: Container[str],
    idle: Mapping[str, str],
    given: Mapping[str, Any],
    graph: Graph,
    task_id: str | None = None,
) -> dict[str, Any]:
    """What is given but for what changes nothing: names of the one engine there is; empty values of what is not
    to be had yet (not in `takes`); and what has no effect, of which the graph notes a warning for each reason."""
    asked: dict[str, list[str]] = {}
    for name, value in given.items():
        if name in idle and name in ENGINE_NAMES:
            _refuse_other_engine(what, name, value)
        elif name in idle and (value or name in _ASKING_ALWAYS):
            asked.setdefault(idle[name], []).append(name)
    for why, names in asked.items():
        text = f"{what}: {' and '.join(names)} {'have' if len(names) > 1 else 'has'} no effect: {why}"
        graph.notes.append(Note(Rule.NO_EFFECT, text, "leave it out", user_line(), task_id))
    empty = {name for name in NOT_YET if name not in takes and not given.get(name)}
    return {name: value for name, value in given.items() if name not in idle and name not in empty}


def _refuse_other_engine(what: str, name: str, written: object) -> None:
    for each in written if isinstance(written, list | tuple) else (written,):
        ours = each in (None, "default", *_aliases.get()) or (isinstance(each, str) and each.startswith(_LOCAL))
        if not ours:
            raise fault(
                f"{what}: {name} names another engine, {each!r}",
                rule=Rule.BAD_ARGUMENT,
                fix=f"leave it out, or list it in the setting engines.aliases; {_ONE_ENGINE}",
            )
