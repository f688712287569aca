"""DAG files come, change, break, clash and go."""

from planning_sim import Leader, container, dag

from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.planning.explain import explain_dag
from orchestrator.planning.rows import RequestKind
from orchestrator.spec.dag import CronSchedule, ParsedFile, Problem, Severity
from orchestrator.states import ReasonCode, RunState

BROKEN = Problem(file="d.py", line=3, rule="syntax", text="invalid syntax")


def problems(leader: Leader, file: str) -> list[str]:
    return [problem.rule for problem in leader.rows["files"][file].parsed.problems]


def test_the_same_dag_again_is_no_new_version() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    leader.now = leader.now.replace(hour=13)
    changes = leader.parse(dag(container("a")))
    assert [type(change).__name__ for change in changes] == ["PutFile"]


def test_a_bad_parse_keeps_the_last_good_version_running() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    leader.turn(FileParsed(parsed=ParsedFile(file="d.py", problems=(BROKEN,))))
    assert leader.rows["dags"]["d"].active
    assert problems(leader, "d.py") == ["syntax"]
    leader.trigger()


def test_a_warning_keeps_nothing_from_being_taken_over() -> None:
    leader = Leader()
    warning = Problem(file="d.py", rule="latest", text="untagged", severity=Severity.WARNING)
    leader.parse(dag(container("a")), problems=(warning,))
    assert "d" in leader.rows["dags"]


def test_a_dag_that_left_its_file_is_inactive_and_its_runs_finish() -> None:
    leader = Leader()
    leader.parse(dag(container("a")), dag(container("a"), dag_id="e"))
    key = leader.trigger("e")
    leader.parse(dag(container("a")))
    assert not leader.rows["dags"]["e"].active
    assert leader.rows["dags"]["d"].active
    assert explain_dag(leader.world, "e", leader.present).code is ReasonCode.DAG_INACTIVE
    leader.exit(*leader.prepare_all())
    assert leader.run(key).state is RunState.SUCCESS
    answer = leader.ask(RequestKind.TRIGGER, dag_id="e")
    assert "inactive" in answer.error


def test_a_removed_file_deactivates_and_its_return_revives() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    leader.ask(RequestKind.PAUSE, dag_id="d")
    leader.turn(FileGone(file="d.py"))
    assert not leader.rows["dags"]["d"].active
    assert leader.rows["files"]["d.py"].gone
    leader.parse(dag(container("a")))
    assert leader.rows["dags"]["d"].active
    assert leader.rows["dags"]["d"].paused


def test_of_two_files_with_one_dag_id_the_first_keeps_it() -> None:
    leader = Leader()
    leader.parse(dag(container("a")))
    leader.parse(dag(container("b"), file="e.py"), file="e.py")
    assert leader.rows["dags"]["d"].file == "d.py"
    assert problems(leader, "e.py") == ["duplicate_id"]
    assert "d.py" in leader.rows["files"]["e.py"].parsed.problems[0].text


def test_a_renamed_file_takes_its_dags_along_in_either_order() -> None:
    moved = dag(container("a"), file="e.py")
    for events in (
        (FileGone(file="d.py"), FileParsed(parsed=ParsedFile(file="e.py", dags=(moved,)))),
        (FileParsed(parsed=ParsedFile(file="e.py", dags=(moved,))), FileGone(file="d.py")),
    ):
        leader = Leader()
        leader.parse(dag(container("a")))
        for event in events:
            leader.turn(event)
        assert leader.rows["dags"]["d"].file == "e.py"
        assert leader.rows["dags"]["d"].active
        assert problems(leader, "e.py") == []
        assert not list(leader.world.refused.items())


def test_a_schedule_that_cannot_be_is_a_problem_of_its_file() -> None:
    leader = Leader()
    leader.parse(dag(container("a"), schedule=CronSchedule(expressions=("61 * * * *",))))
    assert "d" not in leader.rows["dags"]
    assert problems(leader, "d.py") == ["bad_schedule"]


def test_versions_nobody_uses_leave_the_world() -> None:
    leader = Leader()
    for number in range(5):
        leader.parse(dag(container(f"t{number}")))
    assert len(list(leader.world.blueprints.items())) == 1
    assert len(leader.rows["versions"]) == 5
