"""The task images of a project as their folders say now, bases before what is built from them, and the tag
each one's content gives it.

A content hash covers the folder's files and what it is built upon. A base that is another task image counts
by that one's hash; a base from elsewhere by the id it has on the engine, so that machines with equal bases
agree and a new base makes a new image. While the engine does not have the base (or cannot be asked), its
name stands for it: `Hashes.named`. Both are accepted when an image is asked for, so a tag that was pinned
before its base came is not orphaned when the base comes, and nothing is built twice for it.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from orchestrator.errors import ImageError, NotFoundError
from orchestrator.images.content import DOCKERFILE, source_digest
from orchestrator.images.dockerfile import Dockerfile, parse_dockerfile
from orchestrator.images.references import HASH_DIGITS, TaskTag, is_image_name
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode

#: Part of every hash: raise it when what a hash covers changes.
_FORMAT = 1


class Source(Value, frozen=True, kw_only=True):
    """One task image as its folder says now. `bases` are task images, `external` images from elsewhere."""

    name: str
    folder: Path
    dockerfile: Dockerfile
    digest: str
    bases: tuple[str, ...]
    external: tuple[str, ...]


class Hashes(Value, frozen=True, kw_only=True):
    """The content hash of one task image: `exact` with the ids of its bases as far as they are known, `named`
    with their names only."""

    name: str
    exact: str
    named: str

    @property
    def tag(self) -> TaskTag:
        return TaskTag(name=self.name, hash=self.exact)


class Catalog:
    """The folder `task-images/`. Keeps nothing: every call reads the folder as it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """All sub-folders with a Dockerfile, sorted; a folder whose name cannot be an image's is among them."""
        if not self._folder.is_dir():
            return ()
        return tuple(sorted(each.parent.name for each in self._folder.glob(f"*/{DOCKERFILE}")))

    def hint(self, name: str) -> str:
        """What may have been meant by an image's name that is none of `names()`; "" where nothing is near."""
        if not is_image_name(name):
            return ""
        if (self._folder / name).is_dir():
            return f"if {self._folder.name}/{name} is meant, write its {DOCKERFILE}"
        nearest = difflib.get_close_matches(name, self.names(), n=1)
        return f"if the task image {nearest[0]!r} is meant, correct the name" if nearest else ""

    def load(self, wanted: Iterable[str]) -> dict[str, Source]:
        """These images and all they are built from, bases first. `NotFoundError` for a name that has no
        folder; `ImageError` for a Dockerfile that cannot be read or a circle of bases."""
        names = self.names()
        found: dict[str, Source] = {}
        open_names = list(wanted)
        while open_names:
            name = open_names.pop()
            if name in found:
                continue
            if name not in names:
                nearest = difflib.get_close_matches(name, names, n=1)
                raise NotFoundError(
                    "task image",
                    name,
                    nearest=nearest[0] if nearest else None,
                    fix=f"write {self._folder.name}/{name}/{DOCKERFILE}",
                )
            found[name] = self._read(name, names)
            open_names.extend(found[name].bases)
        return {name: found[name] for name in _in_order(found)}

    def _read(self, name: str, names: tuple[str, ...]) -> Source:
        if not is_image_name(name):
            raise ImageError(
                ReasonCode.IMAGE_BUILD_FAILED,
                f"{self._folder.name}/{name}: no image can have this name",
                fix="rename the folder: lower-case letters and digits, joined by . _ or -",
            )
        folder = self._folder / name
        try:
            text = (folder / DOCKERFILE).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ImageError(
                ReasonCode.IMAGE_BUILD_FAILED,
                f"{folder / DOCKERFILE} cannot be read: {error}",
                fix="make it a readable text in UTF-8",
            ) from error
        dockerfile = parse_dockerfile(text, name)
        return Source(
            name=name,
            folder=folder,
            dockerfile=dockerfile,
            digest=source_digest(folder),
            bases=tuple(base for base in dockerfile.bases if base in names),
            external=tuple(base for base in dockerfile.bases if base not in names),
        )


def content_hashes(sources: Mapping[str, Source], identities: Mapping[str, str]) -> dict[str, Hashes]:
    """The hashes of all `sources` (bases first); `identities` are the ids of those external bases that are
    known."""
    hashes: dict[str, Hashes] = {}
    for name, source in sources.items():
        exact = {base: identities.get(base, base) for base in source.external}
        named = {base: base for base in source.external}
        for base in source.bases:
            exact[base], named[base] = hashes[base].exact, hashes[base].named
        hashes[name] = Hashes(name=name, exact=_hash(source, exact), named=_hash(source, named))
    return hashes


def _hash(source: Source, bases: Mapping[str, str]) -> str:
    content = json.dumps([_FORMAT, source.digest, sorted(bases.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:HASH_DIGITS]


def _in_order(sources: Mapping[str, Source]) -> tuple[str, ...]:
    graph = {name: sources[name].bases for name in sorted(sources)}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ImageError(
            ReasonCode.IMAGE_BUILD_FAILED,
            f"task images are built from one another in a circle: {circle}",
            fix="break the circle; an image from elsewhere of the same name needs its tag (name:tag)",
        ) from error
