"""What can only be said of all DAG files together, and of the deployment they are for."""

import difflib
from collections.abc import Iterable, Iterator

from orchestrator.dagfiles.checks.book import finding
from orchestrator.planning.admission import DEFAULT_POOL
from orchestrator.spec.assets import assets_in
from orchestrator.spec.control import External, Trigger
from orchestrator.spec.dag import DagSpec, ParsedFile, Problem, TaskSpec
from orchestrator.spec.mapping import Literal
from orchestrator.spec.marks import has_templates
from orchestrator.spec.value import Value


class Deployment(Value, frozen=True, kw_only=True):
    """What a database knows: pools (None: there is no database), and DAGs whose files are not looked at."""

    pools: frozenset[str] | None = None
    dags: tuple[DagSpec, ...] = ()


def duplicate_problems(files: Iterable[ParsedFile]) -> tuple[Problem, ...]:
    """An error for each DAG whose id an earlier file (by name) has already; the earlier one keeps it."""
    owners: dict[str, str] = {}
    found = []
    for parsed in sorted(files, key=lambda each: each.file):
        for dag in parsed.dags:
            owner = owners.setdefault(dag.dag_id, parsed.file)
            if owner != parsed.file:
                text = f"{owner} has a DAG {dag.dag_id!r} already"
                fix = "give one of them another id"
                found.append(finding("duplicate_id", text, fix, file=parsed.file, line=dag.line, dag_id=dag.dag_id))
    return tuple(found)


def reference_problems(
    files: Iterable[ParsedFile], others: Iterable[ParsedFile] = (), deployment: Deployment | None = None
) -> tuple[Problem, ...]:
    """A warning for each pool, DAG, task or asset that a DAG in `files` names and that is not there: in none of the
    files, nor of the `others`, nor in the deployment. What a broken file would have is not known, so beside one
    only pools are told."""
    looked_at, known = tuple(files), deployment or Deployment()
    parsed = (*looked_at, *others)
    dags = {dag.dag_id: dag for dag in (*known.dags, *(dag for each in parsed for dag in each.dags))}
    updated = frozenset(asset.name for dag in dags.values() for task in dag.tasks for asset in task.outlets)
    found: list[Problem] = []
    for dag in (dag for each in looked_at for dag in each.dags):
        found += _unknown_pools(dag, known.pools)
        if not any(each.errors for each in parsed):
            found += _unknown_dags(dag, dags)
            found += _unknown_assets(dag, updated)
    return tuple(found)


def _unknown_pools(dag: DagSpec, pools: frozenset[str] | None) -> Iterator[Problem]:
    if pools is not None:
        for task in dag.tasks:
            if task.pool not in pools | {DEFAULT_POOL}:
                text = f"there is no pool {task.pool!r}{_nearest(task.pool, pools)}"
                fix = f"name one that is there, or make it: orchestrator pools set {task.pool} SLOTS"
                yield _found("unknown_pool", dag, task, text, fix)


def _unknown_dags(dag: DagSpec, dags: dict[str, DagSpec]) -> Iterator[Problem]:
    for task in dag.tasks:
        if not isinstance(task.control, Trigger | External):
            continue
        does = "triggers" if isinstance(task.control, Trigger) else "waits for"
        for name in _named(task, task.control):
            other = dags.get(name)
            if other is None:
                text = f"it {does} a DAG {name!r}, which is not there{_nearest(name, dags)}"
                yield _found("unknown_dag", dag, task, text, "name a DAG that is there, or add its file")
            elif isinstance(task.control, External):
                yield from _absences(dag, task, task.control, other)


def _named(task: TaskSpec, control: Trigger | External) -> Iterator[str]:
    """The DAGs that a task names, also by the elements that it is mapped over, as far as no template does."""
    if not has_templates(control.dag_id):
        yield control.dag_id
        return
    wanted = "trigger_dag_id" if isinstance(control, Trigger) else "external_dag_id"
    for axis in () if task.map is None else task.map.axes:
        if isinstance(axis.source, Literal) and axis.argument in (wanted, None):
            values = axis.source.values
            found = values if axis.argument else [each[wanted] for each in values if wanted in each]
            yield from dict.fromkeys(each for each in found if not has_templates(each))


def _absences(dag: DagSpec, task: TaskSpec, wanted: External, other: DagSpec) -> Iterator[Problem]:
    for what, name in _absent(wanted, other):
        text = f"it waits for the {what} {name!r}, which the DAG {other.dag_id!r} does not have"
        yield _found("unknown_dag", dag, task, text, f"name a {what} of {other.dag_id}")


def _absent(wanted: External, dag: DagSpec) -> Iterator[tuple[str, str]]:
    tasks, groups = {task.task_id for task in dag.tasks}, {group.group_id for group in dag.groups}
    yield from (("task", each) for each in wanted.task_ids if each not in tasks and not has_templates(each))
    if wanted.group is not None and wanted.group not in groups and not has_templates(wanted.group):
        yield "task group", wanted.group


def _unknown_assets(dag: DagSpec, updated: frozenset[str]) -> Iterator[Problem]:
    if dag.condition is not None:
        for name in dict.fromkeys(asset.name for asset in assets_in(dag.condition)):
            if name not in updated:
                text = f"it waits for the asset {name!r}, which no task updates{_nearest(name, updated)}"
                fix = "name it in the outlets= of the task that does; or others tell: orchestrator assets emit"
                yield _found("unknown_asset", dag, None, text, fix)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _found(rule: str, dag: DagSpec, task: TaskSpec | None, text: str, fix: str) -> Problem:
    line, task_id = (task.line, task.task_id) if task else (dag.line, None)
    return finding(rule, text, fix, file=dag.file, line=line, dag_id=dag.dag_id, task_id=task_id)
