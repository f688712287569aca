"""What a Dockerfile builds upon: its FROM lines, read as the engine reads them, and rewritten for the context
that is sent. Nothing else of a Dockerfile is interpreted.
"""

import re
from collections.abc import Iterator, Mapping

from orchestrator.errors import ImageError
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

#: `FROM scratch` names no image.
SCRATCH = "scratch"

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")
_WORD = re.compile(r"\s*(\S+)\s*(.*)", re.DOTALL)
_ASSIGNMENT = re.compile(r"""(\w+)(?:=("[^"]*"|'[^']*'|\S*))?""")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:[-+])([^}]*))?\})")
_FROM = re.compile(r"(?P<flags>(?:--\S+\s+)*)(?P<image>\S+)(?:\s+as\s+(?P<alias>\S+))?\s*", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?\s*[\"']?([A-Za-z_]\w*)[\"']?")


class From(Value, frozen=True, kw_only=True):
    """One FROM instruction: the image it names once ARG defaults are filled in, and the lines
    `[first, last]` (from 0) it stands on. `elsewhere` is False where that is an earlier stage or `scratch`;
    `flags` are its options, as written."""

    image: str
    elsewhere: bool
    flags: tuple[str, ...] = ()
    alias: str | None = None
    first: int
    last: int


class Dockerfile(Value, frozen=True, kw_only=True):
    """A Dockerfile's text and its FROM instructions, in order."""

    text: str
    froms: tuple[From, ...]

    @property
    def bases(self) -> tuple[str, ...]:
        """The images it needs from elsewhere, each once: neither earlier stages nor `scratch`."""
        return tuple(dict.fromkeys(each.image for each in self.froms if each.elsewhere))


def parse_dockerfile(text: str, name: str) -> Dockerfile:
    """Read the FROM lines of task image `name`. `ImageError` (image_build_failed) where there are none, or
    one of them names nothing."""
    arguments: dict[str, str] = {}
    froms: list[From] = []
    stages = {SCRATCH}
    for first, last, instruction in _instructions(text):
        match = _WORD.fullmatch(instruction)
        keyword, rest = (match[1].upper(), match[2]) if match else ("", "")
        if keyword == "ARG" and not froms:
            for variable, default in _ASSIGNMENT.findall(rest):
                arguments[variable] = _expand(default.strip("\"'"), arguments)
        elif keyword == "FROM":
            match = _FROM.fullmatch(rest)
            image = _expand(match["image"], arguments) if match else ""
            if match is None or not image:
                raise _names_nothing(name, first, rest)
            flags, alias, elsewhere = match["flags"].split(), match["alias"], image.lower() not in stages
            froms.append(
                From(image=image, elsewhere=elsewhere, flags=tuple(flags), alias=alias, first=first, last=last)
            )
            stages.add((alias or SCRATCH).lower())
    if not froms:
        raise ImageError(
            ReasonCode.IMAGE_BUILD_FAILED,
            f"task-images/{name}/Dockerfile has no FROM line",
            fix="begin it with FROM and a base image",
        )
    return Dockerfile(text=text, froms=tuple(froms))


def rewrite(dockerfile: Dockerfile, images: Mapping[str, str]) -> str:
    """The text with every FROM of a key of `images` naming its value instead. Stages keep their own names,
    and every other line stays on its line."""
    lines = dockerfile.text.splitlines()
    for each in dockerfile.froms:
        if not each.elsewhere or each.image not in images:
            continue
        alias = ("AS", each.alias) if each.alias else ()
        lines[each.first] = " ".join(("FROM", *each.flags, images[each.image], *alias))
        lines[each.first + 1 : each.last + 1] = [""] * (each.last - each.first)
    return "\n".join(lines) + "\n"


def _names_nothing(name: str, row: int, rest: str) -> ImageError:
    return ImageError(
        ReasonCode.IMAGE_BUILD_FAILED,
        f"task-images/{name}/Dockerfile:{row + 1}: FROM {rest.strip()} names no image",
        fix="write FROM image [AS stage]; an ARG it uses needs a default above the first FROM",
    )


def _expand(text: str, arguments: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        held = arguments.get(match[1] or match[2], "")
        if match[3] == ":-":
            return held or match[4]
        if match[3] == ":+":
            return match[4] if held else ""
        return held

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> Iterator[tuple[int, int, str]]:
    """Logical lines with the first and last line they stand on: continued lines joined, comments and the
    bodies of here-documents left out."""
    lines = text.splitlines()
    escape = _escape_character(lines)
    row = 0
    while row < len(lines):
        first = row
        parts: list[str] = []
        while row < len(lines):
            line = lines[row]
            row += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                if parts:
                    continue
                break
            stripped = line.rstrip()
            if not stripped.endswith(escape):
                parts.append(line)
                break
            parts.append(stripped[:-1])
        instruction = "".join(parts).strip()
        if not instruction:
            continue
        yield first, row - 1, instruction
        row = _after_heredocs(lines, row, instruction)


def _after_heredocs(lines: list[str], row: int, instruction: str) -> int:
    if instruction.split(None, 1)[0].upper() not in ("RUN", "COPY", "ADD"):
        return row
    for word in _HEREDOC.findall(instruction):
        ends = [at for at in range(row, len(lines)) if lines[at].strip() == word]
        if not ends:
            return row
        row = ends[0] + 1
    return row


def _escape_character(lines: list[str]) -> str:
    """The parser directive `# escape=`, which may only stand among directives at the very top."""
    for line in lines:
        match = _ESCAPE.fullmatch(line.strip())
        if match:
            return match[1]
        if not _DIRECTIVE.match(line):
            break
    return "\\"
