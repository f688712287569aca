"""Known values never come out of a masked stream, wherever its chunks end."""

import base64
import itertools
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduler.masking import MASK, SHORTEST, Masker, Patterns

#: Few letters, so that values repeat, overlap, and begin each other.
letters = st.text("ab\n", min_size=0, max_size=40).map(str.encode)
values = st.lists(st.text("ab\n", min_size=SHORTEST, max_size=9).map(str.encode), min_size=1, max_size=4)


def through(patterns: Patterns, *chunks: bytes) -> bytes:
    masker = Masker(patterns)
    return b"".join([*map(masker.feed, chunks), masker.flush()])


def chunks_of(data: bytes, borders: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def naively(data: bytes, forms: tuple[bytes, ...]) -> bytes:
    """Each byte of each occurrence, then a mask for each run of occurrences that overlap."""
    spans = sorted((at, at + len(form)) for form in forms for at in range(len(data)) if data.startswith(form, at))
    out, covered = b"", 0
    for start, end in spans:
        if start >= covered:
            out += data[covered:start] + MASK
        out += (b"\n" + MASK) * data[max(start, covered) : end].count(b"\n")
        covered = max(covered, end)
    return out + data[covered:]


@given(known=values, data=letters, borders=st.lists(st.integers(0, 40), max_size=8))
def test_what_comes_out_is_that_of_a_naive_search_wherever_chunks_end(
    known: list[bytes], data: bytes, borders: list[int]
) -> None:
    patterns = Patterns(known)
    expected = naively(data, patterns.forms)
    assert through(patterns, *chunks_of(data, borders)) == expected
    assert expected.count(b"\n") == data.count(b"\n")


@given(known=values, data=letters)
def test_no_value_is_left(known: list[bytes], data: bytes) -> None:
    seen = through(Patterns(known), data)
    assert not any(value in seen for value in known if b"\n" not in value)


@given(data=st.lists(st.text("ab").map(str.encode), max_size=200))
def test_no_more_is_held_back_than_the_longest_form(data: list[bytes]) -> None:
    patterns = Patterns([b"abababab", b"aaaaa", b"bababababa"])
    masker = Masker(patterns)
    for chunk in data:
        masker.feed(chunk)
        assert len(masker._held) < patterns.longest


def test_a_value_is_found_in_the_forms_that_programs_write() -> None:
    value = 'p@ss/w"ö rd\\'
    forms = {
        "raw": value,
        "url": f"https://u:{quote(value, safe='')}@h",
        "lower": f"https://u:{re.sub('%..', lambda code: code[0].lower(), quote(value, safe=''))}@h",
        "query": f"?p={quote(value)}",
        "json": json.dumps({"p": value}),
        "utf8": json.dumps({"p": value}, ensure_ascii=False),
        "basic": base64.b64encode(f"user:{value}:x".encode()).decode(),
        "url64": base64.urlsafe_b64encode(f"u:{value}".encode()).decode(),
    }
    for name, text in forms.items():
        assert MASK.decode() in through(Patterns([value.encode()]), text.encode()).decode(), name


def test_lines_of_a_key_are_hidden_alone_too_and_its_frame_is_not() -> None:
    key = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"
    patterns = Patterns([key])
    assert through(patterns, b"> " + key.splitlines()[1] + b"\r\n") == b"> ***\r\n"
    assert through(patterns, b"-----BEGIN KEY-----\n") == b"-----BEGIN KEY-----\n"
    assert through(patterns, key + b"\n") == b"***\n***\n***\n***\n"


def test_short_values_are_left_in_peace() -> None:
    assert through(Patterns([b"1", b"abcd"]), b"1 abcd") == b"1 abcd"


@pytest.mark.parametrize(("data", "told"), [(b'{"a":"hunter2222"}', True), (b'["x"]', False), (b"12345", False)])
def test_a_result_tells_a_value_or_does_not(data: bytes, *, told: bool) -> None:
    assert Patterns([b"hunter2222", b"12345"]).told_in(data) is told


def test_our_own_words_are_masked_whole() -> None:
    assert Patterns([b"hunter2222"]).masked("bad: hunter2222!") == "bad: ***!"
