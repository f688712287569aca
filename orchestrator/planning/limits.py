"""Which limits a task instance counts against, and how much of each it takes while its try is open."""

from collections.abc import Iterator
from enum import StrEnum

from orchestrator.ids import TaskKey
from orchestrator.spec.container import ContainerSpec, Share
from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.spec.value import Value


class LimitKind(StrEnum):
    """The limits, in the order in which the first binding one is named."""

    PARALLELISM = "parallelism"
    MAX_ACTIVE_TASKS = "max_active_tasks"
    POOL = "pool"
    MAX_ACTIVE_TIS_PER_DAG = "max_active_tis_per_dag"
    MAX_ACTIVE_TIS_PER_DAGRUN = "max_active_tis_per_dagrun"
    CONCURRENCY_KEY = "concurrency_key"
    ENGINE_CPUS = "cpus"
    ENGINE_MEMORY = "mem_limit"


#: What others may go on taking of in small pieces, while who needs a large one waits.
SHARED = frozenset({LimitKind.POOL, LimitKind.ENGINE_CPUS, LimitKind.ENGINE_MEMORY})


class Scope(Value, frozen=True, kw_only=True):
    """What is counted together: all that share an equal scope share the limit."""

    kind: LimitKind
    name: tuple[str, ...] = ()


class Claim(Value, frozen=True, kw_only=True):
    """What one task instance takes of a limit. `cap` is None where the limit is not the DAG's to say."""

    scope: Scope
    need: int = 1
    cap: int | None = None


#: Instances with equal claims are admitted or held back alike, but for their order.
Lane = tuple[Claim, ...]


def claims_of(dag: DagSpec, task: TaskSpec, key: TaskKey, spec: ContainerSpec) -> Lane:
    """Everything an instance of `task` claims while a try of it runs this container."""
    claims = [
        Claim(scope=Scope(kind=LimitKind.PARALLELISM)),
        Claim(scope=Scope(kind=LimitKind.MAX_ACTIVE_TASKS, name=(key.dag_id,)), cap=dag.max_active_tasks),
        Claim(scope=Scope(kind=LimitKind.POOL, name=(task.pool,)), need=task.pool_slots),
    ]
    if task.max_active_tis_per_dag is not None:
        scope = Scope(kind=LimitKind.MAX_ACTIVE_TIS_PER_DAG, name=(key.dag_id, key.task_id))
        claims.append(Claim(scope=scope, cap=task.max_active_tis_per_dag))
    if task.max_active_tis_per_dagrun is not None:
        scope = Scope(kind=LimitKind.MAX_ACTIVE_TIS_PER_DAGRUN, name=(key.dag_id, key.run_id, key.task_id))
        claims.append(Claim(scope=scope, cap=task.max_active_tis_per_dagrun))
    return (*claims, *_of_share(spec.share))


def _of_share(share: Share) -> Iterator[Claim]:
    """Of the engine, cores are counted in thousandths and memory in bytes."""
    if share.key is not None:
        yield Claim(scope=Scope(kind=LimitKind.CONCURRENCY_KEY, name=(share.key,)), cap=1)
    if share.cpus:
        yield Claim(scope=Scope(kind=LimitKind.ENGINE_CPUS), need=round(share.cpus * 1000))
    if share.memory:
        yield Claim(scope=Scope(kind=LimitKind.ENGINE_MEMORY), need=share.memory)
