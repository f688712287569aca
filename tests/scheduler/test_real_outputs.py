"""Outputs, results and inputs on a real engine, through whole schedulers: for any user, read-only containers, and
what fails."""

from pathlib import Path

import pytest
from real_runs import RealRuns

from orchestrator.spec.artifacts import LostFile

pytestmark = pytest.mark.engine

#: Writes as any user, into a volume where the rest is read-only.
WRITES = "mkdir -p /work/deep && printf a > /work/a.csv && printf bb > /work/deep/b.csv && printf c > /work/c.txt"


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ("", 0),
        ("user='1234', mounts=[Mount.run('/work')]", 0),
        ("user='1234', read_only=True, mounts=[Mount.run('/work')]", 3),
    ],
)
def test_every_kind_of_container_hands_files_on(real_runs: RealRuns, arguments: str, exit_code: int) -> None:
    ended = real_runs.run(
        f"a = DockerOperator(task_id='a', script={f'{WRITES}; exit {exit_code}'!r},"
        f" outputs=['/work/**/*.csv'], {arguments})",
        "b = DockerOperator(task_id='b', user='4321', trigger_rule='all_done',"
        " inputs={'/in/b.csv': '{{ output(\"a\", \"/work/deep/b.csv\") }}',"
        " '/all': '{{ output(\"a\", \"/work\") }}'},"
        " script='cat /in/b.csv /all/a.csv /all/deep/b.csv')",
        "a >> b",
    )
    assert ended.view.results["b"] == "bbabb"
    (kept,) = [harvest for harvest in ended.harvests if harvest.artifacts]
    assert [(each.path, each.size) for each in kept.artifacts] == [("/work/a.csv", 1), ("/work/deep/b.csv", 2)]
    assert ended.containers == ()


def test_a_failed_try_says_what_it_wrote_where_nothing_keeps_it(real_runs: RealRuns) -> None:
    script = (
        "mkdir -p /data/out && printf abc > /data/out/a.csv && printf 1 > /kept/b && echo x > /tmp/scratch; exit 1"
    )
    ended = real_runs.run(
        f"DockerOperator(task_id='t', script={script!r}, mounts=[Mount.run('/kept')], inputs={{'/in': 'x'}})"
    )
    (harvest,) = ended.harvests
    assert harvest.lost == (LostFile(path="/data/out/a.csv", size=3),)
    assert harvest.sentences == ("wrote /data/out/a.csv, 3 B; no mount covers it",)


def test_a_result_is_checked_against_its_schema(real_runs: RealRuns) -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}
    ended = real_runs.run(
        *(
            f"DockerOperator(task_id='{name}', result_schema={schema!r},"
            f" script={f'echo {value} > $ORCHESTRATOR_RESULT'!r})"
            for name, value in (("good", "'{\"rows\": 3}'"), ("bad", '\'{"rows": "three"}\''))
        )
    )
    assert ended.states == {"good": "success", "bad": "failed"}
    assert ended.reasons == {"bad": "result_invalid"}
    (reason,) = [task.reason for task in ended.view.tasks if task.reason]
    assert reason.text == "its result does not fit result_schema: $.rows: 'three' is not of type 'integer'"


def test_a_template_file_is_rendered_where_it_stands(real_runs: RealRuns) -> None:
    (real_runs.root / "dags" / "q.sql").write_text("select '{{ dag.dag_id }}'\n")
    ended = real_runs.run(
        "from orchestrator import TemplateFile",
        "DockerOperator(task_id='t', inputs={'/q.sql': TemplateFile('q.sql')}, script='cat /q.sql')",
    )
    assert ended.view.results == {"t": "select 'd'"}


def test_what_is_written_beside_a_root_comes_into_it_with_the_success(real_runs: RealRuns) -> None:
    root = real_runs.root / ".orchestrator" / "data" / "r"
    (root / "day").mkdir(parents=True)
    (root / "day" / "old").write_text("1")
    atomic, plain = "mounts=[Mount.root('r', '/d', atomic=True)]", "mounts=[Mount.root('r', '/d', read_only=True)]"
    ended = real_runs.run(
        f"bad = DockerOperator(task_id='bad', script='echo 2 > /d/bad; exit 1', {atomic})",
        "good = DockerOperator(task_id='good', trigger_rule='all_done', user='1234',"
        f" script='test -z \"$(ls -A /d)\"; mkdir /d/day /d/new; echo 2 > /d/day/a; echo 2 > /d/new/b', {atomic})",
        f"look = DockerOperator(task_id='look', script='cd /d; echo $(find . -type f | sort)', {plain})",
        "bad >> good >> look",
    )
    assert ended.states == {"bad": "failed", "good": "success", "look": "success"}
    assert ended.view.results["look"] == "./day/a ./day/old ./new/b"
    assert sorted(path.name for path in root.iterdir()) == ["day", "new"]
    assert (ended.containers, (root / "new" / "b").stat().st_uid) == ((), 1234)
