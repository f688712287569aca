"""Mistakes that people make in DAG files and task images, each with what is to be said of it."""

import hashlib
import io
import socket
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import docker
import msgspec
from cli_project import CliProject
from docker.models.images import Image

#: An image that no engine of this machine's kind can run.
FOREIGN_IMAGE = "orchestrator-tests/other-processors:1"
_HEAD = """\
from orchestrator import DAG, DockerOperator, Mount

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=False):
    DockerOperator(task_id="{task_id}", {arguments})
"""
SOUND = """\
from orchestrator import DAG, DockerOperator

with DAG("sound", schedule=None, is_paused_upon_creation=False):
    first = DockerOperator(task_id="first", script="echo one; echo two")
    second = DockerOperator(task_id="second", script="echo {{ ti.xcom_pull(task_ids='first') }} and three")
    first >> second
"""
DOCKERFILES = {
    "breaks": "FROM {base}\nRUN echo so far so good && echo what went wrong >&2 && exit 4\n",
    "stands": "FROM {base}\n",
}


class Mistake(NamedTuple):
    """One task that cannot succeed: its arguments, the codes of reasons that may end it, what is said of it, and
    part of the fix that is said."""

    arguments: str
    codes: tuple[str, ...]
    says: tuple[str, ...]
    fix: str


_PULL = ("image_pull_failed", "image_missing")  # whether a registry answers is not ours to say
_OOM = (
    "import time; held = bytearray(24 << 20); time.sleep({seconds}); held = bytearray(300 << 20); print(len(held))"
)
_SLOW, _QUICK = (f"command=['python', '-c', '{_OOM.format(seconds=n)}'], mem_limit='48m'" for n in (2.5, 0))
_BIG = "head -c 2097152 /dev/zero | tr '\\\\\\\\0' 1 > $ORCHESTRATOR_RESULT"

#: By the DAG's id. `{silent}` is the address of a registry that never answers.
MISTAKES: Mapping[str, Mistake] = {
    "conf_left_out": Mistake(
        "command='echo {{ dag_run.conf.word }}'",
        ("render_error",), ("conf_left_out.py:4: t: command: ", "has no 'word'"), "write .get('word', ...)",
    ),
    "renders_to_nothing": Mistake(
        "command='{{ dag_run.conf.get(\"word\", \"\") }}'",
        ("render_error",), ("renders_to_nothing.py:4: t: command: it renders to nothing",), "give it a value",
    ),
    "no_such_image": Mistake(
        "image='127.0.0.1:1/nothing:1', command='true', pull_timeout=1",
        _PULL, ("127.0.0.1:1/nothing:1", "cannot be"), "check that the engine's machine reaches the registry",
    ),
    "never_pulled": Mistake(
        "image='nobody/nothing:1', command='true', pull='never'",
        ("image_missing",), ("does not have the image nobody/nothing:1",), "docker pull nobody/nothing:1",
    ),
    "misspelt_image": Mistake(
        "image='stnads', command='true', pull_timeout=1",
        _PULL, ("the image stnads",), "if the task image 'stands' is meant, correct the name",
    ),
    "no_dockerfile": Mistake(
        "image='bare', command='true', pull_timeout=1",
        _PULL, ("the image bare",), "if task-images/bare is meant, write its Dockerfile",
    ),
    "dockerfile_fails": Mistake(
        "image='breaks', command='true'",
        ("image_build_failed",), ("so far so good", "what went wrong", "returned a non-zero code: 4"),
        "correct task-images/breaks, then `orchestrator images build breaks`",
    ),
    "other_processors": Mistake(
        f"image='{FOREIGN_IMAGE}', command='true'",
        ("platform_mismatch",), (f"the image {FOREIGN_IMAGE} is for s390x, not for",), "pull or build it for",
    ),
    "other_platform": Mistake(
        "command='true', platform='linux/s390x'",
        ("platform_mismatch",), ("not for s390x",), "pull or build it for s390x",
    ),
    "no_such_program": Mistake(
        "command='no-such-program --at all'",
        ("command_missing",), ('exec: "no-such-program": executable file not found',), "correct `command`",
    ),
    "no_such_program_in_a_script": Mistake(
        "script='no-such-program --at all'",
        ("exit_code",), ("it exited with 127", "no-such-program: not found"), "read what it wrote",
    ),
    "no_such_user": Mistake(
        "command='true', user='nobody-here'",
        ("create_refused",), ("unable to find user nobody-here",), "correct `user`",
    ),
    "no_such_folder": Mistake(
        "command='true', mounts=['./nowhere:/in']",
        ("mount_missing",), ("bind source path does not exist", "/nowhere"), "create the folder",
    ),
    "no_such_network": Mistake(
        "command='true', network='nowhere'",
        ("network_missing",), ("network nowhere not found",), "create it with `docker network create`",
    ),
    "too_many_cores": Mistake(
        "command='true', cpus=10000",
        ("engine_too_small",), ("it asks for 10000 cpus, and the engine has ",), "lower cpus or mem_limit",
    ),
    "too_much_memory": Mistake(
        "command='true', mem_limit='900000g'",
        ("engine_too_small",), ("it asks for ", "and the engine has "), "lower cpus or mem_limit",
    ),
    "too_little_memory": Mistake(
        "command='true', mem_limit='512'",
        ("create_refused",), ("Minimum memory limit allowed is",), "raise `mem_limit`",
    ),
    "root_of_the_host": Mistake(
        "command='true', mounts=[Mount('{{ \"/etc\" }}', '/in', type='bind')]",
        ("policy",), ("/etc is outside the project folder and the data roots",), "write into policy.toml",
    ),
    "exits_with_1": Mistake(
        "script='echo the last words >&2; exit 1'",
        ("exit_code",), ("it exited with 1", "the last words"), "read what it wrote",
    ),
    "out_of_memory_at_once": Mistake(
        _QUICK,
        ("oom_killed", "signal"),  # an engine that looks a moment later has not seen why
        ("memory", "its mem_limit is 48 MiB"), "memory",
    ),
    "out_of_memory": Mistake(
        _SLOW,
        ("oom_killed",), ("its mem_limit is 48 MiB, the highest sample of its memory ",), "give it a greater",
    ),
    "result_is_no_json": Mistake(
        "script='echo {nope > $ORCHESTRATOR_RESULT'",
        ("result_invalid",), ("what it wrote to $ORCHESTRATOR_RESULT is not JSON",), "have the task write JSON",
    ),
    "result_of_2_mib": Mistake(
        f'script="{_BIG}"',
        ("result_too_large",), ("its result has 2097152 B, the limit is 1048576 B",), "large data belongs in",
    ),
    "never_ends": Mistake(
        "script='echo begun; sleep 600', execution_timeout=0.5, stop_grace=0.2",
        ("timeout",), ("it ran longer than its execution_timeout of",), "see in its log where it stood",
    ),
    "never_speaks": Mistake(
        "script='echo once; sleep 600', idle_timeout=0.5, stop_grace=0.2",
        ("idle_timeout",), ("it said nothing for its idle_timeout of",), "see in its log where it stood",
    ),
    "never_starts": Mistake(
        "command='sleep 600', start_timeout=0.001, stop_grace=0.2",
        ("start_timeout",), ("it had not started after its start_timeout of",), "see what held it up",
    ),
    "never_pulls": Mistake(
        "image='{silent}/silent:1', command='true', pull_timeout=1",
        ("image_pull_failed",), ("cannot be pulled now",), "check that the engine's machine reaches the registry",
    ),
    "too_many_slots": Mistake(
        "command='true', pool_slots=200",
        ("pool_missing",), ("it needs 200 slots, and the pool 'default_pool' has",), "name a pool that is there",
    ),
}  # fmt: skip
#: Mistakes that are seen when a file is parsed: what it says, and what is said.
BROKEN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "unknown_argument": (
        "comand='true'",
        ("unknown_argument.py:4: error: unknown_argument: ", "'comand'", "did you mean 'command'?", "(fix: "),
    ),
    "unknown_name": (
        "command='echo {{ dss }}'",
        ("unknown_name.py:4: error: template_name: command: 'dss' is undefined", "did you mean 'ds'?", "(fix: "),
    ),
}
#: The ids of DAGs that two files have.
TWIN = "twin"


def dag_file(dag_id: str, arguments: str, task_id: str = "t") -> str:
    return _HEAD.format(dag_id=dag_id, task_id=task_id, arguments=arguments)


def write_mistakes(project: CliProject, silent: str, base_image: str) -> None:
    """All of them, each in a file of its own, and one DAG that is sound."""
    for dag_id, mistake in MISTAKES.items():
        project.write(f"{dag_id}.py", dag_file(dag_id, mistake.arguments.replace("{silent}", silent)))
    for dag_id, (arguments, _) in BROKEN.items():
        project.write(f"{dag_id}.py", dag_file(dag_id, arguments))
    for file in ("twin_one.py", "twin_two.py"):
        project.write(file, dag_file(TWIN, "command='true'"))
    project.write("killed.py", dag_file("killed", "script='echo begun; sleep 600'"))
    project.write("sound.py", SOUND)
    for name, text in DOCKERFILES.items():
        (project.folder / "task-images" / name).mkdir(parents=True)
        (project.folder / "task-images" / name / "Dockerfile").write_text(text.format(base=base_image))
    (project.folder / "task-images" / "bare").mkdir()


@contextmanager
def silent_registry() -> Iterator[str]:
    """The address of one that takes connections and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def foreign_image() -> Iterator[Image]:
    """`FOREIGN_IMAGE` on the engine: one empty layer, and what says for which processors it was made."""
    client = docker.from_env()
    (image,) = client.images.load(_saved_image("s390x"))
    try:
        yield image
    finally:
        client.images.remove(FOREIGN_IMAGE, force=True)
        client.close()


def _saved_image(architecture: str) -> bytes:
    layer = _tar({})
    config = msgspec.json.encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    )
    manifest: list[dict[str, Any]] = [{"Config": "c.json", "RepoTags": [FOREIGN_IMAGE], "Layers": ["l.tar"]}]
    return _tar({"c.json": config, "l.tar": layer, "manifest.json": msgspec.json.encode(manifest)})


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
