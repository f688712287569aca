"""Where settings come from, which of several sources counts, and what is shown of secret ones."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SettingsError
from orchestrator.settings import Settings, read_settings, without_password

URL = "ORCHESTRATOR__DATABASE__URL"


def read(tmp_path: Path, **environment: str) -> tuple[Settings, str]:
    settings, sources = read_settings(tmp_path / "orchestrator.toml", environment)
    return settings, sources["database.url"]


def test_a_setting_may_be_said_by_a_file_or_a_command(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://file\n")
    settings, source = read(tmp_path, **{f"{URL}_FILE": str(file)})
    assert (settings.database.url, source) == ("postgresql://file", "environment (file)")
    settings, source = read(tmp_path, **{f"{URL}_CMD": f"{sys.executable} -c \"print('postgresql://command')\""})
    assert (settings.database.url, source) == ("postgresql://command", "environment (command)")


def test_a_value_counts_before_a_file_a_file_before_a_command_all_before_the_toml(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text('[database]\nurl = "toml"\n')
    (tmp_path / "url").write_text("file")
    sources = {f"{URL}_CMD": "echo command", f"{URL}_FILE": str(tmp_path / "url"), URL: "value"}
    seen = []
    while sources:
        seen.append(read(tmp_path, **sources)[0].database.url)
        sources.popitem()
        sources = dict(sorted(sources.items()))
    assert read(tmp_path)[0].database.url == "toml"
    assert seen == ["value", "file", "command"]


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        (f"{URL}_FILE", "/nowhere/url", "cannot be read"),
        (f"{URL}_CMD", "/nowhere/program", "cannot be run"),
        (f"{URL}_CMD", "'", "cannot be run"),
        (f"{URL}_CMD", "", "cannot be run"),
        (f"{URL}_CMD", "sh -c 'echo first >&2; echo no vault >&2; exit 3'", "ended with 3: no vault"),
        ("ORCHESTRATOR__DATABASE__ULR_FILE", "/x", "unknown setting database.ulr_file; did you mean database.url"),
    ],
)
def test_a_source_that_gives_nothing_is_an_error_that_names_it(
    tmp_path: Path, variable: str, text: str, told: str
) -> None:
    with pytest.raises(SettingsError, match=told) as refusal:
        read(tmp_path, **{variable: text})
    assert variable in str(refusal.value)
    assert refusal.value.fix


def test_data_roots_may_have_such_names(tmp_path: Path) -> None:
    settings, _ = read(tmp_path, ORCHESTRATOR__ROOTS__DAILY_FILE="/srv/daily")
    assert settings.roots.paths == {"daily_file": "/srv/daily"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db:5432/x", "postgresql://me:***@db:5432/x"),
        (
            "postgresql://me@db/x?password=s3cret&sslmode=require",
            "postgresql://me@db/x?password=***&sslmode=require",
        ),
        ("postgresql://me@db/x?sslpassword=s3cret", "postgresql://me@db/x?sslpassword=***"),
        ("postgresql://me:s3/cr@et@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("", ""),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=9))
def test_no_password_is_shown_however_it_is_written(password: str) -> None:
    assert password not in without_password(f"postgresql://me:{password}@db:5432/x")
