"""A project whose one task prints without end, numbered, until the test has it end: what shows that no line was
lost or written twice, whatever was away meanwhile."""

from collections.abc import Mapping
from pathlib import Path

from engine_record import CREATED, DIED, STARTED
from output_streams import wait_output
from scheduler_process import SchedulerProcess
from stage import Stage

from orchestrator.engines.docker.address import Address
from orchestrator.ids import ContainerId
from orchestrator.ports import Stream
from orchestrator.states import RunState


class Endless(Stage):
    """See the module."""

    def begin_printing(self) -> ContainerId:
        """Start a scheduler, until the task prints."""
        self.begin()
        container = self.record.wait(STARTED, "endless")
        wait_output(self.engine, container, b"gate 1\n")
        wait_output(self.engine, container, b"xx")
        return container

    def end_printing(self, container: ContainerId) -> None:
        """Have the task end, and see it end on the engine."""
        self.open_gate(container, 1)
        self.record.wait_for(DIED, container)

    def wait_whole_end(self, container: ContainerId) -> list[int]:
        """Have the task end if it has not, and see that nothing was lost or done twice; when each line was written,
        in ns."""
        if (container, 1) not in self._opened:
            self.open_gate(container, 1)
        view = self.wait_end()
        (attempt,) = view.tries
        (task,) = view.tasks
        assert view.run.state is RunState.SUCCESS
        assert (attempt.container_id, attempt.log_complete) == (container, True)
        assert (task.failures, task.losses) == (0, 0)
        for happened in (CREATED, STARTED, DIED):
            assert self.record.containers(happened, "endless") == [container]
        first, *lines, last = self.log(attempt.key)[Stream.STDOUT].decode().splitlines()
        assert (first, last) == ("gate 1", f"{len(lines)} lines")
        told = [line.split(" ", 2) for line in lines]
        assert [int(number) for _, number, _ in told] == list(range(len(lines)))
        assert {len(text) for _, _, text in told} == {8000}
        assert view.results == {"endless": [7] * 300_000}
        return [int(at) for at, _, _ in told]


def endless(
    folder: Path,
    address: Address,
    image: str,
    settings: Mapping[str, str] | None = None,
    *,
    life: type[SchedulerProcess] = SchedulerProcess,
) -> Endless:
    """Its scheduler speaks to the engine itself."""
    return Endless(folder, "endless", "endless.py", address, image, proxied=False, settings=settings, life=life)
