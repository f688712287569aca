"""What compose's `postgres` does before the server starts: a password, in a file that libpq reads."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest
import yaml
from deployment import REPOSITORY
from postgres_server import PASSWORD, USER, PostgresServer


class Start:
    """The script of the compose file, with a folder of the test's own for the volume, and without the rest of the
    image: who would start the server prints the password that it is given."""

    def __init__(self, folder: Path) -> None:
        self._volume = folder / "volume"
        self._programs = folder / "programs"
        self.file = self._volume / "pgpass"
        for each in (self._volume, self._programs):
            each.mkdir()
        self._stand_in("chown", "exit 0")
        self._stand_in(
            "docker-entrypoint.sh", 'printf %s "$POSTGRES_PASSWORD"; [ -z "${POSTGRES_PASSWORD_FILE:-}" ]'
        )

    def __call__(self, **variables: str) -> str:
        """The password of a start with these variables."""
        service = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["postgres"]
        shell, options, script = service["entrypoint"]
        script = script.replace("$$", "$").replace("/run/database/", f"{self._volume}/")
        environment = {"PATH": f"{self._programs}:{os.environ['PATH']}", "POSTGRES_PASSWORD": "", **variables}
        done = subprocess.run([shell, options, script], env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    def _stand_in(self, name: str, script: str) -> None:
        program = self._programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def test_a_password_is_made_once_and_is_nobody_s_guess(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = start()
    assert len(first) == 48
    assert start() == first
    assert Start(tmp_path_factory.mktemp("other"))() != first
    assert start.file.stat().st_mode & 0o777 == 0o600


def test_a_given_password_counts_at_the_first_start_only(start: Start) -> None:
    assert start(POSTGRES_PASSWORD=PASSWORD) == PASSWORD
    assert start(POSTGRES_PASSWORD="another") == PASSWORD  # noqa: S106 - of no server
    assert start() == PASSWORD


def test_a_password_may_be_given_as_a_secret_of_compose(start: Start, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    assert start(POSTGRES_PASSWORD_FILE=str(secret)) == PASSWORD


def test_the_scheduler_connects_by_that_file(start: Start, postgres_server: PostgresServer) -> None:
    start(POSTGRES_PASSWORD=PASSWORD)
    host = str(postgres_server.url("postgres").query["host"])
    with psycopg.connect(host=host, user=USER, dbname="postgres", passfile=str(start.file)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
