"""A task image's hash follows what it is made of and nothing else."""

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ImageError, NotFoundError
from orchestrator.images.catalog import Catalog, content_hashes
from orchestrator.images.content import context_files, pack, source_digest

NAMES = st.text("abcxyz", min_size=1, max_size=3)
PATHS = st.builds("/".join, st.lists(NAMES, min_size=1, max_size=2))
FILES = st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=5).filter(
    lambda files: not any(other.startswith(f"{path}/") for path in files for other in files)
)


def write(folder: Path, files: Mapping[str, bytes | str], *, backwards: bool = False) -> Path:
    for path in sorted(files, reverse=backwards):
        content = files[path]
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@given(files=FILES)
def test_the_order_and_the_times_of_files_do_not_matter(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = write(tmp_path_factory.mktemp("one"), files)
    other = write(tmp_path_factory.mktemp("other"), files, backwards=True)
    for path in files:
        os.utime(other / path, (1, 1))
    (other / "an-empty-folder").mkdir()
    assert source_digest(one) == source_digest(other)


@given(files=FILES, data=st.data())
def test_every_byte_and_every_name_matters(
    files: dict[str, bytes], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    changed = data.draw(
        st.sampled_from(
            [
                {**files, path: files[path] + b"!"},
                {name: content for name, content in files.items() if name != path} | {f"{path}2": files[path]},
                {**files, "new": b""},
            ]
        )
    )
    one = write(tmp_path_factory.mktemp("one"), files)
    other = write(tmp_path_factory.mktemp("other"), changed)
    assert source_digest(one) != source_digest(other)


def test_the_executable_bit_and_the_target_of_a_link_matter_and_other_bits_do_not(tmp_path: Path) -> None:
    script = write(tmp_path, {"run.sh": "true"}) / "run.sh"
    link = tmp_path / "link"
    link.symlink_to("run.sh")
    seen = []
    script.chmod(0o644)
    seen.append(source_digest(tmp_path))
    script.chmod(0o600)
    assert source_digest(tmp_path) == seen[0]
    script.chmod(0o755)
    seen.append(source_digest(tmp_path))
    link.unlink()
    link.symlink_to("elsewhere")
    seen.append(source_digest(tmp_path))
    link.unlink()
    link.write_text("elsewhere")
    seen.append(source_digest(tmp_path))
    assert len(set(seen)) == 4


def test_ignored_files_and_the_debris_of_tools_are_neither_hashed_nor_sent(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "FROM a", "a.py": "1", ".dockerignore": "# note\n*.csv\n!keep.csv\ndata\n"})
    before = source_digest(tmp_path)
    write(tmp_path, {"x.csv": "1", "data/deep/y": "2", "__pycache__/a.pyc": "3", "s/__pycache__/b.pyc": "4"})
    assert source_digest(tmp_path) == before
    write(tmp_path, {"keep.csv": "5"})
    assert source_digest(tmp_path) != before
    assert [each.path for each in context_files(tmp_path)] == [".dockerignore", "Dockerfile", "a.py", "keep.csv"]


def test_the_archive_is_the_same_bytes_each_time_and_holds_the_rewritten_dockerfile(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "FROM a", "s/run.sh": "echo"})
    (tmp_path / "s/run.sh").chmod(0o700)
    (tmp_path / "link").symlink_to("s/run.sh")
    first, second = io.BytesIO(), io.BytesIO()
    assert pack(tmp_path, first, "FROM pinned") == source_digest(tmp_path)
    os.utime(tmp_path / "s/run.sh", (5, 5))
    pack(tmp_path, second, "FROM pinned")
    assert first.getvalue() == second.getvalue()
    first.seek(0)
    with tarfile.open(fileobj=first) as archive:
        held = {member.name: member for member in archive}
        dockerfile = archive.extractfile("Dockerfile")
        assert dockerfile is not None
        assert dockerfile.read() == b"FROM pinned"
    assert sorted(held) == ["Dockerfile", "link", "s/run.sh"]
    assert (held["s/run.sh"].mode, held["s/run.sh"].uid, held["link"].linkname) == (0o755, 0, "s/run.sh")


# --- several images -----------------------------------------------------------------------------------


def project(folder: Path, **images: str) -> Catalog:
    write(folder, {f"{name}/Dockerfile": text for name, text in images.items()})
    return Catalog(folder)


def test_bases_come_first_and_change_what_is_built_from_them(tmp_path: Path) -> None:
    catalog = project(
        tmp_path, leaf="FROM middle\n", middle="FROM root\n", root="FROM python:3.13-slim\n", z="FROM x"
    )
    sources = catalog.load(["leaf"])
    assert tuple(sources) == ("root", "middle", "leaf")
    before = content_hashes(sources, {})
    (tmp_path / "root/new").write_text("1")
    after = content_hashes(catalog.load(["leaf"]), {})
    assert all(before[name].exact != after[name].exact for name in sources)
    (tmp_path / "leaf/new").write_text("1")
    again = content_hashes(catalog.load(["leaf"]), {})
    assert [again[name] == after[name] for name in sources] == [True, True, False]


def test_the_id_of_a_base_counts_once_it_is_known_and_its_name_is_still_recognised(tmp_path: Path) -> None:
    sources = project(tmp_path, leaf="FROM root\n", root="FROM python:3.13-slim\n").load(["leaf"])
    unknown = content_hashes(sources, {})
    known = content_hashes(sources, {"python:3.13-slim": "sha256:1"})
    newer = content_hashes(sources, {"python:3.13-slim": "sha256:2"})
    for name in sources:
        assert unknown[name].exact == unknown[name].named == known[name].named == newer[name].named
        assert len({unknown[name].exact, known[name].exact, newer[name].exact}) == 3


def test_a_circle_of_bases_is_named(tmp_path: Path) -> None:
    catalog = project(tmp_path, a="FROM b\n", b="FROM c\n", c="FROM a\n")
    with pytest.raises(ImageError, match=r"in a circle: .*(a -> b|b -> c|c -> a)"):
        catalog.load(["a"])


def test_an_image_with_a_tag_is_from_elsewhere_even_if_a_folder_has_its_name(tmp_path: Path) -> None:
    sources = project(tmp_path, python="FROM python:3.13-slim\n").load(["python"])
    assert sources["python"].external == ("python:3.13-slim",)


def test_an_unknown_image_names_the_nearest_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'flights'"):
        project(tmp_path, flights="FROM a:1\n").load(["flight"])


def test_a_folder_that_cannot_be_an_image_says_so_only_when_it_is_needed(tmp_path: Path) -> None:
    catalog = project(tmp_path, Bad="FROM a:1\n", good="FROM a:1\n")
    assert catalog.names() == ("Bad", "good")
    assert tuple(catalog.load(["good"])) == ("good",)
    with pytest.raises(ImageError, match="Bad: no image can have this name"):
        catalog.load(["Bad"])


def test_no_folder_means_no_images(tmp_path: Path) -> None:
    assert Catalog(tmp_path / "task-images").names() == ()
