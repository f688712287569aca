"""The nursery: where authoring servers come from if their user is not the scheduler's (in the container image).

Who may change users starts it, before becoming nobody special, as the authoring user with an empty environment.
It closes the network to itself and all that will come of it, and then starts a server whenever the scheduler asks
for one over the socket that both were given. It holds nothing but that socket, and knows no user code.
"""

import os
import socket
import sys
from typing import NoReturn

from orchestrator.dagfiles.forking import Forker, forget_parent
from orchestrator.dagfiles.offline import close_network
from orchestrator.dagfiles.servers import command
from orchestrator.errors import AuthoringServerError


def main() -> NoReturn:
    """`python -m orchestrator.dagfiles.nursery FD`"""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    try:
        close_network()
    except AuthoringServerError as error:
        sys.exit(str(error))
    nursery = Forker(control, _become_server)
    os.dup2(1, 2)  # stdout is nowhere: from now on there is nobody to talk to
    nursery.serve()
    sys.exit(0)


def _become_server(control: int, report: int) -> NoReturn:
    """What the server says until it is ready goes into its report."""
    forget_parent()
    os.dup2(report, 2)
    os.set_inheritable(control, True)
    os.close(report)
    program = command(control)
    os.execve(program[0], program, {})  # noqa: S606 - a program of ours, and no shell wanted


if __name__ == "__main__":
    main()
