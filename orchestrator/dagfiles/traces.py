"""While a DAG file runs: which project files it opens or imports, which variables it asks for, whether it
goes to the network."""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, overload

T = TypeVar("T")

_NETWORK = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}
)
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


class MissingVariableError(KeyError):
    """A DAG file wants an environment variable that it is not shown."""


class ParseEnvironment(dict[str, str]):
    """`os.environ` as a DAG file sees it: what `[dags] parse_env` lets through. `missed` hears of each other
    variable that is asked for."""

    def __init__(self, shown: Mapping[str, str], missed: Callable[[str], None]) -> None:
        super().__init__(shown)
        self._missed = missed

    def __missing__(self, name: str) -> str:
        self._missed(name)
        raise MissingVariableError(name)

    def __contains__(self, name: object) -> bool:
        found = super().__contains__(name)
        if not found and isinstance(name, str):
            self._missed(name)
        return found

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: Any = None, /) -> Any:
        return super().__getitem__(name) if name in self else default


class Traces:
    """Fed by Python's audit events, which a process can add to and never take away; so one a process."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = str(path)
        self._root = f"{root}{os.sep}"
        self._opened: set[str] = set()
        self._modules = set(sys.modules)
        self.network_line: int | None = None
        self.variables: dict[str, int] = {}  #: asked for and not shown: name -> line of the DAG file
        sys.addaudithook(self._hear)

    def files(self, root: Path, ignored: Iterable[Path]) -> tuple[str, ...]:
        """The files below `root` that were read or imported, relative to it; none below `ignored`."""
        modules = [sys.modules[name] for name in sys.modules.keys() - self._modules]
        imported = {str(file) for module in modules if (file := getattr(module, "__file__", None))}
        left_out = tuple(ignored)
        found = set()
        for name in self._opened | imported:
            path = Path(os.path.normpath(os.path.abspath(name)))  # noqa: PTH100 - links stay as they are named
            if path.is_relative_to(root) and str(path) != self._path and not _foreign(path, root, left_out):
                found.add(path.relative_to(root).as_posix())
        return tuple(sorted(found))

    def missed(self, name: str) -> None:
        """A variable was asked for that is not shown; libraries that ask for theirs are left alone."""
        line = _line_in(self._path) if _asker().startswith(self._root) else None
        if line is not None:
            self.variables.setdefault(name, line)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            name, _, flags = arguments
            if isinstance(name, str) and isinstance(flags, int) and flags & _ACCESS == os.O_RDONLY:
                self._opened.add(name)
        elif event in _NETWORK and self.network_line is None:
            self.network_line = None if _local(arguments) else _line_in(self._path)


def _foreign(path: Path, root: Path, ignored: tuple[Path, ...]) -> bool:
    """Whether it is installed, hidden, compiled or generated rather than written for this project."""
    parts = path.relative_to(root).parts
    if any(part.startswith(".") or part == "__pycache__" for part in parts) or path.is_dir():
        return True
    return any(path.is_relative_to(each) for each in ignored)


def _local(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments) and isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX


def _line_in(path: str) -> int | None:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - what `inspect.currentframe` is
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return None


def _asker() -> str:
    """The file whose code asks for a variable, by whatever way of `os`."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - what `inspect.currentframe` is
    while frame is not None and frame.f_code.co_filename in (__file__, os.__file__, "<frozen os>"):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename
