"""`clear`, `mark`, `kill` and `cancel`, as far as they only look and ask: what is shown beforehand, which run is
meant, and who is asked."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from click import Command
from click.testing import CliRunner
from store_rows import DAY, NOW, run, task, write

from orchestrator.actions import Outcome
from orchestrator.cli import approvals, reruns
from orchestrator.cli.session import shown_run
from orchestrator.clock import Clock, SystemClock
from orchestrator.errors import RequestRefusedError
from orchestrator.ids import DeploymentId
from orchestrator.planning.changes import PutDag, PutRun, PutTask, PutVersion
from orchestrator.planning.rows import Dag, DagVersion, Interval
from orchestrator.ports import Page
from orchestrator.queries import Queries
from orchestrator.settings import Project, Settings
from orchestrator.spec.container import Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec, Teardown, version_of
from orchestrator.states import RunState, RunType, TaskState
from orchestrator.store import SqlStore
from orchestrator.tasklogs.store import FileLogStore
from orchestrator.testing.manual_clock import ManualClock

SPEC = DagSpec(
    dag_id="shop",
    file="shop.py",
    tasks=(
        TaskSpec(task_id="up", setup=True),
        TaskSpec(task_id="total", upstream=("up",)),
        TaskSpec(task_id="drop", upstream=("up", "total"), teardown=Teardown(setups=("up",))),
    ),
)
VERSION = DagVersion(dag_id="shop", version=version_of(SPEC), spec=SPEC, created_at=NOW)


class Shop:
    """A deployment as a command sees it: ended runs of a DAG, all of one day."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore.in_memory(DeploymentId("0a1b2c3d"))
        self.store.take_lead("test", NOW)
        self._folder = folder
        self.clock: Clock = SystemClock()
        self.project = Project(root=folder, home=folder, settings=Settings(), sources={}, engine_environment={})
        self.acted: list[str] = []
        dag = Dag(dag_id="shop", version=VERSION.version, file="shop.py", paused=False, since=NOW)
        write(self.store, PutVersion(version=VERSION), PutDag(dag=dag))

    def put_run(self, run_id: str, state: RunState = RunState.SUCCESS, **tasks_are: TaskState) -> None:
        """All its tasks have succeeded, but for those that are said to be something else."""
        made = run("shop", run_id, state, version=VERSION.version)
        states = {each.task_id: tasks_are.get(each.task_id, TaskState.SUCCESS) for each in SPEC.tasks}
        tasks = [task(made, task_id, state) for task_id, state in states.items()]
        write(self.store, PutRun(run=made, before=None), *(PutTask(task=each, before=None) for each in tasks))

    def put_dated(self, run_id: str, day: int) -> None:
        interval = Interval(start=NOW + day * DAY, end=NOW + (day + 1) * DAY)
        scheduled = {"run_type": RunType.SCHEDULED, "interval": interval, "version": VERSION.version}
        made = run("shop", run_id, RunState.SUCCESS, **scheduled)
        tasks = [task(made, each.task_id, TaskState.SUCCESS) for each in SPEC.tasks]
        write(self.store, PutRun(run=made, before=None), *(PutTask(task=each, before=None) for each in tasks))

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        yield Queries(self.store, FileLogStore(self._folder))

    @contextmanager
    def actions(self) -> Iterator["Acts"]:
        yield Acts(self.acted)


class Acts:
    """Remembers what was asked for, which no scheduler answers."""

    def __init__(self, acted: list[str]) -> None:
        self._acted = acted

    def __getattr__(self, name: str) -> Callable[..., Outcome]:
        def act(*_: object, **__: object) -> Outcome:
            self._acted.append(name)
            return Outcome(request_id=1, answer=None)

        return act


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    made = Shop(tmp_path)
    for module in (reruns, approvals):
        monkeypatch.setattr(module, "open_app", lambda: made)
    made.put_run("manual__1")
    yield made
    made.store.close()


@pytest.mark.usefixtures("shop")
def test_a_dry_run_shows_what_runs_again_and_why() -> None:
    said = CliRunner().invoke(reruns.clear_tasks, ["shop", "total", "--dry-run"])
    rows = [line.split(maxsplit=3)[1:] for line in said.stdout.splitlines()]
    assert ["total", "success", "named"] in rows
    assert ["up", "success", "tied to it"] in rows
    assert ["drop", "success", "tied to it"] in rows


@pytest.mark.usefixtures("shop")
def test_a_mark_touches_nothing_else() -> None:
    said = CliRunner().invoke(reruns.mark_tasks, ["shop", "total", "--as", "failed", "--dry-run"])
    assert "total" in said.stdout
    assert "drop" not in said.stdout


def test_a_kill_shows_nothing_that_has_ended(shop: Shop) -> None:
    shop.put_run("manual__2", RunState.RUNNING, total=TaskState.RUNNING, drop=TaskState.WAITING)
    said = CliRunner().invoke(reruns.kill_tasks, ["shop", ".*", "manual__2", "--dry-run"])
    assert [line.split()[1:] for line in said.stdout.splitlines()[1:]] == [
        ["total", "running"],
        ["drop", "waiting"],
    ]
    ended = CliRunner().invoke(reruns.kill_tasks, ["shop", ".*", "manual__1", "--dry-run"])
    assert "nothing that runs is meant" in ended.output


def test_a_mark_of_a_whole_run_says_what_is_taken_down_all_the_same(shop: Shop) -> None:
    shop.put_run("manual__2", RunState.RUNNING, total=TaskState.RUNNING, drop=TaskState.WAITING)
    words = ["shop", "manual__2", "--as", "failed", "--dry-run"]
    said = CliRunner().invoke(reruns.mark_runs, words)
    assert [line.split()[1:] for line in said.stdout.splitlines()[1:]] == [["total", "running"]]
    assert "what was set up is still taken down, by drop: name that to mark it" in said.stderr


class TestVolumeThatIsGone:
    """`up` writes into the run's volume, `total` reads from it."""

    @pytest.fixture(autouse=True)
    def mounted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        writes, reads = (
            ContainerTemplate(mounts=(Mount(type=MountType.RUN, target="/data", read_only=read_only),))
            for read_only in (False, True)
        )
        tasks = (
            TaskSpec(task_id="up", container=writes),
            TaskSpec(task_id="total", upstream=("up",), container=reads),
            TaskSpec(task_id="drop", upstream=("total",)),
        )
        spec = DagSpec(dag_id="shop", file="shop.py", tasks=tasks)
        version = DagVersion(dag_id="shop", version=version_of(spec), spec=spec, created_at=NOW)
        monkeypatch.setattr(sys.modules[__name__], "SPEC", spec)
        monkeypatch.setattr(sys.modules[__name__], "VERSION", version)

    def test_who_misses_what_was_in_it_is_told_and_how_to_have_it_written_again(self, shop: Shop) -> None:
        said = CliRunner().invoke(reruns.clear_tasks, ["shop", "total", "--dry-run"])
        ended, gone = NOW + DAY, NOW + DAY + timedelta(hours=1)
        assert shop.store.runs("shop", Page(limit=1))[0].ended_at == ended
        assert said.stderr.splitlines()[0] == (
            "warning: the volume of the run manual__1, which ended as success, was kept for 1:00:00 and is gone "
            f"since {gone.isoformat(timespec='seconds')}: total will find it empty, and what wrote into it "
            "does not run again (up). "
            "Clear both: `orchestrator tasks clear shop 'up|total' manual__1`"
        )

    @pytest.mark.parametrize("words", [["total", "--upstream"], ["up|total"], ["drop"], ["up"]])
    def test_where_nothing_is_missed_nothing_is_said(self, shop: Shop, words: list[str]) -> None:
        del shop
        said = CliRunner().invoke(reruns.clear_tasks, ["shop", *words, "--dry-run"])
        assert said.exit_code == 0
        assert "volume" not in said.output

    def test_while_it_is_kept_nothing_is_said(self, shop: Shop) -> None:
        shop.clock = ManualClock(NOW + DAY + timedelta(minutes=59))
        assert "volume" not in CliRunner().invoke(reruns.clear_tasks, ["shop", "total", "--dry-run"]).output


DATE = "2024-02-28"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (reruns.clear_runs, ["shop", DATE, "--dry-run"]),
        (reruns.clear_tasks, ["shop", "total", DATE, "--yes"]),
        (reruns.mark_runs, ["shop", DATE, "--as", "failed"]),
        (reruns.mark_tasks, ["shop", "total", DATE, "--as", "failed"]),
        (reruns.kill_tasks, ["shop", "total", DATE]),
        (reruns.cancel_run, ["shop", DATE]),
        (approvals.approve_task, ["shop", "total", DATE]),
    ],
)
def test_a_date_that_several_runs_have_names_none_to_change(shop: Shop, command: Command, words: list[str]) -> None:
    shop.put_run("manual__2")
    refused = CliRunner().invoke(command, words).exception
    assert isinstance(refused, RequestRefusedError)
    assert "2 runs of shop have the date 2024-02-28: manual__2, manual__1; nothing was changed" in str(refused)


def test_of_several_runs_of_a_date_the_newest_is_shown_and_named(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    with shop.queries() as queries:
        assert shown_run(queries, "shop", DATE).run_id == "manual__1"
        assert capsys.readouterr().err == ""
        shop.put_run("manual__2")
        assert shown_run(queries, "shop", DATE).run_id == "manual__2"
    assert capsys.readouterr().err == "2 runs have this date; this is the newest: manual__2\n"


@pytest.mark.usefixtures("shop")
def test_a_date_that_one_run_has_names_it() -> None:
    said = CliRunner().invoke(reruns.clear_runs, ["shop", DATE, "--dry-run"])
    assert "manual__1" in said.stdout


CHANGES = {
    "clear a run": (reruns.clear_runs, ["shop"]),
    "clear a task": (reruns.clear_tasks, ["shop", "total"]),
    "mark a run": (reruns.mark_runs, ["shop", "--as", "failed"]),
    "mark a task": (reruns.mark_tasks, ["shop", "total", "--as", "failed"]),
    "kill a task": (reruns.kill_tasks, ["shop", "total"]),
    "cancel a run": (reruns.cancel_run, ["shop"]),
}


@pytest.mark.parametrize("change", CHANGES)
class TestAsking:
    def test_on_a_terminal_a_no_changes_nothing(
        self, shop: Shop, change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reruns, "on_terminal", lambda: True)
        shop.put_run("manual__2", RunState.RUNNING, total=TaskState.RUNNING)
        command, words = CHANGES[change]
        said = CliRunner().invoke(command, words, input="n\n")
        assert said.exit_code == 1
        assert "[y/N]" in said.stdout
        assert shop.acted == []

    @pytest.mark.parametrize(("terminal", "yes"), [(False, False), (True, True)])
    def test_without_one_or_with_yes_nobody_is_asked(
        self, shop: Shop, change: str, monkeypatch: pytest.MonkeyPatch, *, terminal: bool, yes: bool
    ) -> None:
        monkeypatch.setattr(reruns, "on_terminal", lambda: terminal)
        command, words = CHANGES[change]
        said = CliRunner().invoke(command, [*words, *(["--yes"] if yes else [])])
        assert said.exit_code == 0, said.output
        assert shop.acted == [change.split(maxsplit=1)[0]]

    @pytest.mark.usefixtures("shop")
    def test_the_help_says_so(self, change: str) -> None:
        said = " ".join(CliRunner().invoke(CHANGES[change][0], ["--help"]).stdout.split())
        assert "Only on a terminal is anybody asked: a script's commands act at once." in said


def test_a_cancel_shows_beforehand_what_becomes_of_each_task(shop: Shop) -> None:
    shop.put_run("manual__2", RunState.RUNNING, total=TaskState.RUNNING, drop=TaskState.WAITING)
    runner, words = CliRunner(), ["shop", "manual__2", "--dry-run"]
    told = [line.split(maxsplit=3)[1:] for line in runner.invoke(reruns.cancel_run, words).stdout.splitlines()[1:]]
    assert told == [
        ["total", "running", "is stopped"],
        ["drop", "waiting", "runs where there is something to take down"],
    ]
    bare = runner.invoke(reruns.cancel_run, [*words, "--no-teardown"]).stdout
    assert bare.splitlines()[-1].endswith("does not run")
    assert (
        "nothing of it is open: it is success"
        in runner.invoke(reruns.cancel_run, ["shop", "manual__1", "--dry-run"]).output
    )
    assert shop.acted == []


@pytest.mark.usefixtures("shop")
def test_a_dry_run_that_means_nothing_names_the_nearest_task() -> None:
    said = CliRunner().invoke(reruns.clear_tasks, ["shop", "totall", "--dry-run"])
    assert "no task is named 'totall'; did you mean 'total'?" in said.output


@pytest.mark.usefixtures("shop")
def test_what_is_no_regular_expression_is_refused() -> None:
    refused = CliRunner().invoke(reruns.clear_tasks, ["shop", "("]).exception
    assert isinstance(refused, RequestRefusedError)
    assert "'(' is no regular expression" in str(refused)


@pytest.mark.usefixtures("shop")
def test_a_dry_run_says_with_which_version_and_images_it_will_run() -> None:
    runner = CliRunner()
    newest = runner.invoke(reruns.clear_runs, ["shop", "--dry-run"])
    assert f"take the newest version of the DAG, {VERSION.version}" in newest.stderr
    recorded = runner.invoke(reruns.clear_runs, ["shop", "--dry-run", "--as-run"])
    assert "keeps the version of the DAG and the images that it had" in recorded.stderr


def test_past_and_future_reach_the_runs_around_one(shop: Shop) -> None:
    for day in (1, 2, 3):
        shop.put_dated(f"scheduled__{day}", day)
    runner = CliRunner()

    def reached(*options: str) -> set[str]:
        said = runner.invoke(
            reruns.clear_tasks, ["shop", "total", "scheduled__2", "--dry-run", *options, "--output", "json"]
        )
        assert said.exit_code == 0, said
        return {row["run_id"] for row in msgspec.json.decode(said.stdout)} - {"manual__1"}

    assert reached() == {"scheduled__2"}
    assert reached("--past") == {"scheduled__1", "scheduled__2"}
    assert reached("--future") == {"scheduled__2", "scheduled__3"}
    assert reached("--past", "--future") == {"scheduled__1", "scheduled__2", "scheduled__3"}
    refused = runner.invoke(reruns.clear_runs, ["shop", "--past", "--from", "2024-01-01", "--to", "2024-01-02"])
    assert refused.exit_code == 2
