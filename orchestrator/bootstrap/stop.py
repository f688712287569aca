"""`python -m orchestrator.bootstrap.stop [HOME]`: stop the engine that `doctor --fix` started for this home, if it
started one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.bootstrap.engine_process import stop_engine
from orchestrator.clock import SystemClock
from orchestrator.errors import OrchestratorError
from orchestrator.settings import open_project


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 whether or not there was one to stop."""
    try:
        home = Path(arguments[0]) if arguments else open_project().home
        stopped = stop_engine(home, SystemClock())
    except OrchestratorError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{'stopped the engine of' if stopped else 'no engine was started for'} {home}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
