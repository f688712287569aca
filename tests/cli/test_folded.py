"""How many instances of one task are listed."""

from datetime import timedelta

from store_rows import NOW

from orchestrator.cli.folding import FOLDED_ABOVE, folded
from orchestrator.ids import TaskKey
from orchestrator.planning.rows import Reason, TaskInstance
from orchestrator.states import ReasonCode, TaskState


def instance(
    index: int, state: TaskState = TaskState.SUCCESS, task_id: str = "each", label: str = ""
) -> TaskInstance:
    return TaskInstance(
        key=TaskKey("d", "r", task_id, index),
        state=state,
        tries=1,
        reason=Reason(code=ReasonCode.EXIT_CODE, text="1") if state is TaskState.FAILED else None,
        started_at=NOW + timedelta(seconds=index),
        ended_at=NOW + timedelta(seconds=index + 5) if state.final else None,
        label=label,
    )


def test_a_small_map_has_a_line_for_each_instance_with_its_label() -> None:
    tasks = [instance(-1, task_id="first"), instance(0, label="Newark"), instance(1)]
    assert [line.name for line in folded(tasks)] == ["first", "each[0] Newark", "each[1]"]


def test_a_large_map_is_one_line_and_some_of_those_that_failed() -> None:
    states = [TaskState.FAILED] * 7 + [TaskState.SUCCESS] * FOLDED_ABOVE + [TaskState.RUNNING]
    whole, *failed = folded([instance(index, state) for index, state in enumerate(states)])
    assert (whole.name, whole.state) == ("each[0 to 19]", "1 running, 12 success, 7 failed")
    assert (whole.tries, whole.started_at, whole.ended_at) == (20, NOW, None)
    assert [line.name for line in failed] == [f"each[{index}]" for index in range(5)]


def test_a_large_map_lasted_from_its_first_instance_to_its_last() -> None:
    (whole,) = folded([instance(index) for index in range(20)])
    assert whole.ended_at == NOW + timedelta(seconds=24)
