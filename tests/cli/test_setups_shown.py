"""Lists of tasks say which are setups and teardowns."""

from orchestrator.cli.dags import role_column, task_row
from orchestrator.spec.dag import TaskSpec, Teardown

SETUP = TaskSpec(task_id="up", setup=True)
TASK = TaskSpec(task_id="total", upstream=("up",))
TEARDOWN = TaskSpec(task_id="drop", upstream=("up", "total"), teardown=Teardown(setups=("up",)))


def test_setups_and_teardowns_are_named_and_a_teardown_has_no_rule() -> None:
    shown = [(row["role"], row["trigger_rule"]) for row in map(task_row, (SETUP, TASK, TEARDOWN))]
    assert shown == [("setup", "all_success"), ("", "all_success"), ("teardown", "")]


def test_the_column_is_there_where_a_dag_has_one() -> None:
    assert role_column([TASK, TEARDOWN]) == ["role"]
    assert role_column([TASK]) == []
