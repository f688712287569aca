"""The authoring server: a process of its own with an empty environment, which has everything imported that
parsing and rendering need, and forks a worker for each request. It never runs a line of a user's code itself.
"""

import gc
import os
import socket
import sys
from typing import NoReturn

from orchestrator.dagfiles import worker
from orchestrator.dagfiles.forking import Forker
from orchestrator.dagfiles.warmth import warm_up

#: What the server says once it is ready.
READY = b"\x01"


def main() -> NoReturn:
    """`python -m orchestrator.dagfiles.server FD`"""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    server = Forker(control, worker.run)
    warm_up()
    gc.collect()
    gc.freeze()
    os.dup2(1, 2)  # whose other end nobody reads from now on; stdout is nowhere
    control.sendall(READY)
    server.serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
