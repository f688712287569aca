"""Secrets on a real engine, through whole schedulers: in every kind of image, for every user, and nowhere else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_kinds import GREETING, RESULT, ImageKind
from real_runs import RealRuns

from orchestrator.engines.docker.address import Address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.ids import ContainerId

pytestmark = pytest.mark.engine

VALUE = "correct-horse-battery"
KEPT = {
    "ORCHESTRATOR_SECRET_DB": VALUE,
    "ORCHESTRATOR_VAR_API_TOKEN": "hunter2222",
    "ORCHESTRATOR_VAR_REGION": "eu",
    "AIRFLOW_CONN_PG": "postgres://bob:p%40ssw0rd@db:5432/shop",
}


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


def test_every_kind_of_image_passes_secrets_inputs_results_and_outputs(
    real_runs: RealRuns, image_kind: ImageKind
) -> None:
    """And of those that failed, the one that is kept has no secret in it any more."""
    real_runs.look = told_of
    ended = real_runs.run(
        image_kind.task("secret", arguments="secrets=['db', Secret('db', env='DB')]", secret=True),
        image_kind.task(
            "result",
            ("/work/greeting", RESULT),
            ("/work/greeting", "/work/kept.json"),
            arguments="secrets=['db'], outputs=['/work/*.json']",
        ),
        image_kind.task("broken", arguments="secrets=['db'], keep_failed=True, connections=['pg']", fails=True),
        **KEPT,
    )
    assert ended.states == {"secret": "success", "result": "success", "broken": "failed"}, ended.logs
    assert ended.view.results == {"secret": len(VALUE), "result": GREETING, "broken": None}
    assert b"it is ***." in ended.logs["secret"]
    (kept,) = [harvest.artifacts for harvest in ended.harvests if harvest.artifacts]
    assert [(each.path, each.size) for each in kept] == [("/work/kept.json", len(f'"{GREETING}"'))]
    (seen,) = ended.seen
    assert seen.endswith("the secret: ''")
    assert "/run/secrets/conn_pg.json" in seen
    assert VALUE not in seen
    assert "ssw0rd" not in seen


def told_of(engine: DockerEngine, container: ContainerId) -> str:
    """What the engine knows of a container, and the file of the secret in it."""
    left = engine.read_file(container, "/run/secrets/db", 100)
    return f"{engine._inspected(container)} the secret: {left.decode()!r}"


def test_templates_hand_on_what_they_cannot_see(real_runs: RealRuns) -> None:
    ended = real_runs.run(
        "DockerOperator(task_id='t', user='1000', environment={'R': '{{ var.value.region }}'},"
        " private_environment={'T': 'Bearer {{ var.value.api_token }}', 'P': '{{ var.value.region }}'},"
        " inputs={'/etc/pg.ini': 'url={{ conn.pg.get_uri() }} {{ conn.pg.host }}'}, connections=['pg'],"
        ' script=\'stat -c %a:%u /etc/pg.ini; cat /etc/pg.ini; echo; echo "$T $P $R";'
        ' cat "$ORCHESTRATOR_CONN_PG_FILE"; echo; echo done\')',
        **KEPT,
    )
    assert ended.states == {"t": "success"}, (ended.reasons, ended.logs)
    mode, ini, variables, connection, _ = ended.logs["t"].decode().splitlines()
    assert mode == "400:1000"
    assert ini == "url=postgres://bob:***@db:5432/shop db"
    assert variables == "Bearer *** eu eu"
    assert '"password":"***"' in connection
    stored = "\n".join(map(repr, ended.view.tries))
    assert "hunter2222" not in stored
    assert "ssw0rd" not in stored


def test_a_tmpfs_does_not_hide_the_secrets(real_runs: RealRuns) -> None:
    task = "script='cat /run/secrets/db; touch /run/x; echo ok', secrets=['db'], tmpfs={'/run': ''}"
    ended = real_runs.run(
        f"DockerOperator(task_id='a', {task})", f"DockerOperator(task_id='b', {task}, read_only=True)", **KEPT
    )
    assert ended.logs == {"a": b"***ok\n", "b": b"***ok\n"}


def test_a_normal_user_can_delete_the_home_after_a_run_of_roots_image(
    tmp_path: Path, engine_address: Address, base_image: str
) -> None:
    """Whose containers run as root, and write into a data root: with `run_as=root-owner` as that user."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv, to become somebody else")
    uid = 4242
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "d.py").write_text(DELETABLE)
    secrets = tmp_path / ".orchestrator" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "db").write_text(VALUE)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, uid, uid)
    (secrets / "db").chmod(0o400)
    group = Path(engine_address.url.removeprefix("unix://")).stat().st_gid
    may_read = "+dac_read_search"  # of our own library, wherever it lies; it lets nobody write or delete
    becoming = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={group}", f"--inh-caps={may_read}"]
    command = [*becoming, f"--ambient-caps={may_read}", sys.executable, "-m", "orchestrator", "dags", "test", "d"]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_HOST": engine_address.url,
        "ORCHESTRATOR__TASKS__RUN_AS": "root-owner",
        "ORCHESTRATOR__TASKS__DEFAULT_IMAGE": base_image,
    }
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = tmp_path / ".orchestrator" / "data" / "out" / "deep" / "a"
    assert (made.read_text(), made.stat().st_uid) == (f"{len(VALUE)}\n", uid)
    deleted = subprocess.run(
        ["rm", "-r", ".orchestrator"], cwd=tmp_path, user=uid, group=uid, extra_groups=(), check=False
    )
    assert deleted.returncode == 0
    assert not (tmp_path / ".orchestrator").exists()


DELETABLE = """
from orchestrator import DAG, DockerOperator, Mount
with DAG("d"):
    DockerOperator(
        task_id="t",
        script="mkdir -p /out/deep; wc -c < /run/secrets/db > /out/deep/a",
        secrets=["db"],
        mounts=[Mount.root("out", "/out")],
    )
"""
