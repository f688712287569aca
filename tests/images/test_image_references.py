"""Names of images."""

import pytest

from orchestrator.images.references import is_image_name, parse_task_tag, stand_in


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python:3.13-slim", "orchestrator/debian-python:3.13"),
        ("python:3.13", "orchestrator/debian-python:3.13"),
        ("python:3.13.5-slim-trixie", "orchestrator/debian-python:3.13"),
        ("docker.io/library/python:3.14-slim", "orchestrator/debian-python:3.14"),
        ("localhost:5000/python:3.13-slim", "orchestrator/debian-python:3.13"),
        ("python:3.13-alpine", None),
        ("python:3.13-slim-alpine", None),
        ("python:3.13-windowsservercore", None),
        ("python", None),
        ("python:latest", None),
        ("cpython:3.13", None),
        ("postgres:16", None),
    ],
)
def test_only_a_debian_python_of_the_same_version_has_a_stand_in(reference: str, expected: str | None) -> None:
    assert stand_in(reference) == expected


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("pandas-2.2", True),
        ("a__b", True),
        ("A", False),
        ("a.", False),
        ("a b", False),
        ("a___b", False),
    ],
)
def test_folder_names_are_what_an_engine_takes(name: str, *, good: bool) -> None:
    assert is_image_name(name) is good


def test_a_task_tag_is_read_back_as_it_was_written() -> None:
    tag = parse_task_tag("orchestrator/pandas-2:0123456789ab")
    assert tag is not None
    assert (tag.name, tag.hash, str(tag)) == ("pandas-2", "0123456789ab", "orchestrator/pandas-2:0123456789ab")


@pytest.mark.parametrize(
    "other", ["orchestrator/debian-python:3.13", "x/a:0123456789ab", "orchestrator/a:0123456789AB"]
)
def test_other_references_are_no_task_tags(other: str) -> None:
    assert parse_task_tag(other) is None
