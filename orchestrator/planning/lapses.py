"""Time that counts against nobody (invariant I16): the machine slept, its clock was set, the scheduler stood still,
or no engine answered."""

from datetime import datetime, timedelta

from orchestrator.spec.value import Value

_NOTHING = timedelta(0)


class Lapse(Value, frozen=True, kw_only=True):
    """One such time, and what time-outs that ran then get for it: `length` counts for none of them, and none is
    over before `until`."""

    at: datetime  #: its end
    length: timedelta = _NOTHING
    until: datetime
    unstarted: bool = False  #: of what waits for its container to start, and of nothing else


class Sparing(Value, frozen=True, kw_only=True):
    """What time-outs are to be spared. `held`: none may strike now, since nobody knows what has ended meanwhile."""

    held: bool = False
    lapses: tuple[Lapse, ...] = ()  #: by their ends

    def due(self, since: datetime, limit: timedelta, *, started: bool = True) -> datetime:
        """When a time-out is over that runs since then."""
        due = since + limit
        for lapse in self.lapses:
            if since < lapse.at and not (lapse.unstarted and started):
                due = max(due + lapse.length, lapse.until)
        return due
