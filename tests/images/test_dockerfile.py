"""FROM lines are read as the engine reads them, and only they are rewritten."""

import pytest

from orchestrator.errors import ImageError
from orchestrator.images.dockerfile import parse_dockerfile, rewrite

BASES = {
    "plain": ("FROM python:3.13-slim\nRUN true\n", ("python:3.13-slim",)),
    "lower case and tabs": ("from\tpython:3.13-slim\n", ("python:3.13-slim",)),
    "registry with a port": ("FROM localhost:5000/a/b:1\n", ("localhost:5000/a/b:1",)),
    "scratch is no image": ("FROM scratch\nCOPY a /a\n", ()),
    "a stage is no image": ("FROM a:1 AS Build\nFROM b:1\nCOPY --from=build /x /x\nFROM build\n", ("a:1", "b:1")),
    "a stage named like its image": ("FROM a AS a\nFROM a\n", ("a",)),
    "each once": ("FROM a:1 AS x\nFROM a:1 AS y\n", ("a:1",)),
    "platform": ("FROM --platform=$BUILDPLATFORM a:1 AS x\n", ("a:1",)),
    "argument": ("ARG VERSION=3.13\nFROM python:${VERSION}-slim\n", ("python:3.13-slim",)),
    "quoted argument": ('ARG BASE="a:1"\nFROM $BASE\n', ("a:1",)),
    "argument of an argument": ("ARG A=3\nARG B=python:$A\nFROM $B\n", ("python:3",)),
    "several on one line": ("ARG A=x B=1\nFROM $A:$B\n", ("x:1",)),
    "default in place": ("ARG V\nFROM a:${V:-2}\n", ("a:2",)),
    "other value in place": ("ARG V=1\nFROM a:${V:+3}\n", ("a:3",)),
    "later arguments do not count": ("ARG V=1\nFROM a:$V\nARG V=2\nFROM b:$V\n", ("a:1", "b:1")),
    "continued": ("FROM \\\n  # why\n  a:1 \\\n\n  AS x\n", ("a:1",)),
    "other escape": ("# escape=`\nFROM `\n  a:1\n", ("a:1",)),
    "comment is no directive": ("# a comment\n# escape=`\nFROM \\\n  a:1\n", ("a:1",)),
    "words in RUN": ("FROM a:1\nRUN echo \\\n  FROM b:1\n", ("a:1",)),
    "here-document": ("FROM a:1\nRUN <<EOF\nFROM b:1\nEOF\nFROM c:1\n", ("a:1", "c:1")),
    "windows line ends": ("FROM a:1\r\nRUN true\r\n", ("a:1",)),
}


@pytest.mark.parametrize("case", BASES)
def test_bases_of_a_dockerfile(case: str) -> None:
    text, bases = BASES[case]
    assert parse_dockerfile(text, "x").bases == bases


@pytest.mark.parametrize("text", ["", "RUN true\n", "# FROM a\n", "FROM\n", "ARG V\nFROM $V\n", "FROM a b c\n"])
def test_a_dockerfile_that_names_no_base_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ImageError, match="task-images/mine/Dockerfile") as caught:
        parse_dockerfile(text, "mine")
    assert caught.value.code == "image_build_failed"
    assert caught.value.fix


def test_rewriting_changes_from_lines_only_and_keeps_every_line_in_its_place() -> None:
    text = (
        "ARG V=1\n# FROM base\nFROM --platform=linux/amd64 \\\n  base AS one\nRUN echo base\n"
        "FROM other:$V as two\nFROM one\nCOPY --from=two /a /b\n"
    )
    written = rewrite(parse_dockerfile(text, "x"), {"base": "orchestrator/base:abc", "other:1": "o:2", "one": "no"})
    assert written == (
        "ARG V=1\n# FROM base\nFROM --platform=linux/amd64 orchestrator/base:abc AS one\n\nRUN echo base\n"
        "FROM o:2 AS two\nFROM one\nCOPY --from=two /a /b\n"
    )


def test_a_stage_that_takes_the_name_of_an_image_hides_it_from_then_on() -> None:
    written = rewrite(parse_dockerfile("FROM a AS a\nFROM a AS b\n", "x"), {"a": "pinned"})
    assert written == "FROM pinned AS a\nFROM a AS b\n"
