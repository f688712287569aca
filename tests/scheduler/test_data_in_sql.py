"""Data in SQL, on a real engine: what conf, params and results hold arrives in a database as it is, where the
template says `sql_quote`; none of it is read as SQL, as a template or by a shell."""

from pathlib import Path

import msgspec
import pytest
from real_runs import RealRuns

from orchestrator.states import RunState

pytestmark = pytest.mark.engine

#: What would end a literal, a statement or a table; be filled in by a driver, a shell or a template.
NASTY = [
    "'); DROP TABLE told; --",
    "\\'; DELETE FROM told; /*",
    "''''",
    "{{ ds }} {% raw %} {# x #}",
    "%s %(x)s ? :x @x $1 $$ $(id) `id`",
    'one "two" \n three \t \N{SNOWMAN}',
    "",
]
SQL = """\
CREATE TABLE told (place INTEGER, origin TEXT, value);
{% for text in params.texts %}
INSERT INTO told VALUES ({{ loop.index0 | sql_quote }}, 'params', {{ text | sql_quote }});
{% endfor %}
{% for text in dag_run.conf.texts %}
INSERT INTO told VALUES ({{ loop.index0 | sql_quote }}, 'conf', {{ text | sql_quote }});
{% endfor %}
{% for text in result('first') %}
INSERT INTO told VALUES ({{ loop.index0 | sql_quote }}, 'result', {{ text | sql_quote }});
{% endfor %}
INSERT INTO told SELECT count(*), 'all', {{ params.nothing | sql_quote }} FROM told
    WHERE value IN ({{ params.texts | map('sql_quote') | join(', ') }});
"""
PROGRAM = """\
import json, pathlib, sqlite3

database = sqlite3.connect(":memory:")
database.executescript(pathlib.Path("/in/load.sql").read_text())
rows = database.execute("SELECT origin, value FROM told WHERE origin <> 'all' ORDER BY origin, place").fetchall()
found = {"rows": rows, "all": database.execute("SELECT place, value FROM told WHERE origin = 'all'").fetchall()}
print(json.dumps(found))
"""
FILE = """
from orchestrator import DAG, DockerOperator, Param, TemplateFile

with DAG("d", params={"texts": Param(type="array"), "nothing": None}, default_args={"network_mode": "none"}):
    first = DockerOperator(
        task_id="first",
        inputs={"/in/texts.json": "{{ dag_run.conf.texts | tojson }}"},
        script='cat /in/texts.json > "$ORCHESTRATOR_RESULT"',
    )
    load = DockerOperator(
        task_id="load",
        inputs={"/in/load.sql": TemplateFile("load.sql"), "/in/load.py": TemplateFile("load.py")},
        command=["python3", "/in/load.py"],
    )
    first >> load
"""


def test_what_is_quoted_for_sql_is_a_value_there_and_nothing_else(tmp_path: Path, base_image: str) -> None:
    real_runs = RealRuns(tmp_path, base_image)
    (tmp_path / "dags" / "load.sql").write_text(SQL)
    (tmp_path / "dags" / "load.py").write_text(PROGRAM)
    real_runs.conf = {"texts": NASTY}
    view = real_runs.run_file(FILE).view
    assert view.run.state is RunState.SUCCESS, [each.reason for each in view.tasks if each.reason]
    found = msgspec.json.decode(str(view.results["load"]))
    assert found["rows"] == [[origin, text] for origin in ("conf", "params", "result") for text in NASTY]
    assert found["all"] == [[3 * len(NASTY), None]]
