"""Schedules and intervals as people say them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orchestrator.spec.dag import (
    ContinuousSchedule,
    CronSchedule,
    DeltaSchedule,
    ManualSchedule,
    OnceSchedule,
    Schedule,
    ScheduleMode,
)
from orchestrator.spec.interval import Interval
from orchestrator.timetables import due_in_words, interval_in_words, schedule_in_words

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)


def test_a_tick_is_due_and_stands_for_nothing_else() -> None:
    assert due_in_words(Interval(start=NOW, end=NOW), ZoneInfo("UTC"), NOW) == "due 20 Nov 12:30"


def test_days_are_those_of_the_zone() -> None:
    interval = Interval(start=at(2026, 11, 18, 23), end=at(2026, 11, 19, 23))
    assert due_in_words(interval, BERLIN, NOW) == "due 20 Nov 00:00, stands for 19 Nov"
    month = Interval(start=at(2026, 9, 30, 22), end=at(2026, 10, 31, 23))
    assert interval_in_words(month, BERLIN, NOW) == "1 Oct to 31 Oct"


def test_a_time_that_comes_twice_is_told_with_its_offset() -> None:
    first = at(2026, 10, 25, 0)  # 02:00 of summer
    assert interval_in_words(Interval(start=first - HOUR, end=first), BERLIN, NOW) == "25 Oct 01:00 to 02:00+0200"
    assert interval_in_words(Interval(start=first, end=first + HOUR), BERLIN, NOW) == (
        "25 Oct 02:00+0200 to 02:00+0100"
    )


def test_seconds_are_told_where_there_are_any() -> None:
    odd = Interval(start=at(2026, 11, 1, 5, 0, 7), end=at(2026, 11, 1, 5, 0, 9))
    assert interval_in_words(odd, ZoneInfo("UTC"), NOW) == "1 Nov 05:00:07 to 05:00:09"


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (CronSchedule(expressions=("0 0 * * *",), preset="@daily"), "@daily"),
        (CronSchedule(expressions=("0 0 * * *", "0 9 * * *")), "0 0 * * * | 0 9 * * *"),
        (CronSchedule(expressions=("0 9 * * *",), timezone="Asia/Tokyo"), "0 9 * * * Asia/Tokyo"),
        (CronSchedule(expressions=("0 9 * * *",), mode=ScheduleMode.INTERVAL), "0 9 * * *"),
        (CronSchedule(expressions=("0 9 * * *",), mode=ScheduleMode.TRIGGER), "tick 0 9 * * *"),
        (DeltaSchedule(delta=HOUR), "every 1:00:00"),
        (
            DeltaSchedule(delta=HOUR, mode=ScheduleMode.TRIGGER, window=168 * HOUR),
            "tick every 1:00:00, for 7 days before",
        ),
        (OnceSchedule(), "@once"),
        (ContinuousSchedule(), "@continuous"),
        (ManualSchedule(), "manual"),
    ],
)
def test_a_schedule_is_told_in_a_few_characters(schedule: Schedule, words: str) -> None:
    assert schedule_in_words(schedule) == words
