"""By what a text betrays that a secret stands in it as it is. Pure; no message repeats what it found."""

import re
from collections.abc import Iterator, Mapping

from orchestrator.spec.dag import ContainerTemplate
from orchestrator.spec.marks import has_templates

#: Ends of names that name a secret itself, not where it is or whose.
_NAMES = ("password", "passwd", "passphrase", "token", "secret", "api_key", "apikey", "access_key", "private_key",
          "secret_key", "credentials", "authorization")  # fmt: skip
#: Values that are none: switches, paths, and what a shell fills in.
_NO_SECRET = re.compile(r"|[$/<*].*|file:.*|true|false|yes|no|none|null|[01]", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(
    r"(?:^|\s)--?[\w-]*(?:password|passwd|passphrase|token|secret|api[-_]?key|access[-_]?key)(?:=|\s+)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|\S+)",
    re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:(?P<value>[^\s/@\"']+)@", re.IGNORECASE)
_KNOWN = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "an access key of AWS"),
    (re.compile(r"\b(?:ghp|gho|ghs|ghu)_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"), "a token of GitHub"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a token of Slack"),
)


def literal_secrets(container: ContainerTemplate, texts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Field, and what stands there. `texts` are all strings of the container, with their fields."""
    for argument in ("env_file", "environment", "labels"):
        values: Mapping[str, str] = getattr(container, argument)
        for name, value in values.items():
            if _is_name(name) and not has_templates(value) and not _NO_SECRET.fullmatch(value):
                yield f"{argument}.{name}", "the value of a secret"
    for field, text in texts:
        for pattern, what in _KNOWN:
            if pattern.search(text):
                yield field, what
        if any(_is_written(found["value"]) for found in _URL.finditer(text)):
            yield field, "a URL with a password"
    for field, line in _lines(container):
        if any(_is_written(found["value"].strip("\"'")) for found in _OPTION.finditer(line)):
            yield field, "an option with the value of a secret"


def _is_name(name: str) -> bool:
    return name.lower().replace("-", "_").endswith(_NAMES)


def _is_written(value: str) -> bool:
    """Whether a value is there, and not only the place for one."""
    return not has_templates(value) and not _NO_SECRET.fullmatch(value) and not value.startswith(("{", "-"))


def _lines(container: ContainerTemplate) -> Iterator[tuple[str, str]]:
    for field in ("command", "entrypoint", "script"):
        written = getattr(container, field)
        if written is not None:
            yield field, written if isinstance(written, str) else " ".join(written)
