"""The base of every value: frozen, keyword-only, strict, and (de)serialized by msgspec."""

from typing import Any

import msgspec

#: What JSON can say.
Json = None | bool | int | float | str | list[Any] | dict[str, Any]


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A frozen value. Change one with `msgspec.structs.replace`."""
