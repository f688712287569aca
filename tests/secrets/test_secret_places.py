"""Places where secrets are kept: which names they have there, who comes first, what cannot be read."""

from pathlib import Path

import pytest

from orchestrator.errors import SecretInvalidError
from orchestrator.secrets.environment import EnvironmentSecrets
from orchestrator.secrets.files import LARGEST, FileSecrets
from orchestrator.secrets.places import SecretPlaces
from orchestrator.spec.secrets import SecretKind

SECRET, VARIABLE, CONNECTION = SecretKind


@pytest.fixture
def files(tmp_path: Path) -> FileSecrets:
    return FileSecrets(tmp_path)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SECRET, "ORCHESTRATOR_SECRET_MY_DB_2"),
        (VARIABLE, "ORCHESTRATOR_VAR_MY_DB_2"),
        (VARIABLE, "AIRFLOW_VAR_MY_DB_2"),
        (CONNECTION, "ORCHESTRATOR_CONN_MY_DB_2"),
        (CONNECTION, "AIRFLOW_CONN_MY_DB_2"),
    ],
)
def test_a_variable_of_the_environment_has_the_id_in_its_name(kind: SecretKind, name: str) -> None:
    place = EnvironmentSecrets({name: "ü"})
    assert place.find(kind, "my-db.2") == "ü".encode()
    assert place.find(kind, "other") is None
    assert EnvironmentSecrets({name: ""}).find(kind, "my-db.2") is None
    assert f"the scheduler's variable {name}" in place.places(kind, "my-db.2")


def test_our_variable_comes_before_airflows() -> None:
    both = EnvironmentSecrets({"AIRFLOW_VAR_X": "theirs", "ORCHESTRATOR_VAR_X": "ours"})
    assert both.find(VARIABLE, "x") == b"ours"


@pytest.mark.parametrize(("kind", "name"), [(SECRET, "x"), (VARIABLE, "var_x"), (CONNECTION, "conn_x")])
def test_a_file_is_handed_on_as_it_is(files: FileSecrets, tmp_path: Path, kind: SecretKind, name: str) -> None:
    assert files.find(kind, "x") is None
    (tmp_path / name).write_bytes(b"\xff\n")
    assert files.find(kind, "x") == b"\xff\n"
    assert files.places(kind, "x") == (f"the file {tmp_path / name}",)


def test_no_id_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    files = FileSecrets(tmp_path / "in")
    assert [files.find(SECRET, each) for each in ("../outside", "..", "deep", "", "nul\0")] == [None] * 5


def test_a_file_that_is_too_large_is_no_secret(files: FileSecrets, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(LARGEST))
    assert files.find(SECRET, "x") == bytes(LARGEST)
    (tmp_path / "x").write_bytes(bytes(LARGEST + 1))
    with pytest.raises(SecretInvalidError, match="has more than"):
        files.find(SECRET, "x")


def test_a_file_that_cannot_be_read_says_so(files: FileSecrets, tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path / "x")
    with pytest.raises(SecretInvalidError, match="cannot be read: Too many levels of symbolic links"):
        files.find(SECRET, "x")


def test_the_first_place_that_has_it_answers(files: FileSecrets, tmp_path: Path) -> None:
    places = SecretPlaces([files, EnvironmentSecrets({"ORCHESTRATOR_SECRET_X": "env"})])
    assert places.find(SECRET, "x") == b"env"
    (tmp_path / "x").write_text("file")
    assert places.find(SECRET, "x") == b"file"
    assert places.find(SECRET, "y") is None
    assert places.places(SECRET, "x") == (
        f"the file {tmp_path / 'x'}",
        "the scheduler's variable ORCHESTRATOR_SECRET_X",
    )
