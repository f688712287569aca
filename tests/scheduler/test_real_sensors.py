"""Sensors in real containers: one try over several of them, and room for others while they wait."""

from pathlib import Path

import pytest
from real_runs import RealRuns

from orchestrator.planning.rows import TryOutcome

pytestmark = pytest.mark.engine

#: A look leaves a mark in the run's volume; the third one finds.
COUNTING = """
from orchestrator import DAG, Cache, DockerOperator, DockerSensor, Mount, task

LOOK = '''
echo x >> /data/looks
n=$(wc -l < /data/looks)
echo "look $n"
[ $n -ge 3 ] || exit 75
echo '{"rows": 7}' > $ORCHESTRATOR_RESULT
'''

@task.sensor(poke_interval=0.1, mounts=[Mount.run("/data")])
def counted(least):
    with open("/data/looks") as file:
        found = len(file.readlines())
    print("found", found)
    with open("/data/looks", "a") as file:
        file.write("x\\n")
    return found if found >= least else None

with DAG("d", fail_fast=True) as dag:
    look = DockerSensor(task_id="look", script=LOOK, poke_interval=0.1, mounts=[Mount.run("/data")])
    never = DockerSensor(task_id="never", command="sh -c 'exit 75'", timeout=1, poke_interval=0.1, soft_fail=True)
    look >> counted(5)
    DockerOperator(task_id="take", command=["echo", look.output["rows"]], cache=Cache(key_extra="{{ ds }}"))
"""
WAITING = """
from orchestrator import DAG, DockerOperator, DockerSensor, Mount

data = [Mount.run("/data")]
with DAG("d") as dag:
    for number in range(6):
        DockerSensor(
            task_id=f"look{number}", command="sh -c 'test -e /data/there || exit 75'", poke_interval=0.5,
            mounts=data, priority_weight=9,
        )
    first = DockerOperator(task_id="first", command="true")
    first >> DockerOperator(task_id="second", command="touch /data/there", mounts=data)
"""


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


def test_not_yet_not_yet_and_there(real_runs: RealRuns) -> None:
    ended = real_runs.run_file(COUNTING)
    assert ended.states == {"look": "success", "never": "skipped", "counted": "success", "take": "success"}
    tries = {each.key.task.task_id: each for each in ended.view.tries}
    assert (tries["look"].key.number, tries["look"].look, tries["look"].outcome) == (1, 3, TryOutcome.SUCCESS)
    assert ended.logs["look"] == b"look 1\nlook 2\nlook 3\n"
    assert ended.logs["counted"] == b"found 3\nfound 4\nfound 5\n"
    assert (ended.view.results["look"], ended.view.results["counted"]) == ({"rows": 7}, 5)
    assert tries["never"].outcome in (TryOutcome.NOT_READY, TryOutcome.FAILED)
    assert ended.reasons["never"] == "sensor_timeout"
    assert tries["take"].note == "not cached: no earlier try with a cache has succeeded"
    assert ended.containers == ()


def test_sensors_that_wait_leave_their_room_to_others(real_runs: RealRuns) -> None:
    ended = real_runs.run_file(WAITING, ORCHESTRATOR__SCHEDULING__DEFAULT_POOL_SLOTS="2")
    assert set(ended.states.values()) == {"success"}
    looks = [each.look for each in ended.view.tries if each.key.task.task_id.startswith("look")]
    assert len(looks) == 6
    assert max(looks) >= 2
