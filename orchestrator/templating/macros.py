"""`macros.*`: pure functions for templates. What looks random is drawn from a seed that names the try, so
rendering the same try again gives the same text; and there is no way to read the clock.
"""

import json
import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, NoReturn, Self

from orchestrator.errors import RenderError


class TemplateDatetime(datetime):
    """`datetime.datetime` without the clock: a task rendered again must say the same."""

    @classmethod
    def now(cls, tz: object = None) -> Self:
        _no_clock(f"now({tz or ''})")

    @classmethod
    def utcnow(cls) -> Self:
        _no_clock("utcnow()")

    @classmethod
    def today(cls) -> Self:
        _no_clock("today()")


def _no_clock(call: str) -> NoReturn:
    raise RenderError(
        f"macros.datetime.{call} reads the clock, which a template cannot",
        fix="use logical_date, data_interval_start or data_interval_end",
    )


class TemplateJson:
    """The two functions of `json` that a template needs."""

    loads: ClassVar[Callable[..., Any]] = staticmethod(json.loads)
    dumps: ClassVar[Callable[..., str]] = staticmethod(json.dumps)


class TemplateUuid:
    """`uuid.uuid4` from a seed."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self._source.getrandbits(128), version=4)


class Macros:
    """What `macros` is in a template; `seed` names the try."""

    datetime = TemplateDatetime
    timedelta = timedelta
    json = TemplateJson()

    def __init__(self, seed: str) -> None:
        self.uuid = TemplateUuid(random.Random(f"uuid {seed}"))  # noqa: S311 - repeatable on purpose
        self.random = random.Random(f"random {seed}").random  # noqa: S311 - repeatable on purpose

    @staticmethod
    def ds_add(ds: str, days: int) -> str:
        """`ds` plus so many days; negative counts back."""
        return (_instant(ds, "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d")

    @staticmethod
    def ds_format(ds: str, input_format: str, output_format: str) -> str:
        """A date written in one strftime format, written in another."""
        return _instant(ds, input_format).strftime(output_format)


def _instant(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - calendar dates have no zone
