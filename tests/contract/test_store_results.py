"""What every store promises of the results of mapped tasks."""

from msgspec.structs import replace
from store_rows import NOW, put_run, run, task, write

from orchestrator.ids import Epoch
from orchestrator.planning.changes import PutResult, PutTask
from orchestrator.planning.rows import Result
from orchestrator.ports import Store


def test_results_of_a_mapped_task_come_in_order_without_those_that_are_null(store: Store, epoch: Epoch) -> None:
    of = run()
    single = task(of).key
    keys = {index: replace(single, map_index=index) for index in (-1, 0, 2, 10, 3)}
    write(store, *put_run(of), *(PutTask(task=replace(task(of), key=key), before=None) for key in keys.values()))
    told = {-1: b'"whole"', 0: b"0", 2: b"null", 10: b'"10"', 3: b"true"}
    write(store, *(PutResult(result=Result(key=keys[each], data=told[each], created_at=NOW)) for each in told))
    assert store.results(of.key, single.task_id) == (b"0", b"true", b'"10"')
    assert store.result_count(of.key, single.task_id) == 3
    assert [store.results(of.key, single.task_id, place) for place in (1, 2, 3)] == [(b"true",), (b'"10"',), ()]
    assert store.results(of.key, "other") == ()
