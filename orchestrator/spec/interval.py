"""The stretch of time a run stands for."""

from datetime import datetime

from orchestrator.spec.value import Value


class Interval(Value, frozen=True, kw_only=True):
    """`[start, end)` of time that a run stands for; start == end where a schedule has no intervals."""

    start: datetime
    end: datetime
