from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.engines.docker.facts import container_facts, engine_event, engine_life, instant
from orchestrator.spec.container import ContainerState, EngineEvent, EngineEventKind, EngineLife

NEVER = "0001-01-01T00:00:00Z"
START, END = "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:06Z"


def inspected(status: str, started: str = NEVER, finished: str = NEVER, **state: Any) -> dict[str, Any]:
    told = {"Status": status, "StartedAt": started, "FinishedAt": finished, **state}
    return {"Id": "c1", "Name": "/orc-x", "Config": {"Labels": {"a": "b"}}, "State": told}


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (inspected("created"), ContainerState.CREATED),
        (inspected("created", ExitCode=127, Error="no such program"), ContainerState.CREATED),
        (inspected("removing"), ContainerState.CREATED),
        (inspected("running", START), ContainerState.RUNNING),
        (inspected("paused", START), ContainerState.RUNNING),
        (inspected("exited", START, END, ExitCode=1), ContainerState.EXITED),
        (inspected("dead", START, END, ExitCode=1), ContainerState.EXITED),
        (inspected("removing", START, END), ContainerState.EXITED),
    ],
)
def test_what_never_started_is_created_and_the_rest_runs_or_has_exited(
    told: dict[str, Any], state: ContainerState
) -> None:
    facts = container_facts(told)
    assert facts.state is state
    assert (facts.exit is not None) == (state is ContainerState.EXITED)
    assert (facts.id, facts.name, facts.labels) == ("c1", "orc-x", {"a": "b"})


def test_how_it_ended() -> None:
    ended = container_facts(inspected("exited", START, END, ExitCode=137, OOMKilled=True, Error="e")).exit
    assert ended is not None
    assert (ended.exit_code, ended.oom_killed, ended.error) == (137, True, "e")
    assert ended.started_at == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert ended.finished_at == datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)


def test_nothing_ends_before_it_began() -> None:
    ended = container_facts(inspected("exited", END, START)).exit
    assert ended is not None
    assert ended.finished_at == ended.started_at == datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)


def test_an_instant_with_an_offset_is_told_in_utc() -> None:
    assert instant("2026-01-02T03:04:05+02:00") == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert instant(NEVER) is None
    assert instant("") is None


def test_an_event_keeps_the_containers_labels_and_not_what_the_engine_mixes_in() -> None:
    attributes = {"exitCode": "3", "image": "x", "name": "orc-x", "orchestrator.kind": "try", "execDuration": "1"}
    told = {"Action": "die", "Actor": {"ID": "c1", "Attributes": attributes}, "timeNano": 1_700_000_000_123_456_789}
    assert engine_event(told) == EngineEvent(
        kind=EngineEventKind.DIE,
        container_id="c1",
        labels={"orchestrator.kind": "try"},
        at=datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC),
        exit_code=3,
    )


def test_a_kill_tells_its_signal() -> None:
    event = engine_event({"Action": "kill", "Actor": {"ID": "c", "Attributes": {"signal": "15"}}, "timeNano": 1})
    assert event is not None
    assert event.detail == "15"


def test_unknown_events_are_nothing_to_us() -> None:
    assert engine_event({"Action": "exec_start: sh", "Actor": {}, "timeNano": 1}) is None


def test_since_when_an_engine_is_up_follows_from_the_network_that_it_makes_anew() -> None:
    made = {"Created": START}
    since = instant(START)
    assert engine_life(made, {"LiveRestoreEnabled": True}) == EngineLife(since=since, live_restore=True)
    assert engine_life(made, {}) == EngineLife(since=since, live_restore=False)
    assert engine_life({"message": "network bridge not found"}, {}).since is None
