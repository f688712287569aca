"""From changes in `dags/` to events: each file's events come in the order of its changes, whatever breaks."""

import queue
from collections.abc import Iterator

import pytest

from orchestrator.clock import SystemClock
from orchestrator.errors import AuthoringServerError
from orchestrator.planning.events import FileGone, FileParsed
from orchestrator.ports import Batch
from orchestrator.scheduler.dag_watch import DagWatch
from orchestrator.spec.dag import DagSpec, ParsedFile
from orchestrator.testing.fake_authoring import FakeAuthoring, FakeFolder

SOON = 20.0


class Bench:
    """A watch over a folder and a parser that a test plays."""

    def __init__(self) -> None:
        self.folder, self.authoring = FakeFolder(), FakeAuthoring()
        self.posted: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.watch = DagWatch(self.folder, self.authoring, self.posted.put, SystemClock())
        self.watch.start()

    def say(self, file: str, word: str) -> None:
        """What a parse of the file gives from now on."""
        self.authoring.files[file] = ParsedFile(file=file, content_hash=word)

    def next(self) -> str:
        match self.posted.get(timeout=SOON):
            case FileParsed() as event:
                return f"{event.parsed.file} {event.parsed.content_hash}".strip()
            case FileGone() as event:
                return f"{event.file} gone"
            case other:
                return repr(other)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.watch.close()
    assert made.watch.join(SOON)
    assert made.posted.empty()


def test_what_changed_is_parsed_and_what_went_is_told(bench: Bench) -> None:
    bench.say("a.py", "one")
    bench.folder.report(Batch(changed=("a.py",)))
    assert bench.next() == "a.py one"
    bench.folder.report(Batch(gone=("a.py",)))
    assert bench.next() == "a.py gone"
    assert bench.folder.learnt.get(timeout=SOON).content_hash == "one"


def test_a_file_that_changes_while_it_is_parsed_is_parsed_again_afterwards(bench: Bench) -> None:
    bench.say("a.py", "old")
    slow = bench.authoring.faults.pause("parse", after_effect=True)
    bench.folder.report(Batch(changed=("a.py",)))
    assert slow.reached.wait(SOON)
    bench.say("a.py", "new")
    bench.say("b.py", "other")
    bench.folder.report(Batch(changed=("a.py",)))
    bench.folder.report(Batch(changed=("a.py", "b.py")))
    assert bench.next() == "b.py other"
    slow.proceed.set()
    assert [bench.next(), bench.next()] == ["a.py old", "a.py new"]


def test_a_file_that_goes_while_it_is_parsed_is_gone_in_the_end(bench: Bench) -> None:
    bench.say("a.py", "old")
    slow = bench.authoring.faults.pause("parse", after_effect=True)
    bench.folder.report(Batch(changed=("a.py",)))
    assert slow.reached.wait(SOON)
    bench.folder.report(Batch(gone=("a.py",), changed=("b.py",)))
    assert bench.next() == "b.py"
    slow.proceed.set()
    assert [bench.next(), bench.next()] == ["a.py old", "a.py gone"]


def test_a_file_that_goes_and_comes_back_while_it_is_parsed_is_there_in_the_end(bench: Bench) -> None:
    slow = bench.authoring.faults.pause("parse", after_effect=True)
    bench.folder.report(Batch(changed=("a.py",)))
    assert slow.reached.wait(SOON)
    bench.say("a.py", "back")
    bench.folder.report(Batch(gone=("a.py",)))
    bench.folder.report(Batch(changed=("a.py", "b.py")))
    assert bench.next() == "b.py"
    slow.proceed.set()
    assert [bench.next(), bench.next()] == ["a.py", "a.py back"]


def test_a_parse_for_which_there_is_no_server_is_done_later(bench: Bench) -> None:
    bench.authoring.faults.fail("parse", AuthoringServerError("the authoring server does not start"))
    bench.folder.report(Batch(changed=("a.py",)))
    assert bench.next() == "a.py"


def test_a_folder_that_cannot_be_watched_is_looked_at_anew(bench: Bench) -> None:
    bench.folder.report(PermissionError("not yours"))
    bench.folder.report(Batch(changed=("a.py",)))
    assert bench.next() == "a.py"


def test_a_parser_that_hangs_holds_up_the_other_files_only_as_far_as_there_are_parsers(bench: Bench) -> None:
    slow = bench.authoring.faults.pause("parse")
    bench.authoring.files["b.py"] = ParsedFile(file="b.py", dags=(DagSpec(dag_id="b", file="b.py"),))
    bench.folder.report(Batch(changed=("a.py",)))
    assert slow.reached.wait(SOON)
    bench.folder.report(Batch(changed=("b.py", "c.py")))
    assert {bench.next(), bench.next()} == {"b.py", "c.py"}
    slow.proceed.set()
    assert bench.next() == "a.py"
