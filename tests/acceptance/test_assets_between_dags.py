"""Assets between two DAGs, with a scheduler and real containers: a task that updates one, a person who tells of
another, and the run that both make, which sees what was told as it was told."""

import json

import pytest
from cli_project import CliProject

pytestmark = pytest.mark.engine

#: What no shell, template, database or JSON reader may take for its own.
NASTY = """{{ ds }} {% raw %} $(id) `id` '; DROP TABLE told; -- "x" \\n \N{SNOWMAN}"""
DAG_FILE = r"""
from orchestrator import DAG, Asset, DockerOperator

orders, prices = Asset("orders", "s3://lake/orders"), Asset("prices")

with DAG("lake", is_paused_upon_creation=False):
    DockerOperator(
        task_id="load",
        environment={"RESULT": "{{ dag_run.conf.told | tojson }}"},
        script='printf %s "$RESULT" > "$ORCHESTRATOR_RESULT"',
        outlets=orders,
    )

with DAG("report", schedule=orders & prices, is_paused_upon_creation=False):
    DockerOperator(
        task_id="write",
        environment={"SEEN": "{{ triggering_asset_events.orders[-1].extra }}"},
        inputs={"/in/q.sql": "CREATE TABLE t AS SELECT {{ triggering_asset_events.orders[-1].extra | sql_quote }}"},
        script='''
{% set updates = triggering_asset_events.orders %}
python3 -c '
import os, sqlite3
database = sqlite3.connect(":memory:")
database.executescript(open("/in/q.sql").read())
assert database.execute("SELECT * FROM t").fetchall() == [(os.environ["SEEN"],)]'
test "$SEEN" = {{ updates[-1].extra }}
echo {{ updates | length }} {{ updates[0].source_task_id }} {{ triggering_asset_events.prices[0].extra.of }}
printf '%s\n' "$SEEN"
''',
    )
"""


def test_a_task_and_a_person_update_what_a_dag_waits_for(
    tmp_path_factory: pytest.TempPathFactory, base_image: str
) -> None:
    del base_image
    project = CliProject(tmp_path_factory.mktemp("assets"))
    project.write("lake.py", DAG_FILE)
    project.ok("db", "upgrade")
    with project.start("scheduler"):
        project.wait_dags(["lake", "report"])
        for number in (1, 2):
            project.ok("dags", "trigger", "lake", "--conf", json.dumps({"told": NASTY}))
            project.wait_runs("lake", number)
        assert project.json("runs", "list", "report") == []
        assert "waits for updates of the assets prices; it has had orders (2 since" in (
            project.ok("dags", "explain", "report").stdout
        )
        refused = project.run("assets", "emit", "price")
        assert refused.code == 1
        assert "did you mean 'prices'" in refused.stderr

        answered = project.json("assets", "emit", "prices", "--extra", '{"of": "2026"}')
        assert answered["dag_ids"] == ["report"]
        project.wait_runs("report", 1)
        shown = project.json("runs", "show", "report")
        assert (shown["state"], shown["run_type"]) == ("success", "asset_triggered")
        assert shown["run_id"] == f"asset_triggered__{answered['at']}"
        assert [(each["asset"], each["extra"]) for each in shown["asset_events"]] == [
            ("orders", NASTY),
            ("orders", NASTY),
            ("prices", {"of": "2026"}),
        ]
        assert shown["results"] == {"write": NASTY}
        assert "2 load 2026" in project.ok("tasks", "logs", "report", "write").stdout

        told = project.json("assets", "show", "orders")
        assert (told["producers"], told["waiting_dags"], told["uri"]) == (
            ["lake.load"],
            ["report"],
            "s3://lake/orders",
        )
        assert [each["extra"] for each in told["events"]] == [NASTY, NASTY]
        assert [row["name"] for row in project.json("assets", "list")] == ["orders", "prices"]
