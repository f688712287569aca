"""The engine's JSON as our values: what `inspect` and the event stream say. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.spec.container import (
    ContainerFacts,
    ContainerState,
    EngineEvent,
    EngineEventKind,
    EngineLife,
    ExitFacts,
)

#: The network that an engine makes anew at each start, unless containers that it left running still use it.
REMADE_NETWORK = "bridge"

_NEVER = "0001-01-01"  #: how the engine writes "not yet"
_ALIVE = ("running", "paused", "restarting")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: What the engine mixes among a container's labels in an event.
_NO_LABELS = ("image", "name", "exitCode", "signal", "execDuration", "oldName")


def container_facts(inspected: dict[str, Any]) -> ContainerFacts:
    """One `inspect`. What was never started is `created`, whatever became of it since."""
    told = inspected["State"]
    started_at = instant(told.get("StartedAt", ""))
    state = ContainerState.EXITED
    if told.get("Status") in _ALIVE:
        state = ContainerState.RUNNING
    elif started_at is None:
        state = ContainerState.CREATED
    finished_at = instant(told.get("FinishedAt", ""))
    if finished_at is not None and started_at is not None:
        # the engine takes both from different clocks' readings: one that ends at once "ended before it began"
        finished_at = max(finished_at, started_at)
    ended = ExitFacts(
        exit_code=int(told.get("ExitCode", 0)),
        oom_killed=bool(told.get("OOMKilled")),
        error=str(told.get("Error", "")),
        started_at=started_at,
        finished_at=finished_at,
    )
    return ContainerFacts(
        id=inspected["Id"],
        name=str(inspected.get("Name", "")).lstrip("/"),
        state=state,
        labels=inspected["Config"].get("Labels") or {},
        started_at=started_at,
        exit=ended if state is ContainerState.EXITED else None,
    )


def engine_life(bridge: dict[str, Any], info: dict[str, Any]) -> EngineLife:
    """From `inspect` of the network that it makes anew at each start, and from its `info`."""
    return EngineLife(
        since=instant(str(bridge.get("Created", ""))), live_restore=bool(info.get("LiveRestoreEnabled"))
    )


def memory_held(stats: dict[str, Any]) -> int | None:
    """The memory of one `stats`, as `docker stats` counts it: without pages of files that nobody uses (the name of
    that count differs between cgroup v1 and v2). None of one that does not run."""
    told = stats.get("memory_stats") or {}
    usage = told.get("usage")
    if usage is None:
        return None
    counts = told.get("stats") or {}
    idle = int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return int(usage) - idle if idle < usage else int(usage)


def engine_event(told: dict[str, Any]) -> EngineEvent | None:
    """One line of the event stream; None where it is of no kind that we know."""
    try:
        kind = EngineEventKind(str(told.get("Action", "")))
    except ValueError:
        return None
    actor = told.get("Actor", {})
    attributes: dict[str, str] = actor.get("Attributes") or {}
    code = attributes.get("exitCode")
    return EngineEvent(
        kind=kind,
        container_id=str(actor.get("ID", "")),
        labels={name: value for name, value in attributes.items() if name not in _NO_LABELS},
        at=_EPOCH + timedelta(microseconds=int(told.get("timeNano", 0)) // 1000),
        exit_code=int(code) if code is not None and kind is EngineEventKind.DIE else None,
        detail=attributes.get("signal", ""),
    )


def instant(text: str) -> datetime | None:
    """An RFC 3339 instant of the engine in UTC; None where it says "never"."""
    if not text or text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)
