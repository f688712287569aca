"""What stands in for the processes that parse DAG files and render templates, and for the `dags/` folder."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.rows import Reason
from orchestrator.ports import Batch, RenderFacts
from orchestrator.spec.control import Control
from orchestrator.spec.dag import ContainerTemplate, ParsedFile
from orchestrator.spec.secrets import SecretKind, Shown
from orchestrator.testing.faults import FaultPlan

_NO_TEMPLATE = ContainerTemplate()


class FakeAuthoring:
    """A `Parser`, a `Renderer` and a `Checker`: files say what `files` says, templates become what `rendering`
    makes of them, results fit a schema or do not as `checking` says. Calls go through `faults` by the names
    `parse`, `render` and `misfit`."""

    def __init__(
        self,
        files: dict[str, ParsedFile] | None = None,
        rendering: Callable[[RenderFacts], ContainerTemplate | Reason] = lambda facts: (
            facts.spec.container or _NO_TEMPLATE
        ),
        checking: Callable[[dict[str, Any], bytes], str | None] = lambda _, __: None,
    ) -> None:
        self.checking = checking
        self.files = {} if files is None else files
        self.rendering = rendering
        self.faults = FaultPlan()

    def parse(self, file: str) -> ParsedFile:
        return self.faults.around("parse", lambda: self.files.get(file, ParsedFile(file=file)))

    def render(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown],
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]],
    ) -> ContainerTemplate | Reason:
        del result, stored, instances
        return self.faults.around("render", lambda: self.rendering(facts))

    def render_control(
        self,
        facts: RenderFacts,
        result: Callable[[TaskKey], bytes | None],
        stored: Callable[[SecretKind, str], Shown],
        instances: Callable[[RunKey, str, int | None], tuple[bytes, ...]],
    ) -> Control | Reason:
        """What is written, as it is."""
        del result, stored, instances
        control = facts.spec.control
        if control is None:
            raise ValueError(f"{facts.task} has a container")
        return self.faults.around("render", lambda: control)

    def misfit(self, schema: dict[str, Any], data: bytes) -> str | None:
        return self.faults.around("misfit", lambda: self.checking(schema, data))


class FakeFolder:
    """A `Folder` that reports what a test hands to `report`."""

    def __init__(self) -> None:
        self.learnt: queue.SimpleQueue[ParsedFile] = queue.SimpleQueue()
        self._batches: queue.SimpleQueue[Batch | Exception] = queue.SimpleQueue()

    def report(self, batch: Batch | Exception) -> None:
        """What `batches` gives next, or raises."""
        self._batches.put(batch)

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        while not stop.is_set():
            try:
                batch = self._batches.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def parsed(self, parsed: ParsedFile) -> None:
        self.learnt.put(parsed)
