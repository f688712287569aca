"""What every place of secrets promises (`orchestrator.ports.Secrets`), the fake one included."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.ports import Secrets
from orchestrator.secrets.environment import EnvironmentSecrets
from orchestrator.secrets.files import FileSecrets
from orchestrator.secrets.places import SecretPlaces
from orchestrator.spec.secrets import SecretKind
from orchestrator.testing.fake_secrets import FakeSecrets

Kept = Mapping[tuple[SecretKind, str], str]
KEPT: Kept = {
    (SecretKind.SECRET, "x-1"): "hunter2\n",
    (SecretKind.VARIABLE, "x-1"): "ü",
    (SecretKind.CONNECTION, "x-1"): "postgres://u:hunter2@h",
}


def in_files(folder: Path, kept: Kept) -> Secrets:
    prefixes = {SecretKind.SECRET: "", SecretKind.VARIABLE: "var_", SecretKind.CONNECTION: "conn_"}
    for (kind, stored_id), text in kept.items():
        (folder / f"{prefixes[kind]}{stored_id}").write_bytes(text.encode())
    return FileSecrets(folder)


def in_environment(_: Path, kept: Kept) -> Secrets:
    prefixes = {SecretKind.SECRET: "SECRET", SecretKind.VARIABLE: "VAR", SecretKind.CONNECTION: "CONN"}
    names = {f"ORCHESTRATOR_{prefixes[kind]}_X_1": text for (kind, _), text in kept.items()}
    return EnvironmentSecrets(names)


def in_both(folder: Path, kept: Kept) -> Secrets:
    first = {key: text for key, text in kept.items() if key[0] is SecretKind.SECRET}
    return SecretPlaces(
        [in_files(folder, first), in_environment(folder, {k: kept[k] for k in kept.keys() - first})]
    )


def in_memory(_: Path, kept: Kept) -> Secrets:
    return FakeSecrets({key: text.encode() for key, text in kept.items()})


@pytest.fixture(params=[in_files, in_environment, in_both, in_memory])
def secrets(request: pytest.FixtureRequest, tmp_path: Path) -> Secrets:
    make: Callable[[Path, Kept], Secrets] = request.param
    return make(tmp_path, KEPT)


@pytest.mark.parametrize("kind", SecretKind)
def test_what_is_kept_is_found_as_it_is_by_its_kind_and_id(secrets: Secrets, kind: SecretKind) -> None:
    assert secrets.find(kind, "x-1") == KEPT[kind, "x-1"].encode()
    assert secrets.find(kind, "other") is None


@pytest.mark.parametrize("kind", SecretKind)
def test_places_are_told_without_what_they_hold(secrets: Secrets, kind: SecretKind) -> None:
    told = secrets.places(kind, "x-1")
    assert told
    assert "hunter2" not in repr((told, secrets))
    assert told != secrets.places(kind, "other")
