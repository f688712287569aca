"""What every engine promises (`orchestrator.ports.Engine`), over the fake and the real one alike."""

import pytest
from engine_lab import (
    COUNT,
    CUT,
    DEAF,
    LONG,
    OBEDIENT,
    ONCE_MORE,
    QUIET,
    RAW,
    RESULT,
    TALK,
    Lab,
    payload,
    read,
)

from orchestrator.errors import (
    ContainerRunningError,
    FileTooLargeError,
    LaunchRefusedError,
    NameTakenError,
    NoSuchContainerError,
    NoSuchFileError,
)
from orchestrator.ids import DEPLOYMENT_LABEL, KIND_LABEL, ContainerId, new_deployment_id
from orchestrator.ports import Stream
from orchestrator.spec.container import ContainerState, EngineEventKind, InputFile, Mount, MountType
from orchestrator.states import ReasonCode

NOBODY = ContainerId("0" * 64)


# --- life and end -------------------------------------------------------------------------------------


def test_a_container_is_created_runs_and_tells_how_it_ended(lab: Lab) -> None:
    container = lab.create(TALK)
    before = lab.engine.inspect(container)
    with lab.listening() as events:
        lab.engine.start(container)
        died = events.expect(EngineEventKind.DIE, container)
    after = lab.engine.inspect(container)

    assert (before.state, before.exit, before.started_at) == (ContainerState.CREATED, None, None)
    assert before.name == lab.spec(TALK, name=before.name).name
    assert before.labels["orchestrator.try_id"] == "0" * 16
    assert after.state is ContainerState.EXITED
    assert after.exit is not None
    assert (after.exit.exit_code, after.exit.oom_killed, died.exit_code) == (3, False, 3)
    assert after.exit.started_at is not None
    assert after.exit.finished_at is not None
    assert after.exit.started_at <= after.exit.finished_at
    assert after.started_at == after.exit.started_at


def test_a_running_container_says_so(lab: Lab) -> None:
    facts = lab.engine.inspect(lab.running(OBEDIENT))
    assert facts.state is ContainerState.RUNNING
    assert facts.started_at is not None
    assert facts.exit is None


def test_the_memory_of_a_container_is_known_while_it_runs(lab: Lab) -> None:
    running = lab.running(OBEDIENT)
    held = lab.engine.memory(running)
    assert held is not None
    assert 2**12 < held < 2**30
    assert lab.engine.memory(lab.finished(QUIET)) is None
    assert lab.engine.memory(lab.create(QUIET)) is None
    with pytest.raises(NoSuchContainerError):
        lab.engine.memory(NOBODY)


def test_start_leaves_a_running_container_alone(lab: Lab) -> None:
    container = lab.running(OBEDIENT)
    before = lab.engine.inspect(container)
    lab.engine.start(container)
    assert lab.engine.inspect(container) == before


def test_start_runs_an_exited_container_again_so_nobody_may_send_it_twice(lab: Lab) -> None:
    container = lab.finished(ONCE_MORE)
    with lab.listening() as events:
        lab.engine.start(container)
        events.expect(EngineEventKind.DIE, container)
    kept = b"".join(lab.engine.read_logs(container))
    assert payload(kept)[Stream.STDOUT] == b"again\nagain\n"


def test_a_taken_name_names_its_holder(lab: Lab) -> None:
    holder = lab.create(QUIET)
    taken = lab.engine.inspect(holder).name
    with pytest.raises(NameTakenError) as refusal:
        lab.create(QUIET, name=taken)
    assert (refusal.value.name, refusal.value.holder) == (taken, holder)
    assert lab.engine.remove(holder)
    lab.create(QUIET, name=taken)


# --- refusals -----------------------------------------------------------------------------------------


def test_create_refuses_an_image_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(LaunchRefusedError, match="No such image") as refusal:
        lab.create(QUIET, image="orchestrator/never-built:0")
    assert refusal.value.code == ReasonCode.IMAGE_MISSING


def test_create_refuses_a_bind_whose_source_is_missing_and_makes_no_folder(lab: Lab) -> None:
    missing = Mount(type=MountType.BIND, source="/never/made", target="/data")
    for _ in range(2):
        with pytest.raises(LaunchRefusedError, match="/never/made") as refusal:
            lab.create(QUIET, mounts=(missing,))
        assert refusal.value.code == ReasonCode.MOUNT_MISSING


@pytest.mark.parametrize("asked", [{"cpus": 10_000.0}, {"memory": 2**60}])
def test_create_refuses_more_than_the_engine_has(lab: Lab, asked: dict[str, float]) -> None:
    with pytest.raises(LaunchRefusedError) as refusal:
        lab.create(QUIET, **asked)
    assert (refusal.value.code, bool(refusal.value.fix)) == (ReasonCode.CREATE_REFUSED, True)


def test_start_refuses_a_network_that_is_not_there(lab: Lab) -> None:
    container = lab.create(QUIET, network="never-made")
    with pytest.raises(LaunchRefusedError, match="never-made") as refusal:
        lab.engine.start(container)
    assert refusal.value.code == ReasonCode.NETWORK_MISSING
    assert lab.engine.inspect(container).state is ContainerState.CREATED


def test_start_refuses_a_command_that_is_not_in_the_image(lab: Lab) -> None:
    container = lab.create(QUIET, command=("never-installed",))
    with pytest.raises(LaunchRefusedError) as refusal:
        lab.engine.start(container)
    assert refusal.value.code == ReasonCode.COMMAND_MISSING
    facts = lab.engine.inspect(container)
    assert (facts.state, facts.started_at) == (ContainerState.CREATED, None)


def test_a_container_that_is_gone_is_told_as_gone(lab: Lab) -> None:
    with pytest.raises(NoSuchContainerError):
        lab.engine.start(NOBODY)
    with pytest.raises(NoSuchContainerError):
        lab.engine.inspect(NOBODY)
    with pytest.raises(NoSuchContainerError):
        lab.engine.attach_logs(NOBODY)
    with pytest.raises(NoSuchContainerError):
        lab.engine.follow_logs(NOBODY)
    with pytest.raises(NoSuchContainerError):
        list(lab.engine.read_logs(NOBODY))
    with pytest.raises(NoSuchContainerError):
        lab.engine.read_file(NOBODY, "/x", 1)
    with pytest.raises(NoSuchContainerError):
        lab.engine.put_files(NOBODY, [InputFile(path="/x", data=b"")])
    assert lab.engine.signal(NOBODY, "KILL") is False
    assert lab.engine.remove(NOBODY) is False


# --- stopping and removing ----------------------------------------------------------------------------


def test_a_signal_reaches_a_running_container_and_no_other(lab: Lab) -> None:
    waiting = lab.create(QUIET)
    assert lab.engine.signal(waiting, "TERM") is False
    container = lab.running(OBEDIENT)
    with lab.listening() as events:
        assert lab.engine.signal(container, "TERM") is True
        seen = events.until(EngineEventKind.DIE, container)
    kill, die = (next(each for each in seen if each.kind == kind) for kind in ("kill", "die"))
    assert seen.index(kill) < seen.index(die)
    assert (kill.detail, die.exit_code) == ("15", 143)
    assert lab.engine.signal(container, "TERM") is False


def test_a_container_deaf_to_term_ends_with_kill(lab: Lab) -> None:
    container = lab.running(DEAF)
    with lab.listening() as events:
        assert lab.engine.signal(container, "TERM") is True
        events.expect(EngineEventKind.KILL, container)
        assert lab.engine.inspect(container).state is ContainerState.RUNNING
        assert lab.engine.signal(container, "KILL") is True
        assert events.expect(EngineEventKind.DIE, container).exit_code == 137


def test_remove_spares_a_running_container_unless_forced(lab: Lab) -> None:
    container = lab.running(OBEDIENT)
    with pytest.raises(ContainerRunningError):
        lab.engine.remove(container)
    assert lab.engine.inspect(container).state is ContainerState.RUNNING
    with lab.listening() as events:
        assert lab.engine.remove(container, force=True) is True
        events.expect(EngineEventKind.DESTROY, container)
    assert lab.engine.remove(container) is False


# --- finding ------------------------------------------------------------------------------------------


def test_only_tries_of_this_deployment_are_listed_in_every_state(lab: Lab) -> None:
    made = {lab.create(QUIET), lab.finished(TALK), lab.running(OBEDIENT)}
    ours = {DEPLOYMENT_LABEL: lab.deployment}
    lab.create(QUIET, labels={**ours, KIND_LABEL: "build"})
    other = Lab(lab.engine, new_deployment_id(), lab.spec(QUIET).image)
    foreign = other.create(QUIET)
    try:
        listed = {facts.id: facts for facts in lab.engine.list_ours(lab.deployment)}
        assert set(listed) == made
        assert foreign not in listed
        assert all(facts == lab.engine.inspect(ContainerId(facts.id)) for facts in listed.values())
        assert sorted(facts.exit.exit_code for facts in listed.values() if facts.exit) == [3]
    finally:
        other.clear()


# --- events -------------------------------------------------------------------------------------------


def test_the_event_stream_tells_a_whole_life_with_labels_and_of_nobody_else(lab: Lab) -> None:
    other = Lab(lab.engine, new_deployment_id(), lab.spec(QUIET).image)
    with lab.listening() as events:
        other.create(QUIET)
        other.clear()
        container = lab.create(TALK)
        lab.engine.start(container)
        seen = events.until(EngineEventKind.DIE, container)
        lab.engine.remove(container)
        seen += events.until(EngineEventKind.DESTROY, container)

    assert [event.kind for event in seen] == ["create", "start", "die", "destroy"]
    assert {event.container_id for event in seen} == {container}
    ours = lab.spec(TALK).labels.items()  # beside those that a container inherits of its image
    assert all(ours <= event.labels.items() for event in seen)
    assert [event.exit_code for event in seen] == [None, None, 3, None]
    instants = [event.at for event in seen if event.at is not None]
    assert len(instants) == len(seen)
    assert instants == sorted(instants)


def test_close_ends_the_event_stream(lab: Lab) -> None:
    stream = lab.engine.events(lab.deployment)
    assert next(stream).kind is EngineEventKind.CONNECTED
    lab.clear()
    lab.engine.close()
    assert list(stream) == []


# --- output -------------------------------------------------------------------------------------------


def test_output_attached_before_start_is_whole_from_the_first_byte(lab: Lab) -> None:
    for _ in range(3):
        container = lab.create(COUNT)
        stream = lab.engine.attach_logs(container)
        lab.engine.start(container)
        said = payload(read(stream))
        stream.close()
        stream.close()
        assert said[Stream.STDOUT] == b"".join(b"%d\n" % n for n in range(1, 3001))


def test_both_streams_come_in_frames(lab: Lab) -> None:
    container = lab.create(TALK)
    stream = lab.engine.attach_logs(container)
    lab.engine.start(container)
    assert stream.tty is False
    assert payload(read(stream)) == {Stream.STDOUT: b"out\n", Stream.STDERR: b"err\n"}
    stream.close()


def test_attached_bytes_are_exact_and_the_kept_ones_are_text(lab: Lab) -> None:
    container = lab.create(RAW)
    stream = lab.engine.attach_logs(container)
    lab.engine.start(container)
    live = payload(read(stream))[Stream.STDOUT]
    stream.close()
    kept = payload(b"".join(lab.engine.read_logs(container)))[Stream.STDOUT]
    assert live == b"\xffa\x80\xc3\xa9\n"
    assert kept.decode() == "\ufffda\ufffd\u00e9\n"


def test_a_character_cut_at_16_kib_is_damaged_in_the_kept_log_only(lab: Lab) -> None:
    container = lab.create(CUT)
    stream = lab.engine.attach_logs(container)
    lab.engine.start(container)
    live = payload(read(stream))[Stream.STDOUT]
    stream.close()
    kept = payload(b"".join(lab.engine.read_logs(container)))[Stream.STDOUT]
    assert live == b"x" * 16383 + "é\n".encode()
    assert kept.decode() == "x" * 16383 + "\ufffd\ufffd\n"


def test_long_and_unfinished_lines_are_kept_whole(lab: Lab) -> None:
    container = lab.finished(LONG)
    expected = b"x" * 20000 + b"\nopen"
    assert payload(b"".join(lab.engine.read_logs(container)))[Stream.STDOUT] == expected
    stream = lab.engine.follow_logs(container)
    assert payload(read(stream))[Stream.STDOUT] == expected
    stream.close()


def test_following_begins_at_the_beginning_and_goes_on(lab: Lab) -> None:
    container = lab.running(OBEDIENT)
    stream = lab.engine.follow_logs(container)
    assert payload(read(stream, until=b"ready\n"))[Stream.STDOUT] == b"ready\n"
    assert stream.recv() is None
    lab.engine.signal(container, "KILL")
    assert read(stream) == b""
    stream.close()


def test_reading_the_log_of_a_running_container_waits_for_nothing(lab: Lab) -> None:
    container = lab.running(OBEDIENT)
    assert payload(b"".join(lab.engine.read_logs(container)))[Stream.STDOUT] == b"ready\n"


def test_a_tty_has_one_stream_without_frames(lab: Lab) -> None:
    container = lab.create(QUIET, command=("sh", "-c", ONCE_MORE.sh), tty=True)
    stream = lab.engine.attach_logs(container)
    lab.engine.start(container)
    assert stream.tty is True
    assert read(stream).replace(b"\r", b"") == b"again\n"
    stream.close()
    follower = lab.engine.follow_logs(container)
    assert follower.tty is True
    assert read(follower).replace(b"\r", b"") == b"again\n"
    follower.close()


# --- files --------------------------------------------------------------------------------------------


def test_a_file_is_read_also_after_the_end_and_through_a_link(lab: Lab) -> None:
    container = lab.finished(RESULT)
    assert lab.engine.read_file(container, "/tmp/result", 3) == b"[1]"
    assert lab.engine.read_file(container, "/tmp/link", 3) == b"[1]"


def test_a_missing_file_and_one_too_large_are_told_apart(lab: Lab) -> None:
    container = lab.finished(RESULT)
    with pytest.raises(NoSuchFileError):
        lab.engine.read_file(container, "/tmp/other", 3)
    with pytest.raises(NoSuchFileError):
        lab.engine.read_file(container, "/tmp", 3)
    with pytest.raises(FileTooLargeError) as refusal:
        lab.engine.read_file(container, "/tmp/result", 2)
    assert (refusal.value.size, refusal.value.limit) == (3, 2)


def test_files_are_put_in_before_the_start(lab: Lab) -> None:
    container = lab.create(QUIET)
    folder = InputFile(path="/in", mode=0o1777)
    lab.engine.put_files(
        container, [folder, InputFile(path="/in/a", data=b"\x00a"), InputFile(path="/b", data=b"")]
    )
    assert lab.engine.read_file(container, "/in/a", 10) == b"\x00a"
    assert lab.engine.read_file(container, "/b", 10) == b""
    with pytest.raises(NoSuchFileError):
        lab.engine.read_file(container, "/in", 10)


def test_a_read_only_container_takes_no_files(lab: Lab) -> None:
    container = lab.create(QUIET, read_only=True)
    with pytest.raises(LaunchRefusedError, match="read-only") as refusal:
        lab.engine.put_files(container, [InputFile(path="/x", data=b"1")])
    assert refusal.value.code == ReasonCode.CREATE_REFUSED


def test_a_read_only_container_takes_files_into_its_volumes(lab: Lab) -> None:
    container = lab.create(QUIET, read_only=True, volumes=("/in",))
    files = [
        InputFile(path="/in/open", volume="/in", mode=0o1777),
        InputFile(path="/in/open/a", volume="/in", data=b"1"),
    ]
    lab.engine.put_files(container, files)
    assert lab.engine.read_file(container, "/in/open/a", 10) == b"1"


# --- the engine itself --------------------------------------------------------------------------------


def test_an_engine_tells_what_it_is(lab: Lab) -> None:
    lab.engine.ping()
    capacity = lab.engine.capacity()
    assert capacity.cpus >= 1
    assert capacity.memory > 2**20
    assert capacity.os == "linux"
    assert [int(part) for part in capacity.api_version.split(".")] >= [1, 41]
