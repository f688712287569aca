"""What the engine has, keys that only one may hold, holds, pools that change, and who may pass whom."""

from datetime import timedelta
from random import Random

import msgspec
import pytest
from planning_sim import SETTINGS, Leader, container, dag, prepared

from orchestrator.ids import RunKey
from orchestrator.planning.changes import Launch, PinImages, Prepare
from orchestrator.planning.events import EngineSized, ImagesPinned, Prepared
from orchestrator.planning.explain import explain_task
from orchestrator.planning.rows import Pool, RequestKind
from orchestrator.spec.container import EngineCapacity, Share
from orchestrator.spec.dag import DagSpec, TaskSpec
from orchestrator.states import ReasonCode, RunState, TaskState

GIB = 1024**3
ENGINE = EngineCapacity(
    cpus=2, memory=4 * GIB, version="20.10", api_version="1.41", architecture="amd64", os="linux"
)


def sized(*tasks: TaskSpec, capacity: EngineCapacity | None = ENGINE, **arguments: object) -> Leader:
    leader = Leader()
    leader.parse(dag(*tasks, **arguments))
    if capacity is not None:
        leader.turn(EngineSized(capacity=capacity))
    return leader


def ready(leader: Leader, shares: dict[str, Share]) -> dict[str, Launch]:
    """Prepare what is queued, each with its share; what was launched then, by task id."""
    for pin in leader.take(PinImages):
        leader.turn(ImagesPinned(run=pin.run, pins={name: f"{name}:1" for name in pin.images}))
    leader.turn(*(_sharing(effect, shares) for effect in leader.take(Prepare)))
    return launched(leader)


def _sharing(effect: Prepare, shares: dict[str, Share]) -> Prepared:
    event = prepared(effect)
    share = shares.get(effect.task.key.task_id, Share())
    return msgspec.structs.replace(event, spec=msgspec.structs.replace(event.spec, share=share))


def launched(leader: Leader) -> dict[str, Launch]:
    return {launch.attempt.key.task.task_id: launch for launch in leader.take(Launch)}


def why(leader: Leader, key: RunKey, task_id: str) -> tuple[ReasonCode, str]:
    reason = explain_task(leader.world, leader.task(key, task_id).key, leader.present)
    assert reason is not None
    return reason.code, reason.text


class TestEngine:
    def test_limits_never_add_up_to_more_than_the_engine_has(self) -> None:
        leader = sized(container("a"), container("b"), container("c"))
        key = leader.trigger()
        half = Share(cpus=1.0)
        launches = ready(leader, {"a": half, "b": half, "c": half})
        assert sorted(launches) == ["a", "b"]
        assert why(leader, key, "c") == (ReasonCode.ENGINE_FULL, "cpus: 2 cpus of 2 cpus taken, 1 cpus needed")
        leader.exit(launches["a"])
        assert list(launched(leader)) == ["c"]

    def test_memory_is_counted_as_well(self) -> None:
        leader = sized(container("a"), container("b"))
        key = leader.trigger()
        launches = ready(leader, {"a": Share(memory=3 * GIB), "b": Share(memory=2 * GIB)})
        assert list(launches) == ["a"]
        code, text = why(leader, key, "b")
        assert code is ReasonCode.ENGINE_FULL
        assert text == ("mem_limit: 3072 MiB of memory of 4096 MiB of memory taken, 2048 MiB of memory needed")

    def test_who_asks_for_more_than_there_is_fails_at_once(self) -> None:
        leader = sized(container("a"))
        key = leader.trigger()
        assert ready(leader, {"a": Share(cpus=8)}) == {}
        reason = leader.task(key, "a").reason
        assert reason is not None
        assert (reason.code, reason.text) == (
            ReasonCode.ENGINE_TOO_SMALL,
            "it asks for 8 cpus, and the engine has 2 cpus",
        )
        assert leader.run(key).state is RunState.FAILED

    def test_until_the_engine_has_told_only_who_declares_limits_waits(self) -> None:
        leader = sized(container("a"), container("b"), capacity=None)
        key = leader.trigger()
        assert list(ready(leader, {"a": Share(cpus=1)})) == ["b"]
        assert why(leader, key, "a")[0] is ReasonCode.ENGINE_DOWN
        leader.turn(EngineSized(capacity=ENGINE))
        assert list(launched(leader)) == ["a"]

    def test_a_site_may_say_how_much_there_is(self) -> None:
        leader = Leader(msgspec.structs.replace(SETTINGS, engine_cpus=0.5))
        leader.parse(dag(container("a"), container("b")))
        leader.trigger()
        small = Share(cpus=0.5)
        assert list(ready(leader, {"a": small, "b": small})) == ["a"]

    def test_what_runs_is_counted_by_a_process_that_starts(self) -> None:
        leader = sized(container("a"), container("b"))
        leader.trigger()
        all_of_it = Share(cpus=2)
        (running,) = ready(leader, {"a": all_of_it, "b": all_of_it}).values()
        leader.restart()
        leader.turn(EngineSized(capacity=ENGINE))
        assert ready(leader, {"b": all_of_it}) == {}
        leader.exit(running)
        assert list(launched(leader)) == ["b"]


class TestPatience:
    def stage(self) -> tuple[Leader, RunKey, dict[str, Launch], dict[str, Share]]:
        """`big` needs the whole engine; small ones are running, and more of them come."""
        small = [container(f"s{number}") for number in range(6)]
        leader = sized(container("big", priority_weight=9), *small, max_active_tasks=99)
        key = leader.trigger()
        shares = {"big": Share(cpus=2), **{f"s{number}": Share(cpus=1) for number in range(6)}}
        pins = leader.take(PinImages)
        leader.turn(*(ImagesPinned(run=pin.run, pins={"tools": "tools:1"}) for pin in pins))
        effects = {effect.task.key.task_id: effect for effect in leader.take(Prepare)}
        leader.turn(_sharing(effects.pop("s0"), shares))
        leader.turn(*(_sharing(effect, shares) for effect in effects.values()))
        return leader, key, launched(leader), shares

    def test_small_ones_may_pass_for_a_minute_and_no_longer(self) -> None:
        leader, key, running, _ = self.stage()
        assert sorted(running) == ["s0", "s1"]
        leader.exit(running.pop("s0"))
        assert sorted(launched(leader)) == ["s2"]
        leader.now += timedelta(seconds=60)
        leader.exit(running.pop("s1"))
        assert launched(leader) == {}
        code, text = why(leader, key, "s3")
        assert code is ReasonCode.ENGINE_FULL
        assert text == "cpus: 1 cpus of 2 cpus taken, 2 cpus kept for what has waited longer, 1 cpus needed"

    def test_what_waited_runs_as_soon_as_there_is_room(self) -> None:
        leader, _, running, _ = self.stage()
        leader.now += timedelta(seconds=60)
        leader.exit(running["s0"])
        assert launched(leader) == {}
        leader.exit(running["s1"])
        assert list(launched(leader)) == ["big"]

    def test_who_is_held_back_by_its_own_cap_keeps_nothing_from_others(self) -> None:
        leader = sized(
            container("big", priority_weight=9, max_active_tis_per_dag=1), container("small"), max_active_runs=2
        )
        leader.trigger()
        shares = {"big": Share(cpus=1.5), "small": Share(cpus=0.5)}
        first = ready(leader, shares)
        assert sorted(first) == ["big", "small"]
        leader.trigger()
        ready(leader, shares)
        leader.now += timedelta(seconds=61)
        leader.exit(first["small"])
        assert list(launched(leader)) == ["small"]


class TestKeys:
    def test_of_those_with_one_key_one_runs_whatever_its_dag(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a")), dag(container("b"), dag_id="e"))
        leader.trigger("d")
        other = leader.trigger("e")
        same = Share(key="warehouse")
        running = ready(leader, {"a": same, "b": same})
        assert list(running) == ["a"]
        assert why(leader, other, "b") == (
            ReasonCode.CONCURRENCY_KEY,
            "concurrency_key warehouse: 1 of 1 taken",
        )
        leader.exit(running["a"])
        assert list(launched(leader)) == ["b"]

    def test_different_keys_do_not_hinder_each_other(self) -> None:
        leader = sized(container("a"), container("b"))
        leader.trigger()
        assert sorted(ready(leader, {"a": Share(key="x"), "b": Share(key="y")})) == ["a", "b"]


class TestHold:
    def test_on_hold_nothing_new_starts_and_what_runs_goes_on(self) -> None:
        leader = sized(container("a"), container("b", "a"))
        key = leader.trigger()
        running = ready(leader, {})
        assert leader.ask(RequestKind.PAUSE, dag_id="d", hold=True).ok
        leader.exit(running["a"])
        assert ready(leader, {}) == {}
        assert leader.task(key, "b").state is TaskState.QUEUED
        assert why(leader, key, "b")[0] is ReasonCode.HELD
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        assert list(launched(leader)) == ["b"]

    def test_a_pause_alone_lets_open_runs_finish(self) -> None:
        leader = sized(container("a"), container("b", "a"))
        leader.trigger()
        running = ready(leader, {})
        leader.ask(RequestKind.PAUSE, dag_id="d")
        leader.exit(running["a"])
        assert list(ready(leader, {})) == ["b"]


class TestPools:
    def test_a_pool_can_be_made_and_given_more_slots(self) -> None:
        leader = sized(container("a", pool="db"), container("b", pool="db"))
        assert leader.ask(RequestKind.SET_POOL, name="db", slots=1).ok
        leader.trigger()
        assert list(ready(leader, {})) == ["a"]
        leader.ask(RequestKind.SET_POOL, name="db", slots=2)
        assert list(launched(leader)) == ["b"]

    def test_a_pool_with_fewer_slots_than_are_taken_lets_nothing_more_in(self) -> None:
        leader = Leader(pools=[Pool(name="db", slots=2)])
        leader.parse(dag(*(container(name, pool="db") for name in "abc")))
        leader.trigger()
        running = ready(leader, {})
        leader.ask(RequestKind.SET_POOL, name="db", slots=1)
        leader.exit(running["a"])
        assert launched(leader) == {}
        leader.exit(running["b"])
        assert list(launched(leader)) == ["c"]

    @pytest.mark.parametrize(
        ("name", "slots", "error"),
        [
            ("a b", 1, "'a b' cannot be the name of a pool: use letters, digits and ._- only"),
            ("db", -1, "a pool has 0 or more slots, not -1"),
            ("db", "many", "a pool has 0 or more slots, not 'many'"),
        ],
    )
    def test_what_no_pool_can_be_is_refused(self, name: str, slots: object, error: str) -> None:
        assert Leader().ask(RequestKind.SET_POOL, name=name, slots=slots).error == error

    def test_a_pool_that_tasks_name_is_not_removed(self) -> None:
        leader = sized(container("a", pool="db"))
        leader.ask(RequestKind.SET_POOL, name="db", slots=1)
        assert "is used by d" in leader.ask(RequestKind.DROP_POOL, name="db").error
        leader.parse(dag(container("a")))
        assert leader.ask(RequestKind.DROP_POOL, name="db").ok
        assert leader.ask(RequestKind.DROP_POOL, name="db").error.startswith("no pool 'db'")

    def test_the_default_pool_is_built_in_so_only_its_number_can_be_removed(self) -> None:
        leader = Leader()
        leader.ask(RequestKind.SET_POOL, name="default_pool", slots=1)
        assert leader.ask(RequestKind.DROP_POOL, name="default_pool").ok
        error = leader.ask(RequestKind.DROP_POOL, name="default_pool").error
        assert error.startswith("the pool 'default_pool' is built in, with the ")


class TestFailedInRow:
    spec: DagSpec = dag(container("a"), max_consecutive_failed_dag_runs=2)

    def end(self, leader: Leader, code: int) -> None:
        leader.trigger()
        (launch,) = ready(leader, {}).values()
        leader.exit(launch, code)

    def test_too_many_failed_runs_in_a_row_pause_the_dag_and_say_so(self) -> None:
        leader = Leader()
        leader.parse(self.spec)
        for code in (1, 0, 1):
            self.end(leader, code)
        assert not leader.rows["dags"]["d"].paused
        self.end(leader, 1)
        assert leader.rows["dags"]["d"].paused
        assert leader.rows["dags"]["d"].pause_reason.code is ReasonCode.FAILED_IN_ROW

    def test_who_unpauses_it_begins_to_count_anew(self) -> None:
        leader = Leader()
        leader.parse(self.spec)
        self.end(leader, 1)
        self.end(leader, 1)
        leader.ask(RequestKind.UNPAUSE, dag_id="d")
        self.end(leader, 1)
        assert not leader.rows["dags"]["d"].paused

    def test_without_the_limit_nothing_is_counted(self) -> None:
        leader = Leader()
        leader.parse(dag(container("a")))
        self.end(leader, 1)
        assert leader.rows["dags"]["d"].failed_in_row == 0


@pytest.mark.parametrize("seed", range(40))
def test_a_random_workload_exceeds_no_limit_at_any_instant_and_ends(seed: int) -> None:
    """Checked after every turn by the sum over open tries; nobody starves, however large."""
    random = Random(seed)  # noqa: S311 - a workload, not a secret
    tasks = [container(f"t{number}", pool=random.choice(["default_pool", "db"])) for number in range(30)]
    leader = Leader(pools=[Pool(name="db", slots=2)])
    leader.parse(dag(*tasks, max_active_tasks=6))
    leader.turn(EngineSized(capacity=ENGINE))
    shares = {
        task.task_id: Share(
            cpus=random.choice([0, 0.25, 1, 2]),
            memory=random.choice([0, GIB, 3 * GIB]),
            key=random.choice([None, None, "k"]),
        )
        for task in tasks
    }
    key = leader.trigger()
    running = ready(leader, shares)
    while running:
        open_now = [shares[name] for name in running]
        assert sum(share.cpus for share in open_now) <= ENGINE.cpus
        assert sum(share.memory for share in open_now) <= ENGINE.memory
        assert [share.key for share in open_now].count("k") <= 1
        assert len(running) <= 6
        leader.now += timedelta(seconds=random.randint(1, 50))
        leader.exit(running.pop(random.choice(sorted(running))))
        running |= launched(leader)
    assert leader.run(key).state is RunState.SUCCESS
