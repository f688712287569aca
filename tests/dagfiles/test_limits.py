"""DAG files and templates that never end, or want too much: each is named, and the others go on."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authoring_project import SOUND, facts_of, make_project, write

from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.planning.rows import Reason
from orchestrator.settings import Project
from orchestrator.spec.dag import ContainerTemplate
from orchestrator.states import ReasonCode

BROKEN = {
    "syntax.py": ("with DAG('x'\n", "syntax", 1),
    "cycle.py": (
        "from orchestrator import DAG, EmptyOperator\nwith DAG('c'):\n    a = EmptyOperator(task_id='a'); a >> a\n",
        "cycle",
        3,
    ),
    "endless.py": ("x = 1\nwhile True:\n    x = x\n", "parse_timeout", (2, 3)),
    "stubborn.py": (
        "while True:\n    try:\n        x = 1\n        while x:\n            x\n    except BaseException: pass\n",
        "parse_timeout",
        (4, 5),
    ),
    "counting.py": ("\nsum(range(10 ** 12))\n", "parse_timeout", 2),
    "huge.py": ("x = 1\ny = bytearray(3 * 1024 ** 3)\n", "parse_memory", 2),
    "hoarding.py": ("x = []\nwhile True:\n    x.append(bytes(10 ** 6))\n", "parse_memory", 3),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"), parse_timeout=4.0, render_timeout=3.0, parse_memory=300)


def reason(authoring: AuthoringServer, container: ContainerTemplate) -> str:
    said = authoring.render(facts_of(container), lambda _: None)
    assert isinstance(said, Reason), said
    assert said.code is ReasonCode.RENDER_ERROR
    assert said.text.startswith("flights.py:12: rank: ")
    return said.text


def test_each_broken_file_is_named_with_line_and_fix_while_others_parse_on(
    project: Project, authoring: AuthoringServer
) -> None:
    for file, (source, _, _) in BROKEN.items():
        write(project, file, source)
    write(project, "sound.py", SOUND.format(dag_id="sound"))
    files = [*BROKEN, "sound.py"]
    with ThreadPoolExecutor(4) as pool:
        parsed = dict(zip(files, pool.map(authoring.parse, files), strict=True))
    assert [dag.dag_id for dag in parsed.pop("sound.py").dags] == ["sound"]
    for file, (_, rule, lines) in BROKEN.items():
        (problem,) = parsed[file].problems
        assert problem.rule == rule, problem
        assert problem.line == lines or problem.line in (lines if isinstance(lines, tuple) else ()), problem
        assert problem.fix, problem


def test_a_template_that_would_never_end_is_read_at_once(project: Project, authoring: AuthoringServer) -> None:
    write(project, "slow.py", SOUND.format(dag_id="slow").replace('"true"', '["a", "{{ 9 ** (9 ** 9) }}"]'))
    parsed = authoring.parse("slow.py")
    assert parsed.problems == ()
    assert len(parsed.dags) == 1


def test_a_loop_in_a_helper_is_told_at_the_line_that_called_it(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "waiting.py", "def wait():\n    while True:\n        pass\n")
    write(project, "calls.py", "import waiting\n\nwaiting.wait()\n")
    (problem,) = authoring.parse("calls.py").problems
    assert (problem.rule, problem.line) == ("parse_timeout", 3)


def test_a_file_that_disarms_the_watchdog_is_ended_from_outside(
    project: Project, authoring: AuthoringServer
) -> None:
    write(project, "sly.py", "import faulthandler\nfaulthandler.cancel_dump_traceback_later()\nwhile True: pass\n")
    (problem,) = authoring.parse("sly.py").problems
    assert problem.rule == "parse_timeout"


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = 1 %}{% endfor %}{% endfor %}",
        "{{ 9 ** (9 ** 9) }}",
    ],
)
def test_a_template_that_never_ends_is_named(authoring: AuthoringServer, text: str) -> None:
    words = reason(authoring, ContainerTemplate(command=["a", text]))
    assert "command[1]: rendering was not over after 3 s" in words
    assert "render_timeout" in words


@pytest.mark.parametrize(
    "text", ["{{ 'a' * (3 * 1024 ** 3) }}", "{% for a in range(99999) %}{{ 'a' * 9999999 }}{% endfor %}"]
)
def test_a_template_that_eats_memory_is_named(authoring: AuthoringServer, text: str) -> None:
    assert "environment.A: " in (words := reason(authoring, ContainerTemplate(environment={"A": text})))
    assert "memory" in words


def test_waiting_for_a_result_is_not_the_templates_time(authoring: AuthoringServer) -> None:
    slow = threading.Event()
    text = "{{ ti.xcom_pull('a') }}{{ ti.xcom_pull('b') }}"

    def result(_: object) -> bytes:
        slow.wait(1.6)
        return b"1"

    said = authoring.render(facts_of(ContainerTemplate(command=text)), result)
    assert isinstance(said, ContainerTemplate)
    assert said.command == "11"


@pytest.fixture
def memory_of_this_process() -> Iterator[None]:
    before = _peak()
    yield
    assert _peak() - before < 300_000  # KiB


def _peak() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmPeak:")[2].split()[0])


@pytest.mark.usefixtures("memory_of_this_process")
def test_a_hoarding_file_takes_no_memory_of_this_process(project: Project, authoring: AuthoringServer) -> None:
    write(project, "hoarding.py", BROKEN["hoarding.py"][0])
    assert authoring.parse("hoarding.py").problems
