"""What PostgreSQL's errors mean to us: by SQLSTATE; where there was no connection, by what the error says, since
the driver then has nothing else.
"""

from sqlalchemy.exc import DBAPIError

from orchestrator.errors import StoreConflictError, StoreError, StoreUnavailableError
from orchestrator.store.database import BUSY, OTHER, Meaning

_DISK = Meaning(StoreUnavailableError, "free some space on the server's disk; work then resumes by itself")
_BROKEN = Meaning(StoreUnavailableError, "see the server's log; nothing is lost, work resumes by itself")
_FULL = Meaning(StoreUnavailableError, "raise the server's max_connections, or end who else uses it")
_NOT_WRITABLE = Meaning(
    StoreUnavailableError, "this server cannot be written to (a replica?): name the primary one in database.url"
)
_PASSWORD = Meaning(StoreUnavailableError, "correct user and password in database.url")
_NO_DATABASE = Meaning(
    StoreUnavailableError, "correct the name in database.url, or create it: createdb --owner USER NAME"
)
_NOBODY = Meaning(StoreUnavailableError, "start it, or correct host and port in database.url; work then goes on")
_RIGHTS = Meaning(StoreError, "have the database owned by the user in database.url: ALTER DATABASE ... OWNER TO")
_ROW = Meaning(StoreConflictError)
_DAMAGED = Meaning(StoreError, "put a copy of the database back that is whole")

#: By SQLSTATE, or the first two letters of it: its class.
_STATES = {
    "08": BUSY,
    "0A": OTHER,
    "22": _ROW,
    "23": _ROW,
    "25006": _NOT_WRITABLE,
    "25P03": BUSY,
    "28": _PASSWORD,
    "3D": _NO_DATABASE,
    "40": BUSY,
    "42501": _RIGHTS,
    "53": BUSY,
    "53100": _DISK,
    "53300": _FULL,
    "54": _ROW,
    "55P03": BUSY,
    "57": BUSY,
    "58": _BROKEN,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
#: What is said where no connection came about.
_SENTENCES = (
    ("authentication failed", _PASSWORD),
    ("no password supplied", _PASSWORD),
    ("pg_hba.conf", _PASSWORD),
    ("too many connections", _FULL),
    ("too many clients", _FULL),
    ("remaining connection slots", _FULL),
    ("the database system is", BUSY),  # starting up, shutting down, in recovery mode, not accepting connections
    ("role ", _PASSWORD),
    ("database ", _NO_DATABASE),
    ("refused", _NOBODY),
    ("No such file", _NOBODY),
    ("resolve host", _NOBODY),
    ("translate host", _NOBODY),
    ("Name or service", _NOBODY),
    ("timeout expired", _NOBODY),
)


def meaning(error: DBAPIError) -> Meaning:
    """What an error of the driver is to us."""
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _STATES.get(state, _STATES.get(state[:2], OTHER))
    kind = type(error.orig).__name__
    if kind == "DataError":  # the driver's own: a text that no PostgreSQL takes
        return _ROW
    if kind not in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return OTHER
    said = str(error.orig)
    return next((each for words, each in _SENTENCES if words in said), BUSY)
