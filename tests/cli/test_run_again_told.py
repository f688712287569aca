"""The last step that `explain` tells of a failure: how the run goes on where it failed, once that is mended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_rows import REASON, put_run, run, task, write

from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.clock import SystemClock
from orchestrator.explanations import Explanation, Explanations
from orchestrator.ids import UNMAPPED, DeploymentId
from orchestrator.next_steps import with_run_again
from orchestrator.planning.changes import PutTask
from orchestrator.planning.explain import Question
from orchestrator.planning.rows import Reason
from orchestrator.queries import Queries
from orchestrator.settings import Settings
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore

AGAIN = "; then, to run again what failed: `orchestrator runs clear etl manual__1 --only-failed`"
UPSTREAM = Reason(code=ReasonCode.UPSTREAM, text="a failed")


class Asked:
    """A deployment with one run, asked about it where no scheduler runs."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore.in_memory(DeploymentId("0a1b2c3d"))
        self.store.take_lead("test", run().created_at)
        queries = Queries(self.store, FileLogStore(folder))
        files = FileArtifactStore(folder)
        self._asked = Explanations(self.store, files, queries, folder / "none.sock", SystemClock(), Settings())

    def put(self, state: RunState) -> None:
        """`a` failed, `b` did not run for it."""
        made = run(state=state, reason=REASON if state is RunState.FAILED else None)
        after = task(made, "b", TaskState.UPSTREAM_FAILED, reason=UPSTREAM)
        rows = (task(made, "a", TaskState.FAILED), after)
        write(self.store, *put_run(made), *(PutTask(task=row, before=None) for row in rows))

    def run(self) -> Explanation:
        return self._asked.run(run().key)

    def task(self, task_id: str) -> Explanation:
        return self._asked.task(run().key, task_id, UNMAPPED)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.store.close()


def test_a_failure_in_a_run_that_has_ended_ends_with_how_to_run_it_again(asked: Asked) -> None:
    asked.put(RunState.FAILED)
    for told in (asked.run(), asked.task("a"), asked.task("b")):
        assert told.next_step.startswith("read what it wrote: "), told
        assert told.next_step.endswith(AGAIN)


def test_while_the_run_goes_on_it_is_not_told(asked: Asked) -> None:
    asked.put(RunState.RUNNING)
    assert asked.task("a").next_step.startswith("read what it wrote: ")
    assert "clear" not in asked.task("a").next_step


def test_a_step_that_says_how_itself_is_left_as_it_is() -> None:
    about = Question(dag_id="etl", run_id="manual__1")
    step = "to wait again: `orchestrator tasks clear etl a manual__1`"
    assert with_run_again(step, about) == step
    assert with_run_again("look", about) == f"look{AGAIN}"
