"""Values in a shell script that its shell never reads as code.

A script is rendered with a mark in the place of each value that somebody else wrote. Here every mark becomes
a reference to a shell variable that the script's first lines set, or the value itself where it is made of
characters that mean nothing to any shell. So the only places where other text of such a value stands in the
script are single-quoted assignments at its very beginning; what surrounds a mark (quotes, substitutions,
here-documents) decides only how the reference is spelt. A mistake about the surroundings can split a word, but
never makes one run.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.errors import RenderError

_WHOLE_NUMBER = re.compile(r"-?\d+")
_HARMLESS = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
_RESERVED = frozenset({"case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select",
                       "then", "time", "until", "while"})  # fmt: skip
_HEREDOC = re.compile(r"<<(?P<tabs>-?)[ \t]*(?P<word>(?:[^\s;&|<>()'\"\\]|'[^'\n]*'|\"[^\"\n]*\"|\\.)+)")
_COMMENT_FOLLOWS = " \t\n;&|()"
_SUBJECT = "a value from conf, params or results"

#: How a reference to the variable of this name is written in some place.
_Spelling = Callable[[str], str]


class Marks:
    """Stands in for values while a script is rendered. `nonce` must be unknown to whoever wrote them."""

    def __init__(self, nonce: str) -> None:
        self.values: list[str] = []
        self.pattern = re.compile(f"\ue000{re.escape(nonce)}:(\\d+)\ue001")
        self._nonce = nonce

    def mark(self, value: object) -> str:
        """A mark for this value; an undefined one raises here."""
        self.values.append(str(value))
        return f"\ue000{self._nonce}:{len(self.values) - 1}\ue001"


def fill(script: str, marks: Marks) -> str:
    """The script with its values in it. RenderError where one stands in a place that cannot be made safe."""
    return _Reader(script, marks).filled()


@dataclass(slots=True, kw_only=True)
class _Frame:
    """An open quote or substitution: what closes it, and whether text in it is as if in double quotes."""

    closer: str
    quoted: bool = False
    arithmetic: bool = False


@dataclass(slots=True, kw_only=True)
class _Heredoc:
    """A here-document that begins on the next line; in a `literal` one the shell replaces nothing."""

    word: str
    literal: bool
    tabs: bool


@dataclass(slots=True)
class _Reader:
    """Walks a script once, copying it, and spells each mark for the place where it stands."""

    text: str
    marks: Marks
    at: int = 0
    out: list[str] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=lambda: [_Frame(closer="")])
    heredocs: list[_Heredoc] = field(default_factory=list)
    variables: dict[int, str] = field(default_factory=dict)

    def filled(self) -> str:
        while self.at < len(self.text):
            self._step()
        values = self.marks.values
        settings = [f"{name}={shlex.quote(values[index])}\n" for index, name in self.variables.items()]
        return "".join(settings + self.out)

    def _step(self) -> None:
        frame = self.frames[-1]
        if mark := self.marks.pattern.match(self.text, self.at):
            self._copy(mark.end(), _spelling(frame))
        elif self.text[self.at] == "\\":
            mark = self.marks.pattern.match(self.text, self.at + 1)
            self._copy(mark.end() if mark else self.at + 2, _refuse_escaped)
        elif len(self.frames) > 1 and self.text.startswith(frame.closer, self.at):
            self.frames.pop()
            self._copy(self.at + len(frame.closer))
        elif not self._open(frame) and (frame.quoted or not self._plain(frame)):
            self._copy(self.at + 1)

    def _open(self, frame: _Frame) -> bool:
        """Enter a substitution, a double quote or a parenthesis if one begins here."""
        openers = {
            "$((": _Frame(closer="))", arithmetic=True),
            "$(": _Frame(closer=")"),
            "${": _Frame(closer="}", quoted=frame.quoted),
            "`": _Frame(closer="`"),
            '"': _Frame(closer='"', quoted=True, arithmetic=frame.arithmetic),
        }
        if not frame.quoted:
            openers["("] = _Frame(closer=")", arithmetic=frame.arithmetic)
        for opener, opened in openers.items():
            if self.text.startswith(opener, self.at):
                self._copy(self.at + len(opener))
                self.frames.append(opened)
                return True
        return False

    def _plain(self, frame: _Frame) -> bool:
        """Copy what only means something outside double quotes, if it is here."""
        char = self.text[self.at]
        if char == "'":
            self._copy(self._find("'", self.at + 1) + 1, lambda name: f"'\"${{{name}}}\"'")
        elif char == "#" and (self.at == 0 or self.text[self.at - 1] in _COMMENT_FOLLOWS):
            self._copy(self._find("\n", self.at), lambda name: f"${{{name}}}")
        elif char == "\n" and self.heredocs:
            self._copy(self.at + 1)
            for heredoc in self.heredocs:
                self._heredoc_body(heredoc)
            self.heredocs.clear()
        else:
            return char == "<" and not frame.arithmetic and self._heredoc_word()
        return True

    def _heredoc_word(self) -> bool:
        found = _HEREDOC.match(self.text, self.at)
        if found is None or self.text.startswith("<<<", self.at):
            return False
        word = re.sub(r"['\"\\]", "", found["word"])
        self.heredocs.append(_Heredoc(word=word, literal=word != found["word"], tabs=bool(found["tabs"])))
        self._copy(found.end())
        return True

    def _heredoc_body(self, heredoc: _Heredoc) -> None:
        spelling = _refuse_in_literal_heredoc if heredoc.literal else _reference
        while self.at < len(self.text):
            end = self._find("\n", self.at)
            line = self.text[self.at : end]
            self._copy(end + 1, spelling)
            if (line.lstrip("\t") if heredoc.tabs else line) == heredoc.word:
                return

    def _find(self, text: str, start: int) -> int:
        found = self.text.find(text, start)
        return len(self.text) if found < 0 else found

    def _copy(self, end: int, spelling: _Spelling | None = None) -> None:
        """Copy up to `end`, writing each mark on the way by `spelling`, by default as a bare reference."""
        stretch = self.text[self.at : end]
        self.out.append(self.marks.pattern.sub(lambda mark: self._written(mark, spelling or _reference), stretch))
        self.at = end

    def _written(self, mark: re.Match[str], spelling: _Spelling) -> str:
        index = int(mark[1])
        value = self.marks.values[index]
        if spelling is _in_arithmetic and _WHOLE_NUMBER.fullmatch(value):
            return value
        if spelling in _REFUSALS:
            return spelling(value)
        if self._harmless(value, mark):
            return value
        return spelling(self.variables.setdefault(index, f"orc_data_{len(self.variables) + 1}"))

    def _harmless(self, value: str, mark: re.Match[str]) -> bool:
        """Whether the value may stand as it is: no character, no word and no neighbour gives it a meaning.
        A script with here-documents keeps none, since a value could be the word that ends one."""
        if not _HARMLESS.fullmatch(value) or value in _RESERVED or "<<" in self.text:
            return False
        return not (value.isdigit() and self.text[self.at + mark.end() : self.at + mark.end() + 1] in ("<", ">"))


def _spelling(frame: _Frame) -> _Spelling:
    if frame.arithmetic:
        return _in_arithmetic
    return _reference if frame.quoted else _word


def _reference(name: str) -> str:
    return f"${{{name}}}"


def _word(name: str) -> str:
    return f'"${{{name}}}"'


def _in_arithmetic(value: str) -> str:
    raise RenderError(
        f"{_SUBJECT} stands in shell arithmetic, and {value!r} is no whole number",
        fix="pass it with environment=, and check it before it is used",
    )


def _refuse_in_literal_heredoc(_: str) -> str:
    raise RenderError(
        f"{_SUBJECT} stands in a here-document with a quoted end word, where the shell replaces nothing",
        fix="write the end word without quotes (<<EOF), or pass the value with environment=",
    )


def _refuse_escaped(_: str) -> str:
    raise RenderError(
        f"{_SUBJECT} stands right behind a backslash", fix="take the backslash away: it is quoted as it is"
    )


_REFUSALS = (_in_arithmetic, _refuse_in_literal_heredoc, _refuse_escaped)
