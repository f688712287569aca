"""`orchestrator`, run with a clock that a test can set: the file that $CLOCK_FILE names says by how many seconds it
is ahead of the machine's. Only the wall clock is set: the monotonic one is nobody's to set."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator import clock

_AHEAD = Path(os.environ["CLOCK_FILE"])


class JumpingClock(clock.SystemClock):
    """The machine's, and so many seconds."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(_AHEAD.read_text()))


clock.SystemClock = JumpingClock  # type: ignore[misc] - before anybody else takes it

if __name__ == "__main__":
    from orchestrator.cli import main

    main()
