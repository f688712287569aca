"""Secrets in a shell line that is shown: places for them, which variables of who runs the line fill. Without one
that it needs the line ends, and says which. Pure."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.spec.secrets import Sealed, SecretFile, SecretKind, SecretRef, variable_suffix

_PREFIXES: Mapping[SecretKind, str] = {
    SecretKind.SECRET: "ORCHESTRATOR_SECRET_",
    SecretKind.VARIABLE: "ORCHESTRATOR_VAR_",
    SecretKind.CONNECTION: "ORCHESTRATOR_CONN_",
}
#: Where a line keeps files of secrets on their way.
FOLDER = "secrets"


def word(sealed: Sealed) -> str:
    """A word of a shell line with a text in it: references are variables, everything else is quoted."""
    return "".join(shlex.quote(each) if isinstance(each, str) else f'"${{{variable(each)}:?}}"' for each in sealed)


def variable(ref: SecretRef) -> str:
    """The variable that holds what a reference means: a connection's URI and all of anything else has the name by
    which the scheduler itself looks it up, a part has one of its own."""
    whole = not ref.path or (ref.kind is SecretKind.CONNECTION and ref.path == ("uri",))
    part = "" if whole else "__" + re.sub(r"\W", "_", "_".join(ref.path), flags=re.ASCII).upper()
    return f"{_PREFIXES[ref.kind]}{variable_suffix(ref.id)}{part}"


def options(environment: Mapping[str, Sealed]) -> str:
    """Variables of the container."""
    return "".join(f" --env {shlex.quote(name)}={word(sealed)}" for name, sealed in sorted(environment.items()))


def copies(files: Iterable[SecretFile]) -> str:
    """Has the files in a folder of their own, and from there in `$container`; every user in it may read them."""
    return "".join(f" && {step}" for step in _steps(tuple(files)))


def _steps(files: tuple[SecretFile, ...]) -> Iterator[str]:
    folders = sorted({posixpath.dirname(file.path) for file in files})
    if not folders:
        return
    yield "mkdir -p " + " ".join(map(_place, folders))
    for file in files:
        yield f"printf %s {word(file.content)} >{_place(file.path)}"
    yield "chmod a+r " + " ".join(_place(file.path) for file in files)
    for volume in dict.fromkeys(file.volume for file in files):
        names = (posixpath.relpath(file.path, volume) for file in files if file.volume == volume)
        packed = f"tar -cf - -C {_place(volume)} {' '.join(shlex.quote(f'./{name}') for name in names)}"
        yield f'{packed} | docker cp - "$container":{shlex.quote(volume)}'


def _place(path: str) -> str:
    return f'"${FOLDER}"{shlex.quote(path)}'
