"""`cache=True` and `Cache(...)`: a task need not run where it would come to the same again (spec authoring 8)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from orchestrator.authoring.forms import duration
from orchestrator.authoring.outputs import Output
from orchestrator.spec.caching import CachePolicy


class Cache:
    """When an earlier result of the task is used again: its image, its command, its environment and the files that
    it is given are the same, and besides `key_extra`, a text (a template: with `"{{ ds }}"` each day has its own),
    and the content of `inputs`, files of the project or patterns for them. `max_age` says how old it may be (a
    timedelta or seconds; None: any age). What a container learns of its run by our variables does not count, nor
    what it finds in what it mounts."""

    __slots__ = ("inputs", "key_extra", "max_age")

    def __init__(
        self,
        *,
        key_extra: str | Output = "",
        max_age: timedelta | float | None = None,
        inputs: Sequence[str] = (),
    ) -> None:
        self.key_extra = key_extra
        self.max_age = max_age
        self.inputs = inputs


def read_cache(written: Any) -> Any:
    """True, False, None or a `Cache`. ValueError with a sentence."""
    if isinstance(written, bool) or written is None:
        return CachePolicy() if written else None
    if not isinstance(written, Cache):
        raise ValueError(f"expected True, False or Cache(...), got {written!r}")  # noqa: TRY004 - as all readers do
    if isinstance(written.inputs, str) or not all(isinstance(each, str) and each for each in written.inputs):
        raise ValueError(f"inputs of a Cache is a list of paths in the project, not {written.inputs!r}")
    age = duration(written.max_age)
    if age is not None and age <= timedelta(0):
        raise ValueError(f"max_age of a Cache is {written.max_age!r}: write more than 0")
    return CachePolicy(key_extra=str(written.key_extra), inputs=tuple(written.inputs), max_age=age)
