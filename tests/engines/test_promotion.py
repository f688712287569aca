"""What becomes of a data root when what a try wrote beside it comes into it; the script itself, in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker import promotion

#: Paths two folders deep at most, each with a content.
TREES = st.dictionaries(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), st.text("xyz", max_size=3), max_size=6
)


def sound(tree: dict[str, str]) -> bool:
    """Whether no file is a folder, too."""
    return not any(other.startswith(f"{path}/") for path in tree for other in tree)


def grow(folder: Path, tree: dict[str, str]) -> None:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def seen(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New ones, one after another."""

    def made() -> Iterator[Path]:
        while True:
            yield tmp_path_factory.mktemp("root")

    return made()


def staged(root: Path, tree: dict[str, str]) -> Path:
    stage = root / ".stages" / "one"
    stage.mkdir(parents=True)
    grow(stage, tree)
    return stage


@given(there=TREES.filter(sound), new=TREES.filter(sound), broken_after=st.integers(0, 6))
def test_wherever_it_is_broken_off_the_next_time_completes_it(
    folders: Iterator[Path], there: dict[str, str], new: dict[str, str], broken_after: int
) -> None:
    root = next(folders)
    grow(root, there)
    stage = staged(root, new)
    if not sound({**there, **new}):
        assert promotion.main("promote", [stage]) == promotion.CONFLICT
        promotion.main("discard", [stage])
        assert seen(root) == there
        return
    left = broken_after
    rename = Path.rename

    def breaking(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return rename(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", breaking)
        try:
            promotion.main("promote", [stage])
        except KeyboardInterrupt:
            partly = {path: text for path, text in seen(root).items() if not path.startswith(".stages")}
            assert partly.keys() <= there.keys() | new.keys()
    assert promotion.main("promote", [stage]) == 0
    assert promotion.main("promote", [stage]) == 0
    assert promotion.main("discard", [stage]) == 0
    assert seen(root) == there | new
    assert not (root / ".stages").exists()


def test_a_folder_that_is_new_appears_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = staged(tmp_path, {"2013/raw/a": "1", "2013/raw/b": "2"})
    moves: list[str] = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, target: moves.append(self.name) or rename(self, target))
    promotion.main("promote", [stage])
    assert moves == ["2013"]


def test_links_are_moved_as_they_are_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    stage = staged(root, {"linked/a": "1"})
    (root / "linked").symlink_to(outside)
    (stage / "away").symlink_to("/nowhere")
    assert promotion.main("promote", [stage]) == promotion.CONFLICT
    assert list(outside.iterdir()) == []
    (root / "linked").unlink()
    assert promotion.main("promote", [stage]) == 0
    assert (root / "away").readlink() == Path("/nowhere")


def test_paths_in_the_way_are_named_and_nothing_moves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow(tmp_path, {"a": "file", "b/c": "in a folder"})
    stage = staged(tmp_path, {"a/x": "1", "b": "2", "z": "3"})
    assert promotion.main("promote", [stage]) == promotion.CONFLICT
    assert capsys.readouterr().err.splitlines() == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert not (tmp_path / "z").exists()


def test_the_folder_of_stages_stays_while_others_use_it(tmp_path: Path) -> None:
    stage = staged(tmp_path, {"a": "1"})
    (tmp_path / ".stages" / "other").mkdir()
    promotion.main("discard", [stage])
    assert [path.name for path in (tmp_path / ".stages").iterdir()] == ["other"]
    assert promotion.main("discard", [stage]) == 0
