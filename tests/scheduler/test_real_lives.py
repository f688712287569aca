"""Arguments about the life and the end of a try, each seen on a real engine through a whole scheduler."""

import os
from pathlib import Path

import pytest
from real_runs import RealRuns

pytestmark = pytest.mark.engine


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("script='sleep 60', execution_timeout=0.5, stop_grace=0.2", "timeout"),
        ("script='echo once; sleep 60', idle_timeout=0.5, stop_grace=0.2", "idle_timeout"),
        ("script='sleep 60', start_timeout=0.001, stop_grace=0.2", "start_timeout"),
        ("image='127.0.0.1:1/none:1', script='true', pull_timeout=0.2", "image_pull_failed"),
        ("image='none:1', script='true', pull='never'", "image_missing"),
    ],
)
def test_each_limit_ends_a_try_with_its_own_reason(real_runs: RealRuns, arguments: str, code: str) -> None:
    ended = real_runs.run(f"DockerOperator(task_id='t', {arguments})")
    assert (ended.states, ended.reasons, ended.containers) == ({"t": "failed"}, {"t": code}, ())


def test_a_process_that_goes_on_talking_is_not_idle(real_runs: RealRuns) -> None:
    script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"
    ended = real_runs.run(f"DockerOperator(task_id='t', script='{script}', idle_timeout=2)")
    assert ended.states == {"t": "success"}


def test_who_does_not_heed_the_stop_signal_is_killed_after_its_grace(real_runs: RealRuns) -> None:
    script = 'trap "" TERM; while :; do sleep 1; done'
    ended = real_runs.run(
        f"DockerOperator(task_id='t', script='{script}', execution_timeout=0.5, stop_grace=0.3, stop_signal='TERM')"
    )
    (attempt,) = ended.view.tries
    assert attempt.exit is not None
    assert attempt.exit.exit_code == 137
    assert attempt.stop_requested_at is not None
    assert attempt.ended_at is not None
    assert (attempt.ended_at - attempt.stop_requested_at).total_seconds() < 10


def test_the_container_of_a_failed_try_stays_where_it_is_asked_for(real_runs: RealRuns) -> None:
    ended = real_runs.run(
        "DockerOperator(task_id='bad', script='exit 3', keep_failed=True)",
        "DockerOperator(task_id='good', script='true', keep_failed=True)",
        "DockerOperator(task_id='other', script='exit 3')",
    )
    assert [facts.labels["orchestrator.task_id"] for facts in ended.containers] == ["bad"]


def test_exit_codes_mean_what_the_task_says(real_runs: RealRuns) -> None:
    ended = real_runs.run(
        "DockerOperator(task_id='skip', script='exit 99', skip_on_exit_code=99)",
        "DockerOperator(task_id='never', script='exit 2', retries=1, retry_delay=0, fail_exit_codes=2)",
        "DockerOperator(task_id='only', script='exit 2', retries=1, retry_delay=0, retry_exit_codes=[3])",
        "DockerOperator(task_id='again', script='exit 3', retries=1, retry_delay=0, retry_exit_codes=[3])",
    )
    assert ended.states == {"skip": "skipped", "never": "failed", "only": "failed", "again": "failed"}
    tries = [attempt.key.task.task_id for attempt in ended.view.tries]
    assert {task_id: tries.count(task_id) for task_id in tries} == {"skip": 1, "never": 1, "only": 1, "again": 2}


def test_results_come_from_where_the_task_says(real_runs: RealRuns) -> None:
    talk = "echo one; echo two"
    ended = real_runs.run(
        f"DockerOperator(task_id='last', script='{talk}')",
        f"DockerOperator(task_id='all', script='{talk}', xcom_all=True)",
        f"DockerOperator(task_id='none', script='{talk}', xcom=None)",
        f"DockerOperator(task_id='no', script='{talk}', do_xcom_push=False)",
        "DockerOperator(task_id='file', script='echo [1] > /out', retrieve_output_path='/out', user='root')",
        "DockerOperator(task_id='text', script='echo {{ ds }} > /{{ ds }}', retrieve_output=True,"
        " retrieve_output_path='/{{ ds }}')",
    )
    results = dict(ended.view.results)
    assert results.pop("text") is not None
    assert results == {"last": "two", "all": ["one", "two"], "none": None, "no": None, "file": [1]}


def test_a_result_of_several_outputs_is_taken_apart_by_its_keys(real_runs: RealRuns) -> None:
    ended = real_runs.run(
        "parts = DockerOperator(task_id='parts', script='echo {\\\\\"rows\\\\\": 3} > $ORCHESTRATOR_RESULT',"
        " multiple_outputs=True)",
        """rows = DockerOperator(task_id='rows', command=['echo', "{{ ti.xcom_pull('parts', key='rows') }}"])""",
        "DockerOperator(task_id='list', script='echo [3] > $ORCHESTRATOR_RESULT', multiple_outputs=True)",
        "parts >> rows",
    )
    assert ended.view.results["rows"] == "3"
    assert ended.reasons == {"list": "result_invalid"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to somebody else")
@pytest.mark.parametrize(
    ("run_as", "owner"), [("image", (0, 0)), ("root-owner", (1234, 5678)), ("4321:8765", (4321, 8765))]
)
def test_files_in_a_data_root_are_whose_the_site_says(
    real_runs: RealRuns, run_as: str, owner: tuple[int, int]
) -> None:
    root = real_runs.root / ".orchestrator" / "data" / "flights"
    root.mkdir(parents=True)
    root.chmod(0o777)
    os.chown(root, 1234, 5678)
    task = (
        "DockerOperator(task_id='t', script='mkdir /d/new; touch /d/new/a', mounts=[Mount.root('flights', '/d')])"
    )
    assert real_runs.run(task, ORCHESTRATOR__TASKS__RUN_AS=run_as).states == {"t": "success"}
    found = [(root / name).stat() for name in ("new", "new/a")]
    assert [(each.st_uid, each.st_gid) for each in found] == [owner] * 2


def test_what_renders_to_something_the_site_does_not_allow_fails_with_the_line_that_would(
    real_runs: RealRuns,
) -> None:
    tasks = [
        "DockerOperator(task_id='pid', script='true', pid_mode='{{ \"host\" }}', retries=3)",
        "DockerOperator(task_id='socket', script='true', mounts=['/var/run/{{ \"docker\" }}.sock:/s'])",
        "DockerOperator(task_id='home', script='true', mounts=['./{{ \".orchestrator\" }}:/s'])",
        "DockerOperator(task_id='fine', script='cat /in/d.py', mounts=['./dags:/in:ro'])",
    ]
    ended = real_runs.run(*tasks)
    assert ended.reasons == {"pid": "policy", "socket": "policy", "home": "policy"}
    assert ended.states["fine"] == "success"
    texts = {task.key.task_id: task.reason.text for task in ended.view.tasks if task.reason}
    assert texts["pid"].endswith('write into policy.toml: host_namespaces = ["pid"]')
    policy = 'host_namespaces = ["pid"]\nhost_paths = ["/var/run/docker.sock"]\n'
    (real_runs.root / ".orchestrator" / "policy.toml").write_text(policy)
    assert real_runs.run(*tasks).reasons == {"home": "policy"}


def test_tasks_of_a_run_share_its_volume_which_goes_with_a_test(real_runs: RealRuns) -> None:
    ended = real_runs.run(
        "a = DockerOperator(task_id='a', script='echo here > /data/a', user=1234, mounts=[Mount.run('/data')])",
        "b = DockerOperator(task_id='b', script='cat /data/a', user=99, mounts=[Mount.run('/data')])",
        "a >> b",
    )
    assert ended.view.results["b"] == "here"
    assert ended.volumes == ()
