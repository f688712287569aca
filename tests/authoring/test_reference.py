"""The table of arguments that people read is made from the signatures, and current."""

from pathlib import Path
from typing import get_type_hints

import pytest

from orchestrator.authoring.arguments import DagArguments, DockerArguments, TaskArguments
from orchestrator.authoring.reference import BEGIN, END, renewed, rows

DOCUMENT = Path(__file__).parents[2] / "dags" / "README.md"


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


def test_a_document_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        renewed("nothing here")
    assert renewed(f"a\n{BEGIN}\nold\n{END}\nb").startswith(f"a\n{BEGIN}\n\n### DockerOperator")
