"""Lists of tasks say what is not so of every task, where a DAG has such ones."""

from datetime import UTC, datetime

from orchestrator.cli.dags import task_row, told_columns
from orchestrator.spec.control import External, Trigger
from orchestrator.spec.dag import TaskKind, TaskSpec, Teardown

DAY = datetime(2024, 5, 1, tzinfo=UTC)
SETUP = TaskSpec(task_id="up", setup=True)
TASK = TaskSpec(task_id="total", upstream=("up",))
TEARDOWN = TaskSpec(task_id="drop", upstream=("up", "total"), teardown=Teardown(setups=("up",)))


def test_setups_and_teardowns_are_named_and_a_teardown_has_no_rule() -> None:
    shown = [(row["role"], row["trigger_rule"]) for row in map(task_row, (SETUP, TASK, TEARDOWN))]
    assert shown == [("setup", "all_success"), ("", "all_success"), ("teardown", "")]


def test_dates_of_tasks_are_told_with_the_time_where_they_have_one() -> None:
    later = DAY.replace(hour=6, minute=30)
    rows = [
        TASK,
        TaskSpec(task_id="a", start_date=DAY),
        TaskSpec(task_id="b", end_date=later),
        TaskSpec(task_id="c", start_date=DAY, end_date=later),
    ]
    assert [task_row(task)["dates"] for task in rows] == [
        "",
        "from 2024-05-01",
        "until 2024-05-01T06:30+00:00",
        "from 2024-05-01 until 2024-05-01T06:30+00:00",
    ]


def test_the_columns_are_there_where_a_dag_has_something_in_them() -> None:
    dated = TaskSpec(task_id="a", end_date=DAY)
    assert told_columns([TASK, TEARDOWN]) == ["role"]
    assert told_columns([TASK, dated]) == ["dates"]
    assert told_columns([SETUP, dated]) == ["role", "dates"]
    assert told_columns([TASK]) == []


def test_a_dag_that_only_a_template_names_is_told_in_words() -> None:
    given = "{{ element('trigger_dag_id') | text }}"
    trigger = TaskSpec(task_id="t", kind=TaskKind.TRIGGER, control=Trigger(dag_id=given, wait=True))
    wait = TaskSpec(task_id="w", kind=TaskKind.EXTERNAL, control=External(dag_id="other"))
    assert [task_row(task)["does"] for task in (trigger, wait)] == [
        "triggers the DAG of its template and waits",
        "waits for other",
    ]
