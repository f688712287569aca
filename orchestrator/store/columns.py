"""Column types that SQLite and PostgreSQL share: instants as UTC integer microseconds, closed words as text,
values as JSON text.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

from orchestrator.store.portable import TEXT

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as microseconds since 1970-01-01T00:00Z; comes back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Raises TypeError for an instant without a timezone."""
        del dialect
        return None if value is None else (value - _BEGINNING) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else _BEGINNING + timedelta(microseconds=value)


class Word(TypeDecorator[StrEnum]):
    """A member of a closed set, kept as its text."""

    impl = TEXT
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        del dialect
        return None if value is None else self.words(value)


class Encoded(TypeDecorator[Any]):
    """A value of one type, kept as JSON text with its keys in a fixed order; None is NULL."""

    impl = TEXT
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else msgspec.json.encode(value, order="deterministic").decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else self._decoder.decode(value)
