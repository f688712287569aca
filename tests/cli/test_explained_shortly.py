"""What an explanation says once for many tasks, and what it remarks on a success."""

from pathlib import Path

import pytest
from store_rows import DAY, NOW, attempt, run, task, version, write

from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.cli import explain
from orchestrator.clock import SystemClock
from orchestrator.explanations import Explanation, Explanations, TaskWord
from orchestrator.ids import UNMAPPED, DeploymentId
from orchestrator.planning.changes import PutDag, PutRun, PutTask, PutTry, PutVersion
from orchestrator.planning.rows import Dag, Reason, TryOutcome
from orchestrator.queries import Queries
from orchestrator.settings import Settings
from orchestrator.spec.container import ExitFacts
from orchestrator.states import ReasonCode, RunState, TaskState
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore


def test_tasks_that_wait_for_the_same_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    full = Reason(code=ReasonCode.POOL_FULL, text="pool narrow: 2 of 2 taken")
    waits = Reason(code=ReasonCode.UPSTREAM, text="its rule all_success waits for load")
    words = [TaskWord(task_id=f"load[{n}]", state=TaskState.QUEUED, reason=full) for n in range(100)]
    words.append(TaskWord(task_id="total", state=TaskState.WAITING, reason=waits))
    explain._tell(Explanation(dag_id="d", run_id="r", state="running", text="it runs", tasks=tuple(words)), "plain")
    said = capsys.readouterr().out
    assert "load[0], load[1], load[2] and 97 more" in said
    assert said.count("pool narrow: 2 of 2 taken") == 1
    assert "total" in said


@pytest.mark.parametrize("whole", [True, False])
def test_a_success_without_its_whole_log_or_with_too_little_memory_is_said_to_be_one(
    tmp_path: Path, *, whole: bool
) -> None:
    store = SqlStore.in_memory(DeploymentId("0a1b2c3d"))
    store.take_lead("test", NOW)
    of = run(state=RunState.SUCCESS)
    done = task(of, state=TaskState.SUCCESS, tries=1)
    ended = {"outcome": TryOutcome.SUCCESS, "ended_at": NOW + DAY, "removed_at": NOW + DAY, "log_complete": whole}
    ended["exit"] = ExitFacts(exit_code=0, oom_killed=not whole)
    of_dag = Dag(dag_id="etl", version=version("etl").version, file="etl.py", paused=False)
    write(store, PutVersion(version=version("etl")), PutDag(dag=of_dag), PutRun(run=of, before=None))
    write(store, PutTask(task=done, before=None))
    write(store, PutTry(attempt=attempt(done, "a" * 16, **ended), before=None))
    logs = FileLogStore(tmp_path / "logs")
    artifacts, socket = FileArtifactStore(tmp_path / "artifacts"), tmp_path / "none.sock"
    explanations = Explanations(store, artifacts, Queries(store, logs), socket, SystemClock(), Settings())
    notes = explanations.task(of.key, "a", UNMAPPED).notes
    store.close()
    assert [note.partition(":")[0] for note in notes] == ([] if whole else ["oom_killed", "log_truncated"])
    assert whole or "it exited with 0 all the same; it has no mem_limit" in notes[0]
