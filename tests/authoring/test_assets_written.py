"""Assets as DAG files write them: names, conditions, inlets and outlets."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator import DAG, Asset, AssetOrTime, CronTrigger, DockerOperator, EmptyOperator
from orchestrator.errors import AuthoringError
from orchestrator.spec.assets import AllOf, AnyOf, AssetCondition, AssetSpec
from orchestrator.spec.dag import AssetOrTimeSchedule, AssetSchedule, CronSchedule, DeltaSchedule, ScheduleMode

a, b, c = Asset("a"), Asset("b"), Asset("c")
A, B, C = (AssetSpec(name=name) for name in "abc")


@pytest.mark.parametrize(
    ("written", "when"),
    [
        (a, A),
        ([a], A),
        ([a, b], AllOf(of=(A, B))),
        ((a, b | c), AllOf(of=(A, AnyOf(of=(B, C))))),
        (a & b & c, AllOf(of=(A, B, C))),
        (a & (b & c), AllOf(of=(A, B, C))),
        (a | b | c, AnyOf(of=(A, B, C))),
        (a & b | c, AnyOf(of=(AllOf(of=(A, B)), C))),
        (a & (b | c), AllOf(of=(A, AnyOf(of=(B, C))))),
    ],
    ids=repr,
)
def test_a_schedule_of_assets_says_when_it_is_met(written: Any, when: AssetCondition) -> None:
    spec = DAG("d", schedule=written).spec
    assert spec.schedule == AssetSchedule(when=when)
    assert spec.condition == when


@pytest.mark.parametrize(
    ("schedule", "time"),
    [
        ("0 6 * * *", CronSchedule(expressions=("0 6 * * *",))),
        (
            CronTrigger("@daily"),
            CronSchedule(expressions=("0 0 * * *",), preset="@daily", mode=ScheduleMode.TRIGGER),
        ),
        (timedelta(hours=1), DeltaSchedule(delta=timedelta(hours=1))),
    ],
    ids=repr,
)
def test_assets_or_time_says_both(schedule: Any, time: CronSchedule | DeltaSchedule) -> None:
    spec = DAG("d", schedule=AssetOrTime(schedule=schedule, assets=[a, b])).spec
    assert spec.schedule == AssetOrTimeSchedule(time=time, when=AllOf(of=(A, B)))


def test_the_time_of_both_may_have_a_zone_which_is_then_the_dags() -> None:
    zoned = CronTrigger("0 6 * * *", timezone="Europe/Berlin")
    assert DAG("d", schedule=AssetOrTime(schedule=zoned, assets=a)).spec.timezone == "Europe/Berlin"


def test_an_asset_is_told_with_what_people_should_know_of_it() -> None:
    made = Asset("orders", "s3://lake/orders", group="lake", extra={"owner": "ann", "n": [1, None]})
    told = AssetSpec(name="orders", uri="s3://lake/orders", group="lake", extra={"owner": "ann", "n": [1, None]})
    assert made.spec == told
    assert made.name == "orders"


def test_tasks_of_any_kind_name_what_they_read_and_update() -> None:
    with DAG("d", default_args={"outlets": c}):
        run = DockerOperator(task_id="run", command="true", inlets=a, outlets=[b, c, b])
        mark = EmptyOperator(task_id="mark")
    assert (run.spec.inlets, run.spec.outlets) == ((A,), (B, C))
    assert mark.spec.outlets == (C,)


def test_every_instance_of_a_mapped_task_updates_the_same() -> None:
    with DAG("d"):
        run = DockerOperator.partial(task_id="run", outlets=[a]).expand(command=["true", "false"])
    assert run.spec.outlets == (A,)


@pytest.mark.parametrize(
    ("write", "rule", "says"),
    [
        (lambda: Asset(""), "bad_id", "'' cannot be the name of an asset"),
        (lambda: Asset(" a"), "bad_id", "no space around"),
        (lambda: Asset("a\n"), "bad_id", "printable"),
        (lambda: Asset("a" * 251), "bad_id", "250 at most"),
        (lambda: Asset("a", 3), "bad_argument", "uri is 3, no text"),
        (lambda: Asset("a", extra={"x": object()}), "bad_argument", "which JSON cannot say"),
        (lambda: Asset("a", uris="x"), "unknown_argument", "did you mean 'uri'"),
        (lambda: DAG("d", schedule=[a, "@daily"]), "bad_schedule", "is none"),
        (lambda: AssetOrTime(schedule=None, assets=a), "bad_schedule", "no points in time"),
        (lambda: AssetOrTime(schedule="@once", assets=a), "bad_schedule", "no points in time"),
        (lambda: AssetOrTime(schedule="@daily", assets="a"), "bad_schedule", "assets 'a' are none"),
        (lambda: AssetOrTime(schedule="@daily", assets=[]), "bad_schedule", "are none"),
        (lambda: AssetOrTime(schedule="@daily", assets=a, asset=b), "unknown_argument", "did you mean 'assets'"),
        (lambda: EmptyOperator(task_id="t", dag=DAG("d"), outlets=["a"]), "bad_argument", "'a' is no asset"),
        (lambda: EmptyOperator(task_id="t", dag=DAG("d"), outlets=a | b), "bad_argument", "is no asset"),
    ],
)
def test_what_cannot_be_is_said(write: Any, rule: str, says: str) -> None:
    with pytest.raises(AuthoringError) as caught:
        write()
    assert caught.value.rule == rule
    assert says in f"{caught.value.message} {caught.value.fix}"


def test_assets_join_only_with_assets() -> None:
    with pytest.raises(TypeError):
        a & "b"  # type: ignore[operator]  # what is to be refused
