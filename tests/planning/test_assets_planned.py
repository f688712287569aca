"""Runs that updates of assets have made: any condition, any order, pauses, limits, restarts and changed files."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_past import ask
from planning_sim import NOW, Leader, container, dag, empty, played

from orchestrator.ids import RunKey, TaskKey
from orchestrator.planning.explain import explain_dag
from orchestrator.planning.rows import RequestKind, Run, Stretch
from orchestrator.spec.assets import AllOf, AnyOf, AssetCondition, AssetSpec, assets_in
from orchestrator.spec.dag import AssetOrTimeSchedule, AssetSchedule, CronSchedule, DagSpec, TaskSpec
from orchestrator.states import ReasonCode, RunState, RunType

NAMES = "abcd"
A, B, C, D = (AssetSpec(name=name) for name in NAMES)
TICK = timedelta(microseconds=1)


def consumer(when: AssetCondition = A, dag_id: str = "c", **arguments: Any) -> DagSpec:
    return dag(empty("t"), dag_id=dag_id, schedule=AssetSchedule(when=when), **arguments)


def producer(*tasks: TaskSpec, dag_id: str = "p") -> DagSpec:
    return dag(*tasks, dag_id=dag_id)


def runs(leader: Leader, dag_id: str = "c") -> list[Run]:
    """Those made for assets, in the order in which they were made."""
    made = (run for run in leader.rows["runs"].values() if run.run_type is RunType.ASSET_TRIGGERED)
    return [run for run in made if run.key.dag_id == dag_id]


def consumed(leader: Leader, dag_id: str = "c") -> list[dict[str, int]]:
    """How many events of each asset each run consumed."""
    return [{name: each.count for name, each in run.consumed.items()} for run in runs(leader, dag_id)]


def emit(leader: Leader, *names: str, **payload: Any) -> None:
    """Tell of updates, a second apart."""
    for name in names:
        leader.now += timedelta(seconds=1)
        assert leader.ask(RequestKind.EMIT, asset=name, **payload).ok


def pause(leader: Leader, dag_id: str = "c", *, on: bool = True) -> None:
    assert leader.ask(RequestKind.PAUSE if on else RequestKind.UNPAUSE, dag_id=dag_id).ok


def of(*spec: DagSpec) -> Leader:
    leader = Leader()
    leader.parse(*spec)
    return leader


class TestProducing:
    def test_a_task_that_succeeds_updates_its_outlets_with_its_result(self) -> None:
        leader = of(producer(container("make", outlets=(A, B))), consumer(AllOf(of=(A, B))))
        key = leader.trigger("p")
        played(leader, {"make": b'{"rows":3}'}, {})
        source = TaskKey("p", key.run_id, "make")
        assert [(each.asset, each.extra, each.source) for each in leader.events] == [
            ("a", b'{"rows":3}', source),
            ("b", b'{"rows":3}', source),
        ]
        assert consumed(leader) == [{"a": 1, "b": 1}]

    @pytest.mark.parametrize("code", [3, 99])
    def test_one_that_fails_or_is_skipped_updates_nothing(self, code: int) -> None:
        leader = of(producer(container("make", outlets=(A,), skip_on_exit_code=(99,))), consumer())
        leader.trigger("p")
        played(leader, {}, {"make": code})
        assert leader.events == []

    def test_it_is_recorded_in_the_turn_in_which_the_task_succeeds(self) -> None:
        leader = of(producer(container("make", outlets=(A,))), consumer())
        leader.trigger("p")
        (launch,) = leader.prepare_all()
        changes = leader.exit(launch)
        kinds = [type(change).__name__ for change in changes]
        assert {"PutAssetEvent", "PutGathered", "PutRun"} <= set(kinds)
        assert [run.state for run in runs(leader)] == [RunState.SUCCESS]

    def test_a_task_without_a_container_updates_assets_too(self) -> None:
        leader = of(producer(empty("make", outlets=(A,))), consumer())
        leader.trigger("p")
        assert [(each.asset, each.extra) for each in leader.events] == [("a", b"null")]

    def test_one_that_is_marked_success_has_produced_nothing(self) -> None:
        leader = of(producer(container("make", outlets=(A,))), consumer())
        key = leader.trigger("p")
        (launch,) = leader.prepare_all()
        leader.exit(launch, 3)
        assert ask(leader, RequestKind.MARK, selection={"dag_id": "p", "run_ids": [key.run_id]}, state="success").ok
        assert leader.run(key).state is RunState.SUCCESS
        assert leader.events == []

    def test_each_success_counts_also_that_of_a_task_that_was_cleared(self) -> None:
        leader = of(producer(container("make", outlets=(A,))), consumer())
        for _ in range(2):
            leader.trigger("p")
            played(leader, {}, {})
        assert consumed(leader) == [{"a": 1}, {"a": 1}]

    def test_a_dag_that_updates_what_it_waits_for_makes_one_run_a_turn(self) -> None:
        loop = dag(empty("t", outlets=(A,)), dag_id="c", schedule=AssetSchedule(when=A))
        leader = of(loop)
        emit(leader, "a")
        made = len(runs(leader))
        leader.wait(1)
        assert len(runs(leader)) == made + 1


class TestTelling:
    def test_an_update_is_told_with_what_belongs_to_it(self) -> None:
        leader = of(consumer())
        answer = leader.ask(RequestKind.EMIT, asset="a", extra={"path": "{{ ds }}"})
        assert answer.data == {"asset": "a", "at": NOW.isoformat(), "dag_ids": ["c"]}
        (event,) = leader.events
        assert (event.extra, event.actor, event.source) == (b'{"path":"{{ ds }}"}', "ann", None)

    def test_one_of_an_asset_that_no_dag_names_is_refused(self) -> None:
        leader = of(consumer(AssetSpec(name="orders")))
        answer = leader.ask(RequestKind.EMIT, asset="order")
        assert not answer.ok
        assert "did you mean 'orders'" in answer.error
        assert leader.events == []

    def test_one_that_is_too_large_is_refused(self) -> None:
        leader = of(consumer())
        answer = leader.ask(RequestKind.EMIT, asset="a", extra="x" * 1024 * 1024)
        assert "the limit is 1048576 B" in answer.error
        assert leader.events == []

    def test_events_stay_apart_where_the_clock_stands_still_or_goes_back(self) -> None:
        leader = of(consumer())
        for step in (0, 0, -3600):
            leader.now += timedelta(seconds=step)
            assert leader.ask(RequestKind.EMIT, asset="a").ok
        assert [run.interval.start for run in runs(leader)] == [NOW, NOW + TICK, NOW + 2 * TICK]
        assert len({run.key for run in runs(leader)}) == 3


class TestRunsMade:
    def test_a_run_stands_for_the_instant_of_its_newest_event(self) -> None:
        leader = of(consumer(AllOf(of=(A, B))))
        emit(leader, "a", "a", "b")
        (run,) = runs(leader)
        newest = NOW + timedelta(seconds=3)
        assert run.key == RunKey("c", f"asset_triggered__{newest.isoformat()}")
        assert (run.interval.start, run.interval.end) == (newest, newest)
        first = NOW + timedelta(seconds=1)
        assert run.consumed["a"] == Stretch(first=first, last=first + timedelta(seconds=1), count=2)

    def test_what_holds_already_is_consumed_with_the_rest(self) -> None:
        leader = of(consumer(AnyOf(of=(AllOf(of=(A, B)), C))))
        emit(leader, "a", "c", "b")
        assert consumed(leader) == [{"a": 1, "c": 1}]
        assert [(key, row.events.count) for key, row in leader.rows["gathered"].items()] == [(("c", "b"), 1)]

    def test_every_dag_that_waits_counts_for_itself(self) -> None:
        leader = of(consumer(A, "one"), consumer(AllOf(of=(A, B)), "two"))
        emit(leader, "a", "a", "b")
        assert consumed(leader, "one") == [{"a": 1}, {"a": 1}]
        assert consumed(leader, "two") == [{"a": 2, "b": 1}]

    def test_time_and_assets_both_have_runs_made(self) -> None:
        daily = CronSchedule(expressions=("0 0 * * *",))
        leader = of(dag(empty("t"), dag_id="c", schedule=AssetOrTimeSchedule(time=daily, when=A)))
        emit(leader, "a")
        leader.wait(24 * 3600)
        types = [run.run_type for run in leader.rows["runs"].values()]
        assert sorted(types) == [RunType.ASSET_TRIGGERED, RunType.SCHEDULED]


class TestHeldBack:
    def test_what_is_gathered_in_a_pause_makes_one_run_after_it(self) -> None:
        leader = of(consumer())
        pause(leader)
        emit(leader, "a", "a", "a")
        leader.wait(3600)
        assert runs(leader) == []
        leader.restart()
        pause(leader, on=False)
        assert consumed(leader) == [{"a": 3}]

    def test_a_run_made_before_a_pause_does_not_start_in_it(self) -> None:
        leader = of(dag(container("t"), dag_id="c", schedule=AssetSchedule(when=A), max_active_runs=1))
        emit(leader, "a", "a")
        pause(leader)
        played(leader, {}, {})
        assert [run.state for run in runs(leader)] == [RunState.SUCCESS, RunState.QUEUED]

    def test_runs_beyond_max_active_runs_are_held_back_and_further_updates_gathered(self) -> None:
        leader = of(dag(container("t"), dag_id="c", schedule=AssetSchedule(when=A), max_active_runs=1))
        emit(leader, *"aaaaa")
        assert [run.state for run in runs(leader)] == [RunState.RUNNING, RunState.QUEUED]
        played(leader, {}, {})
        leader.wait(1)
        played(leader, {}, {})
        assert consumed(leader) == [{"a": 1}, {"a": 1}, {"a": 3}]
        assert all(run.state is RunState.SUCCESS for run in runs(leader))

    def test_updates_while_its_file_is_gone_are_not_lost(self) -> None:
        leader = of(consumer())
        leader.parse()
        emit(leader, "a", "a")
        assert runs(leader) == []
        leader.parse(consumer())
        leader.wait(0)
        assert consumed(leader) == [{"a": 2}]


class TestChangedFiles:
    def test_a_dag_counts_from_its_first_sight_on(self) -> None:
        leader = of(producer(empty("make", outlets=(A,))))
        emit(leader, "a", "a")
        leader.parse(consumer(), file="later.py")
        assert runs(leader) == []
        emit(leader, "a")
        assert consumed(leader) == [{"a": 1}]

    def test_an_asset_that_a_schedule_drops_is_forgotten(self) -> None:
        leader = of(consumer(AllOf(of=(A, B))))
        emit(leader, "a")
        leader.parse(consumer(AllOf(of=(B, C))))
        assert leader.rows["gathered"] == {}
        leader.parse(consumer(AllOf(of=(A, B))))
        emit(leader, "b")
        assert runs(leader) == []

    def test_a_schedule_that_asks_for_less_is_met_by_what_is_there(self) -> None:
        leader = of(consumer(AllOf(of=(A, B))))
        emit(leader, "a")
        leader.parse(consumer(AnyOf(of=(A, B))))
        assert consumed(leader) == [{"a": 1}]


def why(leader: Leader) -> tuple[ReasonCode, str] | None:
    reason = explain_dag(leader.world, "c", leader.present)
    return reason and (reason.code, reason.text)


class TestExplained:
    def test_it_says_what_is_lacking_and_what_came(self) -> None:
        leader = of(consumer(AllOf(of=(A, AnyOf(of=(B, C)), D))))
        assert why(leader) == (ReasonCode.ASSETS, "it waits for updates of the assets a & (b | c) & d")
        emit(leader, "a", "a")
        assert why(leader) == (
            ReasonCode.ASSETS,
            "it waits for updates of the assets (b | c) & d; it has had a (2 since 2026-11-20T12:00:01+00:00)",
        )

    def test_of_time_or_assets_it_says_both(self) -> None:
        daily = CronSchedule(expressions=("0 0 * * *",))
        leader = of(dag(empty("t"), dag_id="c", schedule=AssetOrTimeSchedule(time=daily, when=A)))
        told = why(leader)
        assert told is not None
        assert told[0] is ReasonCode.NOT_DUE
        assert told[1].endswith("; before that it waits for updates of the assets a")

    def test_a_pause_comes_first(self) -> None:
        leader = of(consumer())
        pause(leader)
        emit(leader, "a")
        told = why(leader)
        assert told is not None
        assert told[0] is ReasonCode.PAUSED


# --- against a naive model -------------------------------------------------------------------------------

CONDITIONS: st.SearchStrategy[AssetCondition] = st.recursive(
    st.sampled_from([A, B, C, D]),
    lambda inner: st.builds(
        lambda kind, parts: kind(of=tuple(parts)),
        st.sampled_from([AllOf, AnyOf]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
STEPS = st.lists(st.sampled_from([*NAMES, *NAMES, "pause", "unpause", "restart", "gone", "back"]), max_size=25)


def holds(condition: AssetCondition, updated: set[str]) -> bool:
    """The same by evaluating it as Python."""

    def text(part: AssetCondition) -> str:
        if isinstance(part, AssetSpec):
            return f"{part.name!r} in updated"
        return "(" + (" and " if isinstance(part, AllOf) else " or ").join(text(each) for each in part.of) + ")"

    return bool(eval(text(condition), {"updated": updated}))  # noqa: S307 - our own text


@settings(deadline=None)
@given(condition=CONDITIONS, steps=STEPS)
def test_any_condition_is_met_as_a_naive_model_says_by_any_order_of_events(
    condition: AssetCondition, steps: list[str]
) -> None:
    """The model knows one set of events since the last run, whatever happened in between."""
    names = {asset.name for asset in assets_in(condition)}
    leader = of(consumer(condition), producer(empty("make", outlets=(A, B, C, D))))
    paused, there, since, expected = False, True, [], []
    for step in steps:
        match step:
            case "pause" | "unpause":
                paused = step == "pause"
                pause(leader, on=paused)
            case "gone" | "back":
                there = step == "back"
                leader.parse(
                    producer(empty("make", outlets=(A, B, C, D))), *([consumer(condition)] if there else [])
                )
            case "restart":
                leader.restart()
            case _:
                emit(leader, step)
                since += [step] if step in names else []
        if not paused and there and since and holds(condition, set(since)):
            expected.append({name: since.count(name) for name in sorted(set(since))})
            since = []
    assert consumed(leader) == expected
    assert {key[1]: row.events.count for key, row in leader.rows["gathered"].items()} == {
        name: since.count(name) for name in set(since)
    }
    assert all(run.state is RunState.SUCCESS for run in runs(leader))
