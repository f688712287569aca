"""What parses of DAG files make of the deployment's DAGs. A bad parse keeps the last good versions; of two files
that claim one DAG id the one that had it first keeps it, until it lets go.
"""

from collections.abc import Iterable

import msgspec

from orchestrator.errors import TimetableError
from orchestrator.planning import assets
from orchestrator.planning.blueprint import blueprint_of
from orchestrator.planning.changes import PutDag, PutFile, PutVersion
from orchestrator.planning.draft import Draft
from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.planning.rows import Dag, DagVersion
from orchestrator.spec.dag import DagSpec, ParsedFile, Problem, Severity, version_of
from orchestrator.timetables import take_over

_DUPLICATE = "duplicate_id"
_SCHEDULE = "bad_schedule"
#: Rules that are checked here, anew at every take-over.
_OURS = (_DUPLICATE, _SCHEDULE)


def on_file_parsed(draft: Draft, event: FileParsed) -> None:
    _take_in(draft, event.parsed)


def on_file_gone(draft: Draft, event: FileGone) -> None:
    draft.do(PutFile(parsed=ParsedFile(file=event.file), at=draft.now, gone=True))
    _let_go(draft, event.file, keeping=())


def _take_in(draft: Draft, parsed: ParsedFile) -> None:
    if any(problem.severity is Severity.ERROR for problem in parsed.problems):
        draft.do(PutFile(parsed=parsed, at=draft.now))
        return
    found = [problem for spec in parsed.dags if (problem := _take_over(draft, parsed.file, spec)) is not None]
    told = msgspec.structs.replace(parsed, problems=(*parsed.problems, *found))
    draft.do(PutFile(parsed=told, at=draft.now))
    _let_go(draft, parsed.file, keeping=[spec.dag_id for spec in parsed.dags])


def _take_over(draft: Draft, file: str, spec: DagSpec) -> Problem | None:
    """Make this the DAG's current version, or say why not."""
    held = draft.world.dags.get(spec.dag_id)
    if held is not None and held.active and held.file != file:
        text = f"the DAG id {spec.dag_id!r} is already that of a DAG in {held.file}"
        fix = "give one of them another dag_id, or remove one of the files"
        return _problem(file, spec, _DUPLICATE, text, fix)
    spec = take_over(spec, draft.settings.bare_schedule)
    version = DagVersion(dag_id=spec.dag_id, version=version_of(spec), spec=spec, created_at=draft.now)
    if (spec.dag_id, version.version) not in draft.world.blueprints:
        try:
            blueprint_of(version)
        except TimetableError as error:
            return _problem(file, spec, _SCHEDULE, error.message, error.fix)
    dag = _current(draft, held, file, version)
    if dag != held:
        draft.do(PutVersion(version=version))
        draft.do(PutDag(dag=dag))
        assets.forget_others(draft, spec.dag_id)
        draft.stir(spec.dag_id)
    return None


def _current(draft: Draft, held: Dag | None, file: str, version: DagVersion) -> Dag:
    if held is not None:
        return msgspec.structs.replace(held, version=version.version, file=file, active=True)
    wished = version.spec.paused_on_creation
    paused = draft.settings.paused_on_creation if wished is None else wished
    return Dag(dag_id=version.dag_id, version=version.version, file=file, paused=paused, since=version.created_at)


def _let_go(draft: Draft, file: str, *, keeping: Iterable[str]) -> None:
    """DAGs that the file defines no more become inactive, and a file that wanted their ids takes them over."""
    gone = set(draft.world.dags_of.entries(file)) - set(keeping)
    for dag_id in sorted(gone):
        draft.do(PutDag(dag=msgspec.structs.replace(draft.world.dags[dag_id], active=False)))
    heirs = [
        parsed
        for parsed in draft.world.refused.values()
        if parsed.file != file and any(spec.dag_id in gone for spec in parsed.dags)
    ]
    for heir in sorted(heirs, key=lambda parsed: parsed.file):
        own = tuple(problem for problem in heir.problems if problem.rule not in _OURS)
        _take_in(draft, msgspec.structs.replace(heir, problems=own))


def _problem(file: str, spec: DagSpec, rule: str, text: str, fix: str) -> Problem:
    return Problem(file=file, line=spec.line or None, rule=rule, text=text, fix=fix, dag_id=spec.dag_id)
