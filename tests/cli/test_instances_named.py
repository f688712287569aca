"""What is read of a run with a mapped task: how its instances are named, and what they came to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from store_rows import NOW, put_run, run, task, write

from orchestrator.errors import NotFoundError
from orchestrator.ids import DeploymentId, RunKey, TaskKey
from orchestrator.planning.changes import PutResult, PutTask
from orchestrator.planning.rows import Result
from orchestrator.queries import Queries
from orchestrator.states import TaskState
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore

RUN = run()


@pytest.fixture
def queries(tmp_path: Path) -> Iterator[Queries]:
    """Of a run in which one task is mapped and expanded into three, the second of which gave null."""
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    store.take_lead("a test", NOW)
    write(store, *put_run(RUN))
    kept = task(RUN)
    keys = [TaskKey(RUN.key.dag_id, RUN.key.run_id, kept.key.task_id, index) for index in (-1, 0, 1, 2)]
    write(store, *(PutTask(task=replace(kept, key=key), before=None) for key in keys))
    gone = replace(kept, key=keys[0], state=TaskState.REMOVED, ended_at=NOW)
    write(store, PutTask(task=gone, before=replace(kept, key=keys[0])))
    told = zip(keys[1:], (b"1", b"null", b'"three"'), strict=True)
    write(store, *(PutResult(result=Result(key=key, data=data, created_at=NOW)) for key, data in told))
    yield Queries(store, FileLogStore(tmp_path))
    store.close()


def test_an_instance_is_named_with_its_index(queries: Queries) -> None:
    name = task(RUN).key.task_id
    assert queries.task_key(RUN.key, f"{name}[2]").map_index == 2
    assert queries.task_key(RUN.key, name, 1).map_index == 1


@pytest.mark.parametrize("index", ["", "[3]"])
def test_who_names_none_is_told_which_there_are(queries: Queries, index: str) -> None:
    name = task(RUN).key.task_id
    with pytest.raises(NotFoundError) as caught:
        queries.task_key(RUN.key, name + index)
    assert f"{name}[0] to {name}[2]" in caught.value.fix


def test_a_run_shows_instances_and_the_list_of_their_results(queries: Queries) -> None:
    view = queries.run(RunKey(RUN.key.dag_id, RUN.key.run_id))
    assert [each.key.map_index for each in view.tasks] == [0, 1, 2]
    assert view.results == {task(RUN).key.task_id: [1, "three"]}
