from pathlib import Path

import chart
import pytest
from click.testing import CliRunner

HEAD = "hour,dep_time,dep_delay,wind_speed\n"
DAYS = {
    "an ordinary day": "5,517,2,12.6\n6,600,30,\n6,,,11.5\n",
    "a day without weather": "5,517,2,\n",
    "a day on which nothing has flown": "5,,,\n",
    "a day without flights": "",
}


def drawn(tmp_path: Path, rows: str) -> bytes:
    (tmp_path / "joined.csv").write_text(HEAD + rows)
    arguments = ["2013-01-01", str(tmp_path / "joined.csv"), str(tmp_path / "chart.png")]
    CliRunner().invoke(chart.main, arguments, catch_exceptions=False)
    return (tmp_path / "chart.png").read_bytes()


@pytest.mark.parametrize("rows", DAYS.values(), ids=DAYS.keys())
def test_each_kind_of_day_is_drawn_alike_each_time(rows: str, tmp_path: Path) -> None:
    image = drawn(tmp_path, rows)
    assert image.startswith(b"\x89PNG")
    assert image == drawn(tmp_path, rows)


def test_the_image_says_neither_when_nor_by_what_it_was_made(tmp_path: Path) -> None:
    image = drawn(tmp_path, DAYS["an ordinary day"])
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME") if chunk in image]
