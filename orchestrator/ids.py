"""Identities: what they are made of, and the names derived from them (spec images-and-engine 4)."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NewType
from urllib.parse import quote

import msgspec

DeploymentId = NewType("DeploymentId", str)  #: 8 characters [0-9a-f]; tests add `t` and 4 more
TryId = NewType("TryId", str)  #: 16 random hex digits, one an intent
ContainerId = NewType("ContainerId", str)  #: the engine's 64 hex digits
VersionId = NewType("VersionId", str)  #: 16 hex digits of the hash of a serialized DAG
Epoch = NewType("Epoch", int)  #: grows with each leadership

#: `map_index` of a task instance that is not mapped.
UNMAPPED = -1

#: Labels that every object we create on an engine carries (spec images-and-engine 4).
LABEL_PREFIX = "orchestrator."
DEPLOYMENT_LABEL = "orchestrator.deployment"
KIND_LABEL = "orchestrator.kind"
#: Label that names the try a container belongs to.
TRY_LABEL = "orchestrator.try_id"
#: Label that names the leadership in which a container was made; of an intent, in which that was committed.
EPOCH_LABEL = "orchestrator.epoch"
#: Of a helper: the try that it serves.
SERVES_LABEL = "orchestrator.serves"
#: Of what belongs to one process: `<boot id>:<pid>:<start time in clock ticks since boot>`.
OWNER_LABEL = "orchestrator.owner"
TRY_KIND = "try"
PROBE_KIND = "probe"  #: of containers that only look at something, and are gone at once
PROMOTION_KIND = "promotion"  #: of containers that move what a try wrote into a data root, or remove it
ROOT_KIND = "root"  #: of volumes that are data roots
#: Kinds of volumes: named by a DAG file, of a run, of a DAG.
VOLUME_KIND = "volume"
RUN_VOLUME_KIND = "run-volume"
DAG_VOLUME_KIND = "dag-volume"

#: Characters of one path segment; file systems allow 255, and a suffix must fit.
_SEGMENT_LIMIT = 200
_INSTANCE = re.compile(r"(.+)\[(\d+)\]")
_DAG_ID = re.compile(r"[A-Za-z0-9._-]{1,250}")


class RunKey(msgspec.Struct, frozen=True, order=True):
    """Names a DAG run."""

    dag_id: str
    run_id: str


class TaskKey(msgspec.Struct, frozen=True, order=True):
    """Names a task instance: one task (and map index) in one run."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = UNMAPPED

    @property
    def run(self) -> RunKey:
        return RunKey(self.dag_id, self.run_id)


class TryKey(msgspec.Struct, frozen=True, order=True):
    """Names one try of a task instance; `number` counts from 1 and never repeats."""

    task: TaskKey
    number: int


def instance_name(task_id: str, map_index: int) -> str:
    """`task`, or `task[3]`: the inverse of `instance_named`."""
    return task_id if map_index == UNMAPPED else f"{task_id}[{map_index}]"


def instance_named(text: str, map_index: int = UNMAPPED) -> tuple[str, int]:
    """A task instance as people name it: `task[3]`, or `task` and perhaps its map index besides."""
    found = _INSTANCE.fullmatch(text)
    return (text, map_index) if found is None else (found[1], int(found[2]))


def is_identifier(text: str) -> bool:
    """Whether `text` may be a DAG or task id: letters, digits, `._-`, at most 250 characters."""
    return _DAG_ID.fullmatch(text) is not None


def new_deployment_id() -> DeploymentId:
    return DeploymentId(secrets.token_hex(4))


def new_test_deployment_id(base: DeploymentId) -> DeploymentId:
    """A deployment of its own for one `dags test`, recognisable as a child of `base`."""
    return DeploymentId(f"{base[:8]}t{secrets.token_hex(2)}")


def new_try_id() -> TryId:
    return TryId(secrets.token_hex(8))


def container_name(deployment: DeploymentId, key: TryKey, *, first: str = "") -> str:
    """`orc-<deployment>-<dag 12>-<task 12>-<hash 8>-<map or m>-<try>`: at most 63 characters, lower case,
    derived from identity only, so that a try created twice meets itself. A task may choose the first part,
    which then stands for DAG and task as well: `<first>-<deployment>-<hash 8>-<map or m>-<try>`."""
    task = key.task
    identity = "\0".join((task.dag_id, task.run_id, task.task_id, str(task.map_index)))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    index = "m" if task.map_index == UNMAPPED else str(task.map_index)
    place = f"{first}-{deployment}" if first else f"orc-{deployment}-{_short(task.dag_id)}-{_short(task.task_id)}"
    return f"{place}-{digest}-{index}-{key.number}"


def is_container_name(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a container of this name is the one whose labels it carries. A copy of it, as one run from an image
    that was made of it, inherits the labels and not the name."""
    number, index = labels.get("orchestrator.try_number", ""), labels.get("orchestrator.map_index", "")
    if not (number.isdigit() and index.lstrip("-").isdigit()):
        return False
    dag, run, task = (labels.get(f"{LABEL_PREFIX}{part}", "") for part in ("dag_id", "run_id", "task_id"))
    key = TryKey(TaskKey(dag, run, task, int(index)), int(number))
    deployment = DeploymentId(labels.get(DEPLOYMENT_LABEL, ""))
    usual, chosen = container_name(deployment, key), container_name(deployment, key, first="x")
    return name == usual or name.endswith(chosen[1:])


def helper_name(deployment: DeploymentId, action: str, try_id: TryId) -> str:
    """`orc-<deployment>-<action>-<try id>`: of the container that promotes, or discards, what a try wrote."""
    return f"orc-{deployment}-{action}-{try_id}"


def is_helper_name(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a container of this name is the helper that its labels name."""
    deployment, served = DeploymentId(labels.get(DEPLOYMENT_LABEL, "")), TryId(labels.get(SERVES_LABEL, ""))
    names = {helper_name(deployment, action, served) for action in ("promote", "discard")}
    return labels.get(KIND_LABEL) == PROMOTION_KIND and name in names


def run_volume_name(deployment: DeploymentId, run: RunKey) -> str:
    """`orc-<deployment>-run-<hash 12>`"""
    return f"orc-{deployment}-run-{_digest(run.dag_id, run.run_id)}"


def is_run_volume(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a volume of this name is the one of the run that its labels name."""
    run = RunKey(labels.get("orchestrator.dag_id", ""), labels.get("orchestrator.run_id", ""))
    ours = labels.get(KIND_LABEL) == RUN_VOLUME_KIND
    return ours and name == run_volume_name(DeploymentId(labels.get(DEPLOYMENT_LABEL, "")), run)


def dag_volume_name(deployment: DeploymentId, dag_id: str) -> str:
    """`orc-<deployment>-dag-<hash 12>`; one for a deployment and its tests."""
    return f"orc-{home_deployment(deployment)}-dag-{_digest(dag_id)}"


def home_deployment(deployment: DeploymentId) -> DeploymentId:
    """The deployment that a test's belongs to; any other is its own."""
    return DeploymentId(deployment.partition("t")[0])


def folder_of(task: TaskKey) -> PurePosixPath:
    """`<dag>/<run>/<task>[/<map>]`: where files about a task instance are kept."""
    folder = PurePosixPath(_segment(task.dag_id), _segment(task.run_id), _segment(task.task_id))
    return folder if task.map_index == UNMAPPED else folder / str(task.map_index)


def _segment(text: str) -> str:
    """An id as one path segment: percent-encoded; one that is too long ends in `%~` and its hash."""
    encoded = quote(text, safe="")
    if encoded.strip(".") == "":
        encoded = encoded.replace(".", "%2E") or "%~"
    if len(encoded) > _SEGMENT_LIMIT:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        encoded = f"{encoded[: _SEGMENT_LIMIT - 18]}%~{digest}"
    return encoded


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _short(text: str) -> str:
    return re.sub(r"[^a-z0-9_.]", "_", text.lower())[:12].strip("_.") or "x"
