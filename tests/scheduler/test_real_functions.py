"""Python functions in real containers, and data on its way through them: what looks like a template, like shell or
like SQL arrives as it is."""

from pathlib import Path

import pytest
from real_runs import RealRuns

pytestmark = pytest.mark.engine

NASTY = (
    "{{ ds }} {% raw %} {# x #} $(id) `id` ${HOME} 'one' \"two\" \\n \\\\ ; DROP TABLE x; -- \n\t\u00e9\U0001f98a"
    ' {{ result("give") | text }}'
)
FLOW = """
from orchestrator import DAG, DockerOperator, Param, task

@task
def give(text, ds=None, logical_date=None, dag_run=None, params=None, ti=None):
    assert logical_date.strftime("%Y-%m-%d") == ds, (logical_date, ds)
    assert dag_run.conf == params == {"text": text} and ti.task_id == "give"
    print("given", len(text))
    return {"text": text, "rows": [1, None, text]}

@task.docker(user="65534:65534", read_only=True)
def take(all, text, mixed, **context):
    import os
    assert os.getuid() == 65534 and context["params"]["text"] == text
    return {"same": all["text"] == text == mixed["deep"][0], "mixed": mixed}

with DAG("d", params={"text": Param(type="string")}, default_args={"xcom": "all_lines"}):
    given = give("{{ params.text }}")
    text = given["text"]
    nothing = DockerOperator(task_id="nothing", command="true", do_xcom_push=False)
    take(given, text=text, mixed={"deep": (text, 3), "none": nothing.output, "day": "{{ ds }}"})
    DockerOperator(task_id="words", command=["printf", "%s|%s", text, "{{ params.text }}"])
    DockerOperator(task_id="variable", environment={"TEXT": text}, command=["printenv", "TEXT"])
    DockerOperator(task_id="file", inputs={"/in.txt": text}, command="cat /in.txt")
    DockerOperator(task_id="shell", script=f"printf '%s|%s' {text} \\"{{{{ dag_run.conf.text }}}}\\"")
    DockerOperator(task_id="sql", command=["printf", "%s", "SELECT {{ params.text | sql_quote }}"])
"""
ENDS = """
from orchestrator import DAG, DockerOperator, task

@task
def skips():
    raise SystemExit(99)

@task
def raises(size):
    return 1 / size

@task
def hands_on_a_set():
    return {1}

with DAG("d"):
    skips() >> DockerOperator(task_id="after", command="true")
    raises(0)
    hands_on_a_set()
"""


@pytest.fixture
def real_runs(tmp_path: Path, base_image: str) -> RealRuns:
    return RealRuns(tmp_path, base_image)


def test_data_is_never_rendered_nor_run(real_runs: RealRuns) -> None:
    real_runs.conf = {"text": NASTY}
    ended = real_runs.run_file(FLOW)
    assert set(ended.states.values()) == {"success"}, ended.logs
    results = ended.view.results
    lines = NASTY.splitlines()
    assert results["give"] == {"text": NASTY, "rows": [1, None, NASTY]}
    assert results["take"]["same"] is True
    assert results["take"]["mixed"]["none"] is None
    assert results["words"] == results["shell"] == f"{NASTY}|{NASTY}".splitlines()
    assert results["variable"] == results["file"] == lines
    quoted = NASTY.replace("'", "''")
    assert results["sql"] == f"SELECT '{quoted}'".splitlines()


def test_functions_end_as_they_say(real_runs: RealRuns) -> None:
    ended = real_runs.run_file(ENDS)
    assert ended.states == {"skips": "skipped", "after": "skipped", "raises": "failed", "hands_on_a_set": "failed"}
    shown = ended.logs["raises"].decode()
    assert 'File "dags/d.py", line 10, in raises\n    return 1 / size\n' in shown
    assert shown.endswith("ZeroDivisionError: division by zero\n")
    assert "hands_on_a_set() returned what JSON cannot say" in ended.logs["hands_on_a_set"].decode()
