"""The table of arguments that people read is made from the signatures, and current."""

import re
from pathlib import Path
from typing import get_type_hints

import pytest

from orchestrator.authoring.arguments import DagArguments, DockerArguments, TaskArguments
from orchestrator.authoring.reference import BEGIN, END, renewed, rows

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "dags" / "README.md"
#: What the engine or a container has to do with; the rest is the planner's, or has no effect.
AT_THE_ENGINE = (
    "what runs", "environment", "files", "limits", "network", "privilege", "engine", "life", "outcome and result",
)  # fmt: skip
#: Other names, and a login that only a registry sees.
NOT_THERE = {"force_pull", "docker_url", "docker_conn_id", "skip_exit_code"}


def test_the_document_has_the_current_table() -> None:
    text = DOCUMENT.read_text()
    assert renewed(text) == text, "run: python -m orchestrator.authoring.reference dags/README.md"


def test_every_argument_has_a_row_that_says_something() -> None:
    made = list(rows())
    assert [row.name for row in made if not row.text] == []
    for signature in (TaskArguments, DockerArguments, DagArguments):
        named = {row.name for row in made if row.signature == signature.__name__}
        inherited = get_type_hints(TaskArguments).keys() if signature is DockerArguments else set()
        assert named == get_type_hints(signature).keys() - inherited


def test_every_argument_that_a_container_is_made_of_is_written_in_a_test_with_a_real_engine() -> None:
    texts = [path.read_text() for path in TESTS.rglob("test_*.py")]
    written = "\n".join(text for text in texts if "mark.engine" in text)
    made = [row.name for row in rows() if row.signature == "DockerArguments" and row.group in AT_THE_ENGINE]
    assert {row.group for row in rows()} >= set(AT_THE_ENGINE)
    assert {name for name in made if not re.search(rf"\b{name}\b[\"']?\s*[=:]", written)} == NOT_THERE


def test_a_document_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        renewed("nothing here")
    assert renewed(f"a\n{BEGIN}\nold\n{END}\nb").startswith(f"a\n{BEGIN}\n\n### DockerOperator")
