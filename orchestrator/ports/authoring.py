"""What services may expect of the processes in which DAG files are parsed, templates rendered and results looked
at, and of the folder of DAG files."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import AssetEvent, Reason, Run
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, DagSpec, ParsedFile, TaskSpec
from orchestrator.spec.mapping import MapSpec
from orchestrator.spec.secrets import SecretKind, Shown
from orchestrator.spec.value import Value


class RenderFacts(Value, frozen=True, kw_only=True):
    """Everything a template may know, as plain data; results are asked for by key while rendering."""

    run: Run
    task: TaskKey
    spec: TaskSpec
    dag: DagSpec  #: without its tasks and groups
    try_number: int  #: for templates: 1 + failures that spent `retries`
    next_start: datetime | None = None  #: of the interval after this one, by the timetable
    previous_start: datetime | None = None
    previous_success: Run | None = None
    test_mode: bool = False
    pins: dict[str, str] = {}  #: image name as written -> pinned reference
    asset_events: tuple[AssetEvent, ...] = ()  #: that the run consumed, the oldest first
    map: MapSpec | None = None  #: what the task, or the group around it, is expanded over
    mapped: dict[str, str] = {}  #: by the ids of tasks that are mapped: what is expanded as one
    counts: dict[str, int] = {}  #: how many results there are of mapped tasks that this one is mapped over


class Renderer(Protocol):
    """Renders templates in a process of its own, under time and memory limits."""

    def render(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown],
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]],
    ) -> ContainerTemplate | Reason:
        """The rendered template, or why it cannot be (`render_error`, naming field, name, file and line).
        Blocks; `result` is called back, in this thread, for each upstream result a template asks for, `instances`
        for those of a mapped task (as `Store.results`), `stored` for what may be seen of each variable and
        connection."""

    def render_control(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown],
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]],
    ) -> Control | Reason:
        """The same for a task without a container: what it is to do."""


class Checker(Protocol):
    """Looks at results in a process of its own, under time and memory limits."""

    def misfit(self, schema: dict[str, Any], data: bytes) -> str | None:
        """What of a result, as JSON, does not fit a JSON schema; None where all does. Blocks."""


class Parser(Protocol):
    """Parses DAG files in processes of their own, under time and memory limits."""

    def parse(self, file: str) -> ParsedFile:
        """Parse one file (relative to `dags/`). Never raises for what the file does."""


class Batch(Value, frozen=True, kw_only=True):
    """DAG files, relative to `dags/`, that are new or changed (or depend on what changed), or gone."""

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Folder(Protocol):
    """Watches `dags/`."""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """What is to be parsed, as it happens; the first batch is everything, also where there is nothing.
        Blocks in between; ends when `stop` is set."""

    def parsed(self, parsed: ParsedFile) -> None:
        """Learn from a file's newest parse what it depends on; any thread."""
