"""The shell line of a container spec, read back the way a shell reads it."""

import csv
import io
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker.command_line import docker_run
from orchestrator.ids import TaskKey, TryKey
from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.container import ContainerSpec, InputFile, Mount, MountType
from orchestrator.spec.secrets import SecretFile, SecretKind, SecretRef

KEPT = ArtifactId(attempt=TryKey(TaskKey("d", "r", "t"), 1), path="/out/a")
AT = datetime(2026, 11, 20, tzinfo=UTC)
STORED = {KEPT: Path("/home/it's/0")}.__getitem__

#: Stands in for docker: notes each call's words, keeps what is copied in, and fails where it is told to.
DOCKER = r"""
docker() {
    printf '%s\0' "$@" >>"$RECORD/calls"; printf '\036\0' >>"$RECORD/calls"
    [ "$1" = cp ] && cat >"$RECORD/$(ls "$RECORD" | grep -c cp).cp"
    [ "$1" = create ] && echo the-id
    [ "$1" = "$FAILING" ] && return 7
    return 0
}
"""

#: What an argument may hold: anything but NUL (and \036, by which the stand-in separates calls).
TEXT = st.text(st.characters(exclude_characters="\0\x1e", exclude_categories=("Cs",)), max_size=20)
NAMES = st.text("ABCxyz_", min_size=1, max_size=6)
PATHS = TEXT.map(lambda text: "/" + text)
MOUNTS = st.builds(
    Mount, type=st.just(MountType.BIND), source=PATHS, target=PATHS, read_only=st.booleans()
) | st.builds(Mount, type=st.just(MountType.TMPFS), target=PATHS)
SPECS = st.builds(
    ContainerSpec,
    name=st.just("orc-x"),
    image=st.just("sha256:abc"),
    image_name=st.just("python"),
    command=st.none() | st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    entrypoint=st.none() | st.lists(TEXT, max_size=3).filter(lambda words: words[:1] != [""]).map(tuple),
    environment=st.dictionaries(NAMES, TEXT, max_size=3),
    mounts=st.lists(MOUNTS, max_size=3).map(tuple),
    user=st.none() | NAMES,
    working_dir=st.none() | PATHS,
    network=st.sampled_from(("bridge", "none")),
    read_only=st.booleans(),
    cpus=st.none() | st.sampled_from((0.00001, 0.5, 2.0)),
)


def played(
    line: str, folder: Path, failing: str = "", *, keep: bool = False, **variables: str
) -> tuple[list[list[str]], int]:
    """The words of each docker call that a real shell makes of the line, and the line's exit code."""
    record = folder / "calls"
    if not keep:
        record.unlink(missing_ok=True)
    environment = {"RECORD": str(folder), "PATH": "/usr/bin:/bin", "FAILING": failing, **variables}
    done = subprocess.run(
        ["sh"], input=f"{DOCKER}\n{line}\n".encode(), env=environment, capture_output=True, check=False
    )
    calls = [call.split("\0")[:-1] for call in record.read_bytes().decode().split("\036\0")[:-1]]
    return calls, done.returncode


def options(call: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """A call's options with their values, and what follows them: the image and its words."""
    flags, rest = [], list(call)
    while rest[0].startswith("--"):
        flag = rest.pop(0)
        flags.append((flag, "" if flag in {"--rm", "--tty", "--init", "--read-only"} else rest.pop(0)))
    return flags, rest


def values(flags: list[tuple[str, str]], wanted: str) -> list[str]:
    return [value for flag, value in flags if flag == wanted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("played")


@given(spec=SPECS)
def test_a_shell_hands_every_word_to_docker_as_it_is(folder: Path, spec: ContainerSpec) -> None:
    ((command, *call),), code = played(docker_run(spec, AT, STORED), folder)
    flags, (image, *words) = options(call)
    assert (command, image, code) == ("run", spec.image, 0)
    first = values(flags, "--entrypoint")
    assert first == ([] if spec.entrypoint is None else list(spec.entrypoint[:1]) or [""])
    assert tuple(words) == (spec.entrypoint or ())[1:] + (spec.command or ())
    assert dict(each.split("=", 1) for each in values(flags, "--env")) == spec.environment
    assert values(flags, "--user") == ([spec.user] if spec.user is not None else [])
    assert values(flags, "--workdir") == ([spec.working_dir] if spec.working_dir is not None else [])
    assert values(flags, "--network") == [spec.network]
    assert [float(each) for each in values(flags, "--cpus")] == ([spec.cpus] if spec.cpus is not None else [])
    assert (("--read-only", "") in flags) == spec.read_only
    assert values(flags, "--security-opt") == ["no-new-privileges"]


@given(mounts=st.lists(MOUNTS, min_size=1, max_size=3))
def test_a_mounts_paths_may_hold_commas_quotes_and_newlines(folder: Path, mounts: list[Mount]) -> None:
    ((_, *call),), _ = played(docker_run(_spec(mounts=tuple(mounts)), AT, STORED), folder)
    flags, _ = options(call)
    for said, mount in zip(values(flags, "--mount"), mounts, strict=True):
        (fields,) = csv.reader(io.StringIO(said, newline=""))
        told = dict(field.partition("=")[::2] for field in fields)
        assert (told["type"], told["target"]) == (mount.type, mount.target)
        assert told.get("source", "") == mount.source
        assert ("readonly" in told) == mount.read_only


def test_files_are_copied_in_between_create_and_start_and_the_container_goes_afterwards(tmp_path: Path) -> None:
    files = (
        InputFile(path="/etc/x y", data=b"it's\n\x00\xff", uid=3),
        InputFile(path="/data/in/z", data=b"z", volume="/data/in"),
    )
    calls, code = played(docker_run(_spec(files=files), AT, STORED), tmp_path)
    assert [call[0] for call in calls] == ["create", "cp", "cp", "start", "rm"]
    assert calls[1:] == [
        ["cp", "-", "the-id:/"],
        ["cp", "-", "the-id:/data/in"],
        ["start", "--attach", "the-id"],
        ["rm", "--volumes", "the-id"],
    ]
    assert code == 0
    with tarfile.open(tmp_path / "0.cp") as archive:
        (entry,) = archive.getmembers()
        content = archive.extractfile(entry)
        assert (entry.name, entry.uid, content and content.read()) == ("etc/x y", 3, b"it's\n\x00\xff")
    with tarfile.open(tmp_path / "1.cp") as archive:
        assert archive.getnames() == ["z"]


def test_a_kept_file_is_copied_in_from_where_it_lies(tmp_path: Path) -> None:
    files = (InputFile(path="/in/x y", artifact=KEPT), InputFile(path="/tmp/z", artifact=KEPT))
    calls, code = played(docker_run(_spec(files=files), AT, STORED), tmp_path)
    assert [call[0] for call in calls] == ["create", "cp", "cp", "cp", "start", "rm"]
    assert calls[2:4] == [["cp", "/home/it's/0", "the-id:/in/x y"], ["cp", "/home/it's/0", "the-id:/tmp/z"]]
    assert code == 0
    with tarfile.open(tmp_path / "0.cp") as archive:
        (folder,) = archive.getmembers()
        assert (folder.name, folder.isdir(), folder.mode) == ("in", True, 0o755)


@pytest.mark.parametrize(
    ("failing", "made"),
    [
        ("create", ["create"]),
        ("cp", ["create", "cp", "rm"]),
        ("start", ["create", "cp", "start", "rm"]),
    ],
)
def test_what_fails_on_the_way_is_the_lines_exit_code_and_nothing_is_left(
    tmp_path: Path, failing: str, made: list[str]
) -> None:
    line = docker_run(_spec(files=(InputFile(path="/x", data=b""),)), AT, STORED)
    calls, code = played(line, tmp_path, failing)
    assert [call[0] for call in calls] == made
    assert code == 7


def test_a_log_of_limited_size_is_asked_for_with_its_driver(tmp_path: Path) -> None:
    ((_, *call),), _ = played(docker_run(_spec(log_size=1024, log_files=2), AT, STORED), tmp_path)
    flags, _ = options(call)
    assert values(flags, "--log-driver") == ["json-file"]
    assert values(flags, "--log-opt") == ["max-file=2", "max-size=1024"]


def test_labels_of_ours_are_left_out_and_all_others_stay(tmp_path: Path) -> None:
    labels = {"team": "a b", "orchestrator.deployment": "0123abcd", "orchestrator.kind": "try"}
    ((_, *call),), _ = played(docker_run(_spec(labels=labels), AT, STORED), tmp_path)
    assert values(options(call)[0], "--label") == ["team=a b"]


DB = SecretRef(kind=SecretKind.SECRET, id="my-db")
PASSWORD = SecretRef(kind=SecretKind.CONNECTION, id="pg", path=("extra_dejson", "api key"))
URI = SecretRef(kind=SecretKind.CONNECTION, id="pg", path=("uri",))
HELD = {
    "ORCHESTRATOR_SECRET_MY_DB": 'it\'s $HOME `id` "x"\n*',
    "ORCHESTRATOR_CONN_PG__EXTRA_DEJSON_API_KEY": "key",
    "ORCHESTRATOR_CONN_PG": "postgres://h",
}


def test_secrets_are_taken_from_variables_of_the_shell(tmp_path: Path) -> None:
    spec = _spec(secret_environment={"A": ("it's $0 ", DB, " & "), "B": (URI,)}, environment={"C": "c"})
    line = docker_run(spec, AT, STORED)
    assert not any(value in line for value in HELD.values())
    ((_, *call),), code = played(line, tmp_path, **HELD)
    flags, rest = options(call)
    assert values(flags, "--env") == ["C=c", f"A=it's $0 {HELD['ORCHESTRATOR_SECRET_MY_DB']} & ", "B=postgres://h"]
    assert (rest, code) == ([spec.image], 0)


def test_files_of_secrets_are_copied_in_and_nothing_of_them_stays_here(tmp_path: Path) -> None:
    files = (
        SecretFile(path="/run/secrets/my-db", content=(DB,), volume="/run/secrets"),
        SecretFile(path="/etc/a b.ini", content=("key=", PASSWORD)),
    )
    line = docker_run(_spec(secret_files=files), AT, STORED)
    calls, code = played(line, tmp_path, TMPDIR=str(tmp_path), **HELD)
    assert calls[1:3] == [["cp", "-", "the-id:/run/secrets"], ["cp", "-", "the-id:/"]]
    assert ([call[0] for call in calls], code) == (["create", "cp", "cp", "start", "rm"], 0)
    packed = {"0.cp": ("./my-db", HELD["ORCHESTRATOR_SECRET_MY_DB"]), "1.cp": ("./etc/a b.ini", "key=key")}
    for name, (path, text) in packed.items():
        with tarfile.open(tmp_path / name) as archive:
            (entry,) = archive.getmembers()
            content = archive.extractfile(entry)
            assert (entry.name, entry.mode & 0o444) == (path, 0o444)
            assert content is not None
            assert content.read().decode() == text
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == []


@pytest.mark.parametrize(("given", "made"), [({"secret_environment": {"A": (DB,)}}, []),
                                             ({"secret_files": (SecretFile(path="/a", content=(DB,)),)},
                                              ["create", "rm"])])  # fmt: skip
def test_a_secret_that_the_shell_does_not_have_ends_the_line(
    tmp_path: Path, given: dict[str, object], made: list[str]
) -> None:
    (tmp_path / "calls").touch()
    calls, code = played(docker_run(_spec(**given), AT, STORED), tmp_path, keep=True)
    assert ([call[0] for call in calls], code != 0) == (made, True)


def _spec(**given: object) -> ContainerSpec:
    return ContainerSpec(**{"name": "orc-x", "image": "sha256:abc", "image_name": "python", **given})
