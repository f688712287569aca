"""Patterns of outputs: what they mean, where they are looked for, and which cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import FinalizeError
from orchestrator.spec.outputs import covers, read_patterns, roots_of


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("/data/a.csv", ["/data/a.csv"], ["/data/a.csv.bak", "/data/b.csv", "/data"]),
        ("/data", ["/data/a", "/data/deep/b"], ["/data2/a", "/"]),
        ("/data/*.csv", ["/data/a.csv", "/data/.csv"], ["/data/deep/a.csv", "/data/a.txt"]),
        ("/data/run=*", ["/data/run=1/x/y", "/data/run="], ["/data/x/run=1"]),
        ("/data/**/*.csv", ["/data/a.csv", "/data/x/y/a.csv"], ["/data/x/a.txt", "/other/a.csv"]),
        ("/data/**", ["/data/a", "/data/x/y"], ["/dat/a"]),
        ("/data/[ab]?.csv", ["/data/a1.csv"], ["/data/c1.csv", "/data/a.csv"]),
    ],
)
def test_a_pattern_means_names_and_all_below_them(pattern: str, meant: list[str], not_meant: list[str]) -> None:
    assert [path for path in (*meant, *not_meant) if covers(pattern, path)] == meant


@given(st.lists(st.sampled_from(["a", "b", "*", "**", "?"]), min_size=1, max_size=7), st.data())
def test_what_was_made_from_a_pattern_is_meant_by_it(parts: list[str], data: st.DataObject) -> None:
    names = st.sampled_from(["a", "b", "c"])
    folders = st.lists(names, max_size=3)
    made = [
        name
        for part in parts
        for name in (data.draw(folders) if part == "**" else [data.draw(names) if part in "*?" else part])
    ]
    pattern = "/root/" + "/".join(parts)
    assert covers(pattern, "/root/" + "/".join([*made, data.draw(names)]))
    assert not covers(pattern, "/other/" + "/".join(made))


def test_a_hostile_pattern_costs_no_time() -> None:
    assert not covers("/a" + "/**" * 60 + "/" + "*a" * 60 + "b", "/a" + "/a" * 60 + "/" + "a" * 200)


def test_each_place_is_looked_through_once() -> None:
    assert roots_of(["/out/*.csv", "/out/deep/x", "/data/a", "/data/a", "/outer/x"]) == (
        "/data/a",
        "/out",
        "/outer/x",
    )


def test_patterns_are_settled_and_the_same_ones_are_one() -> None:
    assert read_patterns(["/out//a", " /out/a", "", "/out/./b/"]) == ("/out/a", "/out/b")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("out/a", "no absolute path"),
        ("/*.csv", "names no folder to look in"),
        ("/", "names no folder to look in"),
        ("/proc/1/maps", "/proc holds nothing of the task's"),
        ("/.orchestrator/result", "/.orchestrator holds nothing"),
        ("/mem/a", "the tmpfs at /mem is gone"),
        ("/root/*.csv", "what is written to /root comes into its data root"),
    ],
)
def test_what_cannot_be_kept_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(FinalizeError, match="outputs") as refused:
        read_patterns([pattern], gone=["/mem"], moved=["/root"])
    assert words in refused.value.message
    assert refused.value.fix
