"""DAGs: arguments, schedules, dates and zones, the decorator, the registry."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from orchestrator import DAG, DockerOperator, EmptyOperator, dag
from orchestrator.authoring import collecting, to_spec
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DagSpec,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
    decode_dag,
    encode_dag,
)
from orchestrator.spec.params import ParamSpec

START = datetime(2013, 1, 1, tzinfo=UTC)


def refusal(**arguments: Any) -> AuthoringError:
    with pytest.raises(AuthoringError) as refused:
        DAG("d", **arguments)
    return refused.value


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        (None, ManualSchedule()),
        ("30 2 * * MON", CronSchedule(expressions=("30 2 * * MON",))),
        (["0 1 * * *", "0 5 * * *"], CronSchedule(expressions=("0 1 * * *", "0 5 * * *"))),
        ("@hourly", CronSchedule(expressions=("0 * * * *",), preset="@hourly")),
        ("@daily", CronSchedule(expressions=("0 0 * * *",), preset="@daily")),
        ("@weekly", CronSchedule(expressions=("0 0 * * 0",), preset="@weekly")),
        ("@monthly", CronSchedule(expressions=("0 0 1 * *",), preset="@monthly")),
        ("@quarterly", CronSchedule(expressions=("0 0 1 */3 *",), preset="@quarterly")),
        ("@yearly", CronSchedule(expressions=("0 0 1 1 *",), preset="@yearly")),
        ("@annually", CronSchedule(expressions=("0 0 1 1 *",), preset="@annually")),
        ("@once", OnceSchedule()),
        ("@continuous", ContinuousSchedule()),
        (timedelta(hours=6), DeltaSchedule(delta=timedelta(hours=6))),
        (pendulum.duration(days=1, minutes=3), DeltaSchedule(delta=timedelta(days=1, minutes=3))),
    ],
)
def test_a_schedule_is_read(written: Any, schedule: Schedule) -> None:
    assert DAG("d", schedule=written).spec.schedule == schedule
    assert DAG("d", schedule_interval=written).spec.schedule == schedule


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("@dayly", "did you mean '@daily'"),
        ([], "is none"),
        (["@daily", 3], "is none"),
        (3, "is none"),
        (timedelta(0), "does not go on"),
        (timedelta(days=-1), "does not go on"),
        (pendulum.duration(months=1), "not equally long"),
    ],
)
def test_a_schedule_that_is_none_is_refused(written: Any, says: str) -> None:
    refused = refusal(schedule=written)
    assert refused.rule == "bad_schedule"
    assert says in refused.message


def test_two_schedules_are_refused() -> None:
    assert "say the same thing" in refusal(schedule=None, schedule_interval="@daily").message


@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_date_without_a_zone_is_refused_with_the_way_out(name: str) -> None:
    refused = refusal(**{name: datetime(2013, 1, 1)})  # noqa: DTZ001 - the mistake itself
    assert refused.rule == "naive_date"
    assert "tzinfo=" in refused.fix
    assert refused.line


@pytest.mark.parametrize("written", ["2013-01-01", date(2013, 1, 1), 5])
def test_a_date_is_a_datetime(written: Any) -> None:
    assert refusal(start_date=written).rule == "bad_argument"


@pytest.mark.parametrize(
    ("start", "zone", "instant"),
    [
        (START, "UTC", START),
        (pendulum.datetime(2013, 1, 1), "UTC", START),
        (pendulum.datetime(2013, 7, 1, tz="America/New_York"), "America/New_York", START.replace(month=7, hour=4)),
        (datetime(2013, 7, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), "Europe/Berlin", START.replace(month=7)),
        (datetime(2013, 1, 1, tzinfo=timezone(timedelta(hours=2))), "UTC", datetime(2012, 12, 31, 22, tzinfo=UTC)),
        (None, "UTC", None),
    ],
)  # fmt: skip
def test_the_zone_is_that_of_the_start_date(start: datetime | None, zone: str, instant: datetime | None) -> None:
    spec = DAG("d", start_date=start).spec
    assert (spec.timezone, spec.start_date) == (zone, instant)
    assert start is None or type(spec.start_date) is datetime


@pytest.mark.parametrize(
    "written", ["Europe/Berlin", ZoneInfo("Europe/Berlin"), pendulum.timezone("Europe/Berlin")]
)
def test_a_zone_that_is_named_comes_first(written: Any) -> None:
    assert DAG("d", start_date=START, timezone=written).spec.timezone == "Europe/Berlin"


@pytest.mark.parametrize("written", ["Europe/Berlyn", "", "../x", timezone(timedelta(hours=1))])
def test_an_unknown_zone_is_refused(written: Any) -> None:
    assert refusal(timezone=written).rule == "bad_argument"


def test_a_dag_does_not_end_before_it_starts() -> None:
    assert "ends (2012-12-31) before" in refusal(start_date=START, end_date=START - timedelta(days=1)).message


def defaults(made: DAG) -> dict[str, Any]:
    return {name: param.default for name, param in made.spec.params.items()}


def test_all_other_arguments_reach_the_spec() -> None:
    spec = DAG(
        "d",
        description="about",
        catchup=True,
        max_active_runs=1,
        concurrency=3,
        params={"n": 1, "list": ("a",)},
        tags=["x", "y"],
        owner="ann",
        doc_md="# Hi",
        is_paused_upon_creation=False,
        start_date=START,
        end_date=START,
    ).spec
    assert spec == DagSpec(
        dag_id="d",
        file="",
        line=spec.line,
        description="about",
        catchup=True,
        max_active_runs=1,
        max_active_tasks=3,
        params={"n": ParamSpec(default=1), "list": ParamSpec(default=["a"])},
        tags=("x", "y"),
        owner="ann",
        doc_md="# Hi",
        paused_on_creation=False,
        start_date=START,
        end_date=START,
    )
    assert decode_dag(encode_dag(spec)) == spec


@pytest.mark.parametrize(
    ("name", "written"),
    [("max_active_runs", 0), ("max_active_tasks", 0), ("tags", "x"), ("catchup", 1), ("params", 3), ("owner", 3)],
)
def test_a_value_that_does_not_fit_is_refused(name: str, written: Any) -> None:
    refused = refusal(**{name: written})
    assert refused.rule == "bad_argument"
    assert f"DAG 'd': {name}" in refused.message


def test_an_unknown_argument_names_the_nearest() -> None:
    refused = refusal(shedule="@daily")
    assert (refused.rule, refused.message) == (
        "unknown_argument",
        "DAG 'd' takes no argument 'shedule'; did you mean 'schedule'?",
    )


@pytest.mark.parametrize("dag_id", ["", "a b", "x" * 251, 3])
def test_a_dag_id_is_checked(dag_id: Any) -> None:
    with pytest.raises(AuthoringError) as refused:
        DAG(dag_id)
    assert refused.value.rule == "bad_id"


def test_dates_among_the_default_args_are_the_dags() -> None:
    berlin = pendulum.datetime(2013, 1, 1, tz="Europe/Berlin")
    with DAG("d", default_args={"start_date": berlin, "end_date": START + timedelta(days=9)}) as made:
        EmptyOperator(task_id="t")
    assert (made.spec.start_date, made.spec.timezone) == (berlin, "Europe/Berlin")
    assert DAG("e", start_date=START, default_args={"start_date": berlin}).spec.start_date == START


def test_dags_may_stand_inside_each_other() -> None:
    with DAG("outer") as outer:
        EmptyOperator(task_id="a")
        with DAG("inner") as inner:
            EmptyOperator(task_id="b")
        EmptyOperator(task_id="c")
    assert (list(outer.graph.tasks), list(inner.graph.tasks)) == (["a", "c"], ["b"])


# --- @dag ---------------------------------------------------------------------------------------------


def test_a_function_becomes_a_dag_of_its_name() -> None:
    @dag
    def pipeline() -> None:
        """What it is for."""
        EmptyOperator(task_id="t")

    made = pipeline()
    assert (made.dag_id, made.doc_md, list(made.graph.tasks)) == ("pipeline", "What it is for.", ["t"])


def test_the_decorator_takes_what_the_class_takes() -> None:
    @dag("other", schedule="@daily", params={"x": 1}, doc_md="written")
    def pipeline() -> None:
        """Not shown."""

    made = pipeline()
    assert (made.dag_id, made.doc_md, defaults(made)) == ("other", "written", {"x": 1})
    assert made.spec.schedule == DAG("d", schedule="@daily").spec.schedule


def test_parameters_of_the_function_are_params_of_the_runs() -> None:
    @dag(params={"x": 1})
    def pipeline(region: str = "eu", size: int = 3) -> None:
        DockerOperator(task_id="t", command=["load", region], environment={"SIZE": size})

    made = pipeline("us")
    container = made.graph.tasks["t"].container
    assert container is not None
    assert defaults(made) == {"x": 1, "region": "us", "size": 3}
    assert (container.command, container.environment) == (
        ["load", "{{ params.region }}"],
        {"SIZE": "{{ params.size }}"},
    )


def test_keyword_only_params_and_long_documentation_work_too() -> None:
    @dag
    def pipeline(first: str, *, second: int = 2) -> None:
        """Title.

        Body:
            deeper.
        """

    made = pipeline(first="x")
    assert defaults(made) == {"first": "x", "second": 2}
    assert made.doc_md == "Title.\n\nBody:\n    deeper."


def test_a_call_that_does_not_fit_the_params_is_refused() -> None:
    @dag
    def pipeline(region: str, size: int = 3) -> None: ...

    calls: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((), {}, "missing a required argument: 'region'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        (("a",), {"colour": 1}, "unexpected keyword argument 'colour'"),
    ]
    for args, kwargs, says in calls:
        with pytest.raises(AuthoringError, match=says):
            pipeline(*args, **kwargs)


def test_a_body_that_fails_leaves_no_scope_behind() -> None:
    @dag
    def pipeline() -> None:
        raise RuntimeError("in the body")

    with pytest.raises(RuntimeError):
        pipeline()
    with pytest.raises(AuthoringError, match="outside every DAG"):
        EmptyOperator(task_id="t")


# --- the registry -------------------------------------------------------------------------------------


def test_every_dag_that_is_constructed_is_collected() -> None:
    with collecting() as dags:
        one = DAG("a")
        with DAG("b") as two:
            pass
    DAG("c")
    assert dags == [one, two]


def test_two_dags_of_one_id_in_a_file_are_refused() -> None:
    with collecting():
        DAG("a")
        with pytest.raises(AuthoringError) as refused:
            DAG("a")
    assert refused.value.rule == "duplicate_id"
    DAG("a")
    DAG("a")


def test_lines_are_those_of_the_file_that_is_parsed() -> None:
    helper: dict[str, Any] = {}
    exec(compile("def make(DAG):\n\n\n    return DAG('made')", "helper.py", "exec"), helper)  # noqa: S102 - a module
    source = "\n\n\n\n\n\n\nmade = make(DAG)"
    for file, line in (("flows.py", 8), (None, 4)):
        space = {"make": helper["make"], "DAG": DAG}
        with collecting(file):
            exec(compile(source, "flows.py", "exec"), space)  # noqa: S102 - a DAG file
        assert space["made"].spec.line == line


def test_a_whole_dag_survives_serialization() -> None:
    with DAG("d", schedule=timedelta(hours=1), start_date=START, params={"a": [1, None, {"b": 2.5}]}) as made:
        a = DockerOperator(task_id="a", script="echo {{ ds }}", cpus=1.5, mem_limit="1g")
        a >> EmptyOperator(task_id="b")
    spec = to_spec(made, "flows/d.py")
    assert spec.file == "flows/d.py"
    assert decode_dag(encode_dag(spec)) == spec
