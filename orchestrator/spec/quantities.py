"""Sizes, counts and cores as people write them, read into numbers. Every function raises `FinalizeError`,
naming the argument, where the text is no such quantity."""

import math
import re

from orchestrator.errors import FinalizeError

_SIZE = re.compile(r"(?P<whole>[0-9]{1,20})(?:\.(?P<part>[0-9]{1,20}))?\s*(?P<unit>[kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_UNLIMITED = -1


def size(field: str, value: int | str | None) -> int | None:
    """Bytes of `512m`, `1g`, `1.5 GiB`, `"1048576"` or a number; units are powers of 1024, as the engine's.
    Parts of a byte are cut off."""
    if value is None:
        return None
    match = _SIZE.fullmatch(str(value).strip())
    amount = _amount(match) if match else 0
    if amount <= 0:
        raise FinalizeError(
            field, f"{value!r} is no size", fix="write a number of bytes, or one like '512m' or '2g'"
        )
    return amount


def _amount(match: re.Match[str]) -> int:
    part = match["part"] or ""
    scale: int = 10 ** len(part)
    return int(match["whole"] + part) * _UNITS[match["unit"].lower()] // scale


def size_or_unlimited(field: str, value: int | str | None) -> int | None:
    """As `size`; -1 means no limit."""
    return _UNLIMITED if str(value).strip() == str(_UNLIMITED) else size(field, value)


def cores(field: str, value: float | str | None) -> float | None:
    """Processor cores, parts allowed: `1.5` or `"1.5"`."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise FinalizeError(field, f"{value!r} is no number of cores", fix="write a number above 0, like 1.5")
    return number


def count(field: str, value: int | str | None) -> int | None:
    """A whole number above 0."""
    if value is None:
        return None
    text = str(value).strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
    if number <= 0:
        raise FinalizeError(field, f"{value!r} is no whole number above 0", fix="write one, like 100")
    return number


def count_or_unlimited(field: str, value: int | str | None) -> int | None:
    """As `count`; -1 means no limit."""
    return _UNLIMITED if str(value).strip() == str(_UNLIMITED) else count(field, value)


def within(least: int, most: int, field: str, value: int | str | None) -> int | None:
    """A whole number from `least` to `most`."""
    if value is None:
        return None
    text = str(value).strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise FinalizeError(field, f"{value!r} is no whole number from {least} to {most}", fix="write one")
    return int(text)
