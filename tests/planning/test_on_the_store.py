"""The planner on the real database: after every turn, what the store loads is the world in memory."""

from random import Random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_engine import FatefulEngine
from planning_people import Wilderness
from planning_sim import NOW, Leader
from test_histories import Witness
from test_simulated import FATES, dags

from orchestrator.ids import DeploymentId
from orchestrator.planning.changes import Change, Row
from orchestrator.planning.contents import contents
from orchestrator.planning.rows import Request, RequestKind
from orchestrator.planning.world import World
from orchestrator.spec.dag import DagSpec
from orchestrator.store import SqlStore

ROWS = get_args(Row)


class StoredLeader(Leader):
    """Writes each turn to a store, and is checked against what that loads."""

    def __init__(self, store: SqlStore, *arguments: Any) -> None:
        self.store = store
        self.epoch = store.take_lead("test", NOW)
        self.written: list[Any] = []
        super().__init__(*arguments)

    def request(self, kind: RequestKind, payload: dict[str, Any]) -> Request:
        return self.store.ask(kind, payload, "ann", self.now)

    def restart(self) -> None:
        super().restart()
        self.world = World.of(self.store.load())

    def _write(self, change: Change) -> None:
        super()._write(change)
        if isinstance(change, ROWS):
            self.written.append(change)

    def _check(self) -> None:
        self.store.write(self.epoch, self.written)
        self.written = []
        super()._check()
        assert contents(World.of(self.store.load())) == contents(self.world)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(spec=dags(), data=st.data(), random=st.randoms(use_true_random=True))
def test_a_world_loaded_after_any_turn_is_the_world_in_memory(
    spec: DagSpec, data: st.DataObject, random: Random
) -> None:
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    try:
        leader = StoredLeader(store)
        leader.parse(spec)
        keys = [leader.trigger(), leader.trigger()]
        fates = {task.task_id: data.draw(FATES, label=task.task_id) for task in spec.tasks}
        FatefulEngine(leader, fates, random).run_to_end()
        assert all((run := store.run(key)) is not None and run.state.final for key in keys)
    finally:
        store.close()


class StoredWitness(StoredLeader, Witness):
    """Looks at everything, and at the store."""


def live_wildly(store: SqlStore, seed: int) -> None:
    """A history of people, of an engine, and of refused turns."""
    random = Random(seed)  # noqa: S311 - a history, no secret
    leader = StoredWitness(store, random)
    wilderness = Wilderness(leader, random)
    wilderness.live(40)
    wilderness.calm()
    assert all(store.answer(number) == answer for number, answer in leader.answers.items())
    assert all(store.run(key) == run for key, run in leader.rows["runs"].items())
    assert not store.load().runs


@pytest.mark.parametrize("seed", range(8))
def test_the_store_takes_whatever_happens(seed: int) -> None:
    store = SqlStore.in_memory(DeploymentId("0123abcd"))
    try:
        live_wildly(store, seed)
    finally:
        store.close()
