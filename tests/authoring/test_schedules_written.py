"""Schedules that say what their points mean, in our words and in Airflow's."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from orchestrator import (
    DAG,
    CronDataIntervalTimetable,
    CronTrigger,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    Interval,
)
from orchestrator.errors import AuthoringError
from orchestrator.spec.dag import CronSchedule, DeltaSchedule, Schedule, ScheduleMode

SIX = ("0 6 * * *",)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = "Europe/Berlin"


def cron(mode: ScheduleMode | None, *expressions: str, **more: Any) -> CronSchedule:
    return CronSchedule(expressions=expressions, mode=mode, **more)


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        (Interval("0 6 * * *"), cron(ScheduleMode.INTERVAL, *SIX)),
        (Interval("0 6 * * *", "0 9 * * *"), cron(ScheduleMode.INTERVAL, *SIX, "0 9 * * *")),
        (
            Interval("@daily", timezone=BERLIN),
            cron(ScheduleMode.INTERVAL, "0 0 * * *", preset="@daily", timezone=BERLIN),
        ),
        (Interval(HOUR), DeltaSchedule(delta=HOUR, mode=ScheduleMode.INTERVAL)),
        (CronTrigger("0 6 * * *"), cron(ScheduleMode.TRIGGER, *SIX)),
        (CronTrigger("0 6 * * *", interval=DAY), cron(ScheduleMode.TRIGGER, *SIX, window=DAY)),
        (CronTrigger("0 6 * * *", "@hourly"), cron(ScheduleMode.TRIGGER, *SIX, "0 * * * *")),
        (CronDataIntervalTimetable("0 6 * * *", "UTC"), cron(ScheduleMode.INTERVAL, *SIX, timezone="UTC")),
        (
            CronTriggerTimetable("0 6 * * *", timezone=pendulum.timezone(BERLIN), interval=DAY),
            cron(ScheduleMode.TRIGGER, *SIX, timezone=BERLIN, window=DAY),
        ),
        (DeltaDataIntervalTimetable(HOUR), DeltaSchedule(delta=HOUR, mode=ScheduleMode.INTERVAL)),
        (DeltaTriggerTimetable(HOUR), DeltaSchedule(delta=HOUR, mode=ScheduleMode.TRIGGER)),
        (
            DeltaTriggerTimetable(HOUR, interval=pendulum.duration(days=1)),
            DeltaSchedule(delta=HOUR, mode=ScheduleMode.TRIGGER, window=DAY),
        ),
        ("0 6 * * *", cron(None, *SIX)),
        (HOUR, DeltaSchedule(delta=HOUR)),
    ],
    ids=repr,
)
def test_what_points_mean_may_be_said(written: Any, schedule: Schedule) -> None:
    assert DAG("d", schedule=written).spec.schedule == schedule


@pytest.mark.parametrize(
    ("write", "rule", "says"),
    [
        (CronTrigger, "bad_schedule", "is none"),
        (lambda: CronTrigger(HOUR), "bad_schedule", "is none"),
        (lambda: CronTrigger("@once"), "bad_schedule", "@once stands alone"),
        (lambda: CronTrigger("@dayly"), "bad_schedule", "did you mean '@daily'"),
        (lambda: CronTrigger("0 6 * * *", interval=-DAY), "bad_schedule", "interval"),
        (lambda: CronTrigger("0 6 * * *", interval=3), "bad_schedule", "no timedelta"),
        (lambda: CronTrigger("0 6 * * *", timezone="Mars"), "bad_argument", "unknown timezone 'Mars'"),
        (lambda: CronTrigger("0 6 * * *", timezon="UTC"), "unknown_argument", "did you mean 'timezone'"),
        (lambda: Interval(HOUR, DAY), "bad_schedule", "is none"),
        (lambda: Interval(HOUR, timezone="UTC"), "bad_schedule", "is none"),
        (lambda: Interval(timedelta(0)), "bad_schedule", "does not go on"),
        (lambda: Interval(pendulum.duration(months=1)), "bad_schedule", "not equally long"),
        (lambda: DeltaTriggerTimetable(HOUR, every=3), "unknown_argument", "no argument 'every'"),
        (lambda: DeltaDataIntervalTimetable(HOUR, interval=DAY), "unknown_argument", "'interval'"),
    ],
)
def test_what_makes_no_schedule_is_refused(write: Any, rule: str, says: str) -> None:
    with pytest.raises(AuthoringError) as refused:
        write()
    assert refused.value.rule == rule
    assert says in refused.value.message


def test_what_airflow_would_do_at_once_is_told_how_it_is_here() -> None:
    with pytest.raises(AuthoringError) as refused:
        CronTriggerTimetable("0 6 * * *", run_immediately=True)
    assert refused.value.fix.startswith("leave it out: with a start_date")


@pytest.mark.parametrize(
    ("arguments", "zone"),
    [
        ({"schedule": CronTrigger("0 6 * * *", timezone=BERLIN)}, BERLIN),
        ({"schedule": CronTrigger("0 6 * * *", timezone=BERLIN), "timezone": "UTC"}, "UTC"),
        (
            {
                "schedule": Interval("@daily", timezone=BERLIN),
                "start_date": datetime(2026, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
            },
            BERLIN,
        ),
        ({"schedule": Interval("@daily"), "start_date": datetime(2026, 1, 1, tzinfo=ZoneInfo(BERLIN))}, BERLIN),
        ({"schedule": Interval("@daily"), "start_date": datetime(2026, 1, 1, tzinfo=UTC)}, "UTC"),
    ],
)
def test_a_dag_without_a_zone_has_that_of_its_schedule(arguments: Any, zone: str) -> None:
    assert DAG("d", **arguments).spec.timezone == zone
