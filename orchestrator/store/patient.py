"""A connection to PostgreSQL that waits for an answer only so long: a server that is frozen, or behind a network
that swallows everything, cannot hold up who asks.
"""

from collections.abc import Generator
from typing import Any

import psycopg

from orchestrator.clock import Clock, SystemClock


class Patient(psycopg.Connection[Any]):
    """A server that gives no sign for `answer_within` seconds (None: ever) while it is waited for is an
    `psycopg.OperationalError`; the connection is closed then, for nobody knows what the server still does with it.
    Much to do takes its time: each piece that comes, or is taken, is a sign."""

    answer_within: float | None = None
    clock: Clock = SystemClock()

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        if self.answer_within is None:
            return super().wait(gen, *args, **kwargs)
        return super().wait(self._bounded(gen, self.answer_within), *args, **kwargs)

    def _bounded(self, gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
        """The same steps; whoever plays them looks in every tenth of a second, with or without news."""
        ends = self.clock.monotonic() + seconds
        try:
            step = next(gen)
            while True:
                news = yield step
                if news:
                    ends = self.clock.monotonic() + seconds
                elif self.clock.monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {seconds:g} s")
                step = gen.send(news)
        except StopIteration as done:
            return done.value
