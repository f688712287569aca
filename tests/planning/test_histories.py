"""Histories as good as random: DAGs of everything there is, people who ask for anything at any time, processes that
end, turns that the database refuses. What must hold after every turn, holds; and everything comes to an end.

A seed names a history. `play(seed)` plays it again.
"""

from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec
import pytest
from planning_people import Wilderness
from planning_sim import SETTINGS, Leader

from orchestrator.ids import UNMAPPED, RunKey, TaskKey
from orchestrator.planning.changes import Change, Launch
from orchestrator.planning.events import Event
from orchestrator.states import RunState, RunType, TaskState

#: How many histories are played, and how many in the long version.
HISTORIES, MANY = 240, 6_000
BATCHES = 4
#: After which part of the turns the world is built from rows.
OFTEN = 0.2


class Witness(Leader):
    """Looks at all of it after every turn, and builds the world from rows after some."""

    def __init__(self, random: Random) -> None:
        self.random = random
        super().__init__(msgspec.structs.replace(SETTINGS, parallelism=random.randint(1, 4)))

    def turn(self, *events: Event) -> tuple[Change, ...]:
        changes = super().turn(*events)
        for change in changes:
            if isinstance(change, Launch):
                self._check_launch(change.attempt.key.task)
        return changes

    def _check_launch(self, key: TaskKey) -> None:
        run = self.run(key.run)
        assert run.state is RunState.RUNNING, "tries belong to running runs"
        doomed = run.reason is not None and self.world.task_spec(key).teardown is None
        stopped = self.world.tries[self.world.open_try[key]].stop_requested_at is not None
        assert not doomed or stopped, "in a doomed run nothing starts but teardowns"

    def _check_rebuilt(self) -> None:
        if self.random.random() < OFTEN:
            super()._check_rebuilt()

    def _check(self) -> None:
        super()._check()
        self._check_runs()
        self._check_instances()
        for key in self.rows["results"]:
            assert self.rows["tasks"][key].state is TaskState.SUCCESS, "only what succeeded has a result"

    def _check_runs(self) -> None:
        for key, task in self.rows["tasks"].items():
            match self.run(key.run).state:
                case RunState.QUEUED:
                    assert task.state.final or task.state is TaskState.WAITING, "nothing begins before its run"
                case RunState.SUCCESS | RunState.FAILED:
                    assert task.state.final, "a run that ended has ended altogether"
                case _:
                    pass
        filling = Counter(run.backfill for run in self.rows["runs"].values() if not run.state.final)
        for number, backfill in self.rows["backfills"].items():
            assert filling[number] <= backfill.max_active_runs
            assert not (filling[number] and backfill.ended_at), "a backfill ends with its runs"
        dates = Counter(
            run.interval.start for run in self.rows["runs"].values() if run.run_type is not RunType.MANUAL
        )
        assert all(number == 1 for number in dates.values()), "an interval has one run"

    def _check_instances(self) -> None:
        """Of what is expanded together, either one stands for each task, or there are the same of each; but for
        those that are about to go."""
        for run in dict(self.world.runs.items()):
            for unit in self.world.blueprint(run).units.values():
                found = [self._indexes(run, task_id) for task_id in unit.tasks]
                assert all(each == found[0] for each in found), (unit.name, found)
                assert UNMAPPED not in found[0] or found[0] == [UNMAPPED] or self.run(run).state is RunState.QUEUED

    def _indexes(self, run: RunKey, task_id: str) -> list[int]:
        tasks = [self.world.tasks[key] for key in self.world.instances(run, task_id)]
        return [task.key.map_index for task in tasks if task.target is not TaskState.REMOVED]


def play(seed: int) -> None:
    """One history, to its end."""
    random = Random(seed)  # noqa: S311 - a history, no secret
    leader = Witness(random)
    wilderness = Wilderness(leader, random)
    wilderness.live(random.randint(10, 60))
    wilderness.calm()
    assert not [run.key for run in leader.rows["runs"].values() if not run.state.final]
    assert wilderness.asked_for.keys() == leader.answers.keys(), "everybody is answered"
    for table in ("runs", "tasks", "tries", "parents", "came_to", "unfinished", "used", "backfills", "questions"):
        assert not list(getattr(leader.world, table).items()), table
    _check_teardowns(leader, wilderness.touched)


def _check_teardowns(leader: Leader, touched: Iterable[RunKey]) -> None:
    """Where nobody said otherwise, what was set up was taken down, or it was tried."""
    for run in leader.rows["runs"].values():
        if run.key in touched or run.cleared_at is not None:
            continue
        spec = leader.rows["versions"][run.key.dag_id, run.version].spec
        for task in spec.tasks:
            if task.teardown is None or task.group is not None:
                continue
            up = leader.rows["tasks"].get(TaskKey("d", run.key.run_id, task.teardown.setups[0]))
            if up is not None and up.state is TaskState.SUCCESS:
                assert leader.task(run.key, task.task_id).state is not TaskState.UPSTREAM_FAILED


def play_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        try:
            play(seed)
        except Exception as fault:
            fault.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_happens_what_must_hold_holds_and_all_comes_to_an_end(batch: int) -> None:
    play_all(range(batch, HISTORIES, BATCHES))


@pytest.mark.long
@pytest.mark.parametrize("batch", range(BATCHES))
def test_of_very_many_histories_all_hold(batch: int) -> None:
    play_all(range(HISTORIES + batch, MANY, BATCHES))
