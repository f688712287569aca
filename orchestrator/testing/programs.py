"""What containers of the fake engine do: values that a test writes instead of shell scripts."""

from orchestrator.ports import Stream
from orchestrator.spec.value import Value
from orchestrator.states import ReasonCode


class Output(Value, frozen=True, kw_only=True):
    """Bytes written by one `write` of a program."""

    data: bytes
    stream: Stream = Stream.STDOUT


class Program(Value, frozen=True, kw_only=True):
    """What a fake container does once started: it writes, leaves files, and ends; all before `start` returns,
    unless it `stays`: then it runs until the test finishes it or a signal it is not deaf to ends it."""

    output: tuple[Output, ...] = ()
    files: dict[str, bytes] = {}  #: path -> content, there from the first moment on
    exit_code: int = 0
    oom_killed: bool = False
    memory: int = 2**20  #: bytes that it holds while it runs
    stays: bool = False
    exit_on_term: int | None = None  #: its own code where it ends in order on TERM; None: the signal ends it
    deaf_to: frozenset[str] = frozenset()  #: signals without effect; KILL always has one
    refused: ReasonCode | None = None  #: `start` refuses the container with this code


def says(text: str, *, exit_code: int = 0) -> Program:
    """A program that prints `text` and ends."""
    return Program(output=(Output(data=text.encode()),), exit_code=exit_code)
