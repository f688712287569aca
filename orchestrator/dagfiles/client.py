"""The scheduler's side of the authoring server: DAG files to what they say, templates to what they become.
Nothing imported here loads Jinja, and no user code runs in this process.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.clock import Clock
from orchestrator.dagfiles.checks.book import finding
from orchestrator.dagfiles.ends import End, refusal
from orchestrator.dagfiles.process import ServerProcess
from orchestrator.dagfiles.servers import starter
from orchestrator.dagfiles.wire import (
    Ask,
    Checked,
    CheckTask,
    Done,
    Limits,
    Parsed,
    ParseTask,
    Refused,
    RenderTask,
    Told,
)
from orchestrator.errors import AuthoringServerError
from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import RenderFacts
from orchestrator.settings import Project
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ParsedFile, Problem
from orchestrator.spec.secrets import SecretKind, Shown

_MIB = 1024 * 1024


def _none_mapped(_run: RunKey, _task_id: str, _place: int | None) -> tuple[bytes, ...]:
    return ()


def _nothing_stored(kind: SecretKind, stored_id: str) -> Shown:
    return Shown(missing=f"the {kind} {stored_id!r} is nowhere")


class AuthoringServer:
    """`Parser`, `Renderer` and `Checker` over one server process, which is started at the first request and
    started again whenever it died. Any thread, several requests at once. `review` finds what is wrong with a DAG
    at this site, though its file is sound."""

    def __init__(
        self, project: Project, clock: Clock, review: Callable[[DagSpec], Iterable[Problem]] = lambda _: ()
    ) -> None:
        self._project = project
        self._review = review
        self._process = ServerProcess(starter(project.root, project.nursery), clock)
        settings = project.settings.dags
        self._parse_limits = Limits(seconds=settings.parse_timeout, memory=settings.parse_memory * _MIB)
        self._render_limits = Limits(seconds=settings.render_timeout, memory=settings.parse_memory * _MIB)

    def parse(self, file: str) -> ParsedFile:
        """Parse one file (relative to `dags/`). Never raises for what the file does.

        `AuthoringServerError` where there can be no server."""
        images = _folders(self._project.images_folder)
        task = ParseTask(
            root=str(self._project.root),
            file=file,
            environment=self._project.parse_environment,
            task_images=tuple(name for name, complete in images.items() if complete),
            bare_images=tuple(name for name, complete in images.items() if not complete),
            ignored=(str(self._project.home),),
            engine_aliases=self._project.settings.engines.aliases,
            limits=self._parse_limits,
        )
        said = self._process.ask(task, _no_answer)
        if isinstance(said, Parsed):
            return self._reviewed(said.parsed)
        if said is None or isinstance(said, End):
            return ParsedFile(file=file, problems=(self._parse_problem(file, said),))
        raise _wrong(said)

    def render(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown] = _nothing_stored,
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]] = _none_mapped,
    ) -> ContainerTemplate | Reason:
        """The rendered template, or why it cannot be. What the callables raise passes through.

        `AuthoringServerError` where there can be no server."""
        said = self._rendered(facts, result, stored, instances)
        return said.container if isinstance(said, Done) else said

    def render_control(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown] = _nothing_stored,
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]] = _none_mapped,
    ) -> Control | Reason:
        """The same for a task without a container."""
        said = self._rendered(facts, result, stored, instances)
        if isinstance(said, Reason):
            return said
        if said.control is None:
            raise _wrong(said)
        return said.control

    def _rendered(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown],
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]],
    ) -> Done | Reason:
        task = RenderTask(facts=facts, limits=self._render_limits)

        def answer(question: Ask) -> Told:
            if question.stored is not None:
                return Told(data=msgspec.json.encode(stored(question.stored.kind, question.stored.id)))
            if (wanted := question.instances) is not None:
                return Told(all=instances(wanted.run, wanted.task_id, wanted.place))
            return Told(data=None if question.key is None else result(question.key))

        said = self._process.ask(task, answer)
        if isinstance(said, Done):
            return said
        if isinstance(said, Refused):
            return said.reason
        if isinstance(said, End):
            return self._render_reason(facts, said)
        raise _wrong(said)

    def misfit(self, schema: dict[str, Any], data: bytes) -> str | None:
        """What of a result does not fit a JSON schema; None where all does.

        `AuthoringServerError` where there can be no server."""
        said = self._process.ask(CheckTask(schema=schema, data=data, limits=self._render_limits), _no_answer)
        if isinstance(said, Checked):
            return said.misfit
        if isinstance(said, End):
            return said.words("looking at it", self._render_limits)
        raise _wrong(said)

    def warm(self) -> None:
        """Have the server ready before the first request. `AuthoringServerError` where there can be none."""
        self._process.warm()

    def close(self) -> None:
        """End the server and all it started; idempotent."""
        self._process.close()

    def _reviewed(self, parsed: ParsedFile) -> ParsedFile:
        found = tuple(problem for dag in parsed.dags for problem in self._review(dag))
        return replace(parsed, dags=(), problems=(*parsed.problems, *found)) if found else parsed

    def _parse_problem(self, file: str, end: End | None) -> Problem:
        rule, fix = "parse_ended", "a DAG file only describes: take out what ends processes"
        if end is None:
            return finding(rule, "the authoring server ended under its parse", fix, file=file)
        if end.over_time:
            rule, fix = "parse_timeout", "do this work in a task; the limit is [dags] parse_timeout"
        line = end.line_in(str(self._project.dags_folder / file))
        return finding(rule, end.words("the parse", self._parse_limits), fix, file=file, line=line)

    def _render_reason(self, facts: RenderFacts, end: End) -> Reason:
        fix = "make the template shorter; the limit is [dags] render_timeout" if end.over_time else ""
        return refusal(facts, end.template_field, end.words("rendering", self._render_limits), fix)


def _wrong(said: object) -> AuthoringServerError:
    return AuthoringServerError(
        f"the authoring server {'ended' if said is None else 'answers what nobody asked'}",
        fix="see whether the machine is out of memory",
    )


def _no_answer(question: Ask) -> Told:
    raise AuthoringServerError(f"who renders nothing asks for {question.key or question.stored}")


def _folders(folder: Path) -> dict[str, bool]:
    """By the name of each folder of an image: whether it has a Dockerfile."""
    if not folder.is_dir():
        return {}
    return {each.name: (each / "Dockerfile").is_file() for each in sorted(folder.iterdir()) if each.is_dir()}
