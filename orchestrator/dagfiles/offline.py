"""No network, without any privilege: a filter in the kernel (seccomp) that refuses this process and all its
descendants, for ever, to make a socket of whatever kind. Descriptors they are handed keep working, and so do pairs
of sockets among themselves.
"""

import ctypes
import errno
import os
import platform
from typing import NamedTuple

from orchestrator.errors import AuthoringServerError

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
#: struct seccomp_data: where the system call's number and the architecture stand.
_NUMBER, _ARCHITECTURE = 0, 4
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
#: Numbers from here on are the x32 variants of system calls.
_X32 = 0x40000000


class _System(NamedTuple):
    """How a kind of machine names itself to the filter (AUDIT_ARCH_*), and the calls that can make a socket."""

    audit: int
    socket: int
    io_uring_setup: int = 425


_SYSTEMS = {
    "x86_64": _System(audit=0xC000003E, socket=41),
    "aarch64": _System(audit=0xC00000B7, socket=198),
    "riscv64": _System(audit=0xC00000F3, socket=198),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def close_network() -> None:
    """From now on no socket can be made here or below. `AuthoringServerError` where that cannot be had."""
    system = _SYSTEMS.get(platform.machine())
    if system is None:
        raise AuthoringServerError(f"no way is known to close the network on {platform.machine()}", fix=_FIX)
    steps = _filter(system)
    program = _Program(len(steps), (_Instruction * len(steps))(*(_Instruction(*step) for step in steps)))
    library = ctypes.CDLL(None, use_errno=True)
    for call in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if library.prctl(*call) != 0:
            raise AuthoringServerError(f"the network cannot be closed: {os.strerror(ctypes.get_errno())}", fix=_FIX)


_FIX = "run the scheduler's container on Linux 3.17 or newer, on x86_64, aarch64 or riscv64"


def _filter(system: _System) -> tuple[tuple[int, int, int, int], ...]:
    """Jumps count the instructions to skip, when equal (or at least) and when not. Foreign architectures are
    refused whole: their calls have other numbers."""
    return (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 4, system.audit),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 2, 0, _X32),
        (_EQUAL, 1, 0, system.socket),
        (_EQUAL, 0, 1, system.io_uring_setup),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    )
