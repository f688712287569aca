"""Done once by the server before it forks: a small DAG of our own goes the whole way of a parse and of a
rendering, so that what libraries build at first use (lexers, decoders, time zones) is there in every child.
"""

import ast
from datetime import UTC, datetime

import msgspec

from orchestrator.authoring import DAG, DockerOperator, collecting, to_spec
from orchestrator.dagfiles.checks.every import check
from orchestrator.dagfiles.checks.source import check_source
from orchestrator.dagfiles.rendering import render_try
from orchestrator.dagfiles.schemas import misfit
from orchestrator.dagfiles.wire import (
    Answer,
    Ask,
    Checked,
    CheckTask,
    Limits,
    Parsed,
    ParseTask,
    RenderTask,
    Task,
    Told,
)
from orchestrator.ids import RunKey, TaskKey, VersionId
from orchestrator.planning.rows import Interval, Run
from orchestrator.ports import RenderFacts
from orchestrator.spec.dag import DagSpec, ParsedFile
from orchestrator.spec.secrets import SecretKind, StoredKey
from orchestrator.states import RunState, RunType

_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_LIMITS = Limits(seconds=1.0, memory=1)


def warm_up() -> None:
    """Touch everything a request touches."""
    dag = _small_dag()
    tuple(check_source(ast.parse("start_date = 1"), dag.file, dag.dag_id))
    tuple(check(dag, frozenset()))
    facts = _facts(dag)
    done = render_try(facts, lambda ask: Told(data=b"{}" if ask.stored is not None else b"1"))
    parse = ParseTask(root="/", file="a.py", environment={}, task_images=(), ignored=(), limits=_LIMITS)
    for message, kind in (
        (parse, Task),
        (RenderTask(facts=facts, limits=_LIMITS), Task),
        (CheckTask(schema={}, data=b"1", limits=_LIMITS), Task),
        (Told(data=b"1"), Told),
        (Ask(key=facts.task, stored=StoredKey(kind=SecretKind.VARIABLE, id="a")), Ask),
        (Parsed(parsed=ParsedFile(file="a.py", dags=(dag,))), Answer),
        (done, Answer),
        (Checked(misfit=misfit({"type": "string", "pattern": "a"}, b"1")), Answer),
    ):
        msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=kind)


def _small_dag() -> DagSpec:
    with collecting() as dags, DAG("warm", schedule="@daily", start_date=_DAY, params={"x": 1}):
        DockerOperator(task_id="a", image="a:1", command="a {{ ds }}", script=None)
        script, environment = "a {{ params.x }} {{ ti.xcom_pull('a') }}", {"A": "{{ var.value.a }}"}
        DockerOperator(task_id="b", image="a:1", script=script, environment=environment)
    return to_spec(dags[0], "warm.py")


def _facts(dag: DagSpec) -> RenderFacts:
    key = RunKey(dag.dag_id, "warm")
    run = Run(
        key=key,
        run_type=RunType.MANUAL,
        state=RunState.RUNNING,
        version=VersionId(""),
        interval=Interval(start=_DAY, end=_DAY),
        created_at=_DAY,
    )
    return RenderFacts(
        run=run,
        task=TaskKey(key.dag_id, key.run_id, "b"),
        spec=dag.task("b"),
        dag=dag,
        try_number=1,
    )
