"""Random DAGs that make the runs of others and wait for them, told in random orders, over restarts: how each task
ends depends on fates and decisions only."""

from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_engine import Fate, FatefulEngine
from planning_sim import NOW, Leader, container, control, dag

from orchestrator.planning.awaits import ApprovalWait
from orchestrator.planning.changes import LookBack
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.control import Approval, External, Trigger
from orchestrator.states import RunState, TaskState

S, F, K, W = TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.UP_FOR_RESCHEDULE
ENDS = {Fate.SUCCESS: S, Fate.FAILURE: F, Fate.SKIP: K}
DATE = NOW.isoformat()
states_of_tasks = st.lists(st.sampled_from(["success", "failed", "skipped"]), unique=True).map(tuple)


@st.composite
def externals(draw: st.DrawFn) -> External:
    return External(
        dag_id="other",
        task_ids=draw(st.sampled_from([("a",), ("b",), ("a", "b")])),
        allowed_states=draw(states_of_tasks),
        failed_states=draw(states_of_tasks),
        skipped_states=draw(states_of_tasks),
        soft_fail=draw(st.booleans()),
    )


def verdict(wanted: External, states: Mapping[str, TaskState]) -> TaskState:
    """By the words: all allowed lets pass; else one that failed, else one that is skipped; else it waits on."""
    found = [states[name] for name in wanted.task_ids if states[name] not in wanted.allowed_states]
    if not found:
        return S
    if any(state in wanted.failed_states for state in found):
        return K if wanted.soft_fail else F
    return K if any(state in wanted.skipped_states for state in found) else W


class Deciding(FatefulEngine):
    """A person decides, sooner or later; questions of the past are answered once each, in order."""

    def __init__(self, leader: Leader, fates: dict[str, Any], random: Random, *, approves: bool) -> None:
        super().__init__(leader, fates, random)
        self.approves = approves

    def decide(self) -> bool:
        for key, task in list(self.leader.world.tasks.items()):
            if task.state is W and isinstance(task.awaits, ApprovalWait) and self.random.random() < 0.5:
                word = "approve" if self.approves else "reject"
                asked = {"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id, "decision": word}
                assert self.leader.ask(RequestKind.APPROVE, **asked).ok
                return True
        return False

    def to_end(self) -> None:
        for _ in range(1000):
            self._answer_effects()
            if self.told:
                self._turn()
            elif not self.decide() and not self._asked():
                return
        raise AssertionError("it never ended")

    def _asked(self) -> bool:
        """Whether somebody still waits for a person or an answer."""
        waits = [task.awaits for _, task in self.leader.world.tasks.items() if task.state is W]
        return any(isinstance(each, ApprovalWait) for each in waits) or any(
            isinstance(each, LookBack) for each in self.leader.effects
        )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), approves=st.booleans(), random=st.randoms(use_true_random=True))
def test_how_waits_end_follows_from_what_they_wait_for(
    data: st.DataObject, random: Random, *, approves: bool
) -> None:
    fates = {name: [data.draw(st.sampled_from(list(ENDS)), label=name)] for name in ("a", "b")}
    wanted = data.draw(externals())
    leader = Leader()
    other = dag(*(container(name, skip_on_exit_code=(99,)) for name in "ab"), dag_id="other", file="other.py")
    mine = dag(
        control("make", Trigger(dag_id="other", logical_date=DATE, wait=True)),
        control("wait", wanted),
        control("ask", Approval()),
    )
    order = data.draw(st.permutations([(other, "other.py"), (mine, "d.py")]))
    for spec, file in order:
        leader.parse(spec, file=file)
    key = leader.trigger(logical_date=DATE)
    controls = {name: [Fate.SUCCESS] for name in ("make", "wait", "ask")}
    Deciding(leader, fates | controls, random, approves=approves).to_end()
    ended = {name: ENDS[fate] for name, (fate,) in fates.items()}
    made = [run for run in leader.rows["runs"].values() if run.key.dag_id == "other"]
    assert [run.state for run in made] == [RunState.FAILED if F in ended.values() else RunState.SUCCESS]
    assert leader.states(made[0].key) == ended
    assert leader.states(key) == {
        "make": F if F in ended.values() else S,
        "wait": verdict(wanted, ended),
        "ask": S if approves else K,
    }
    assert leader.run(key).state.final is (verdict(wanted, ended) is not W)
