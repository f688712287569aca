"""Tables on terminals of any width: ids stay whole, sentences stand below, what has no room is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from orchestrator.cli.output import show, words
from orchestrator.cli.tables import BELOW, FOLDED, Layout

RUN = "manual__2026-07-01T10:00:00.123456+00:00"
RUNS = [
    {"dag_id": "nyc_flights", "run_id": RUN, "state": "failed", "duration": "1m 02s", "actor": "cli:somebody",
     "reason": "task_failed: download failed: it exited with 1, and the last line that it wrote was this"},
    {"dag_id": "d", "run_id": "r", "state": "success", "duration": None, "actor": None, "reason": None},
]  # fmt: skip
COLUMNS = ["dag_id", "run_id", "state", "duration", "actor", "reason"]


def laid_out(rows: list[dict[str, Any]], columns: list[str], width: int) -> tuple[list[str], list[str]]:
    layout = Layout(rows, columns, lambda row, column: Text(words(row[column])), width)
    return [line.plain for line in layout.lines()], layout.left_out


def test_a_run_of_a_long_name_fits_a_common_terminal_with_its_reason_below() -> None:
    lines, left_out = laid_out(RUNS, COLUMNS, 80)
    assert left_out == ["actor"]
    assert lines == [
        "dag id       run id                                    state    duration",
        f"nyc_flights  {RUN}  failed   1m 02s",
        "    task_failed: download failed: it exited with 1, and the last line that it",
        "    wrote was this",
        "d            r                                         success",
    ]


def test_with_room_for_all_nothing_is_left_out() -> None:
    lines, left_out = laid_out(RUNS, COLUMNS, 200)
    assert left_out == []
    assert lines[1].endswith("cli:somebody")


def test_a_list_is_folded_before_anything_is_left_out() -> None:
    rows = [{"task_id": "join", "after": ["clean_flights", "clean_weather", "fetch_airports"], "pool": "default"}]
    lines, left_out = laid_out(rows, ["task_id", "after", "pool"], 40)
    assert left_out == []
    assert lines == [
        "task id  after                   pool",
        "join     clean_flights,          default",
        "         clean_weather,",
        "         fetch_airports",
    ]


def test_the_first_column_stays_whatever_the_width() -> None:
    lines, left_out = laid_out([{"run_id": RUN, "state": "failed"}], ["run_id", "state"], 10)
    assert (lines, left_out) == (["run id", RUN], ["state"])


CELLS = st.text("ab ,-語", max_size=30).map(str.strip)
TABLES = st.lists(
    st.sampled_from(["dag_id", "run_id", "after", "state", "reason", "file"]), min_size=1, unique=True
)


@given(columns=TABLES.filter(lambda names: set(names) - BELOW), data=st.data(), width=st.integers(20, 120))
def test_no_line_is_longer_than_the_terminal_but_for_what_must_not_be_broken(
    columns: list[str], data: st.DataObject, width: int
) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, CELLS)), min_size=1, max_size=4))
    layout = Layout(rows, columns, lambda row, column: Text(row[column]), width)
    shown = [name for name in columns if name not in layout.left_out and name not in BELOW]
    lines = layout.lines()
    if len(shown) > 1:
        assert max(line.cell_len for line in lines) <= width
    for row in rows:
        for name in shown:
            if name not in FOLDED:
                assert any(row[name].rstrip() in line.plain for line in lines)


def test_what_has_no_room_is_told_beside_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(RUNS, COLUMNS, "table")
    said = capsys.readouterr()
    assert RUN in said.out
    assert "✗ failed" in said.out
    assert said.err == "(no room for: actor; --output plain shows all)\n"
