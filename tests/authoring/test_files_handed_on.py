"""Files that tasks hand on: outputs, inputs made of them, and mounts that are promoted, as containers get them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import DAG, DockerOperator
from orchestrator import Mount as Written
from orchestrator.authoring import to_spec
from orchestrator.errors import AuthoringError, FinalizeError
from orchestrator.ids import DeploymentId, Epoch, RunKey, TaskKey, TryId, TryKey
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.container import ContainerSpec, ImageFacts, InputFile, Mount, MountType
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.finalize import Site, finalize, with_try
from orchestrator.spec.interval import Interval
from orchestrator.spec.value import Value

KEY = TaskKey("d", "r", "t")
FETCH = TryKey(TaskKey("d", "r", "fetch"), 2)
SITE = Site(network="bridge", project="/project", root_path=lambda name: f"/srv/{name}")
ROOT = Mount(type=MountType.ROOT, source="flights", target="/data", atomic=True)
DAY = datetime(2013, 1, 1, tzinfo=UTC)


class SomeRun(Value, frozen=True, kw_only=True):
    key: RunKey = RunKey("d", "r")
    interval: Interval = Interval(start=DAY, end=DAY)
    conf: dict[str, Any] = {}


def kept(_: str, wanted: OutputRef) -> dict[str, ArtifactId]:
    paths = {"/out": ["a", "deep/b"], "/out/a": [""]}[wanted.path]
    return {path: ArtifactId(attempt=FETCH, path=f"{wanted.path}/{path}".rstrip("/")) for path in paths}


def final(**arguments: Any) -> ContainerSpec:
    return finalize(
        ContainerTemplate(image="tool", **arguments),
        dag=DagSpec(dag_id="d", file="d.py"),
        task=TaskSpec(task_id="t"),
        run=SomeRun(),
        key=KEY,
        image=ImageFacts(id="sha256:1"),
        site=SITE,
        kept=kept,
    )


def tried(try_id: str, *mounts: Mount) -> tuple[Mount, ...]:
    deployment = DeploymentId("0123abcd")
    spec = final(mounts=mounts)
    return with_try(spec, deployment=deployment, key=TryKey(KEY, 1), try_id=TryId(try_id), epoch=Epoch(1)).mounts


def test_an_output_becomes_an_input_as_a_file_or_as_all_files_of_a_folder() -> None:
    one, all_of_it = OutputRef(task_id="fetch", path="/out/a"), OutputRef(task_id="fetch", path="/out")
    assert final(inputs={"/in/x": one}).files == (
        InputFile(path="/in/x", artifact=ArtifactId(attempt=FETCH, path="/out/a")),
    )
    assert [file.path for file in final(inputs={"/in/": all_of_it}).files] == ["/in/a", "/in/deep/b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": {"/in/": OutputRef(task_id="fetch", path="/out/a")}}, "is no path of one file"),
        ({"inputs": {"/in": OutputRef(task_id="f", path="/out"), "/in/a": "x"}}, "/in/a is copied in twice"),
        (
            {"inputs": {"/in": OutputRef(task_id="f", path="/out")}, "tmpfs": {"/in": ""}},
            "the tmpfs at /in would hide",
        ),
        ({"outputs": ("/data/x",), "mounts": (ROOT,)}, "comes into its data root"),
        ({"mounts": (Mount(source="v", target="/v", atomic=True),)}, "is nothing that a volume has"),
    ],
)
def test_what_cannot_be_handed_on_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(FinalizeError) as refused:
        final(**arguments)
    assert words in refused.value.message
    assert refused.value.fix


def test_each_try_writes_into_a_folder_of_its_own_in_the_root() -> None:
    (first,) = tried("1" * 16, ROOT)
    (second,) = tried("2" * 16, ROOT)
    assert (first.type, first.source, first.target) == (MountType.BIND, "/srv/flights", "/data")
    assert first.stage.startswith(".orchestrator-stages/1111111111111111-")
    assert first.stage != second.stage
    again = Mount(type=MountType.ROOT, source="flights", target="/other", atomic=True)
    assert len({mount.stage for mount in tried("1" * 16, ROOT, again)}) == 2
    plain = Mount(type=MountType.ROOT, source="flights", target="/data")
    assert tried("1" * 16, plain)[0].stage == ""


def test_a_root_is_written_with_atomic_and_not_with_read_only_too() -> None:
    assert Written.root("flights", "/data", atomic=True).spec == ROOT
    with pytest.raises(AuthoringError, match="atomic excludes read_only"):
        Written.root("flights", "/data", atomic=True, read_only=True)


def test_outputs_that_cannot_be_show_when_the_file_is_parsed() -> None:
    with DAG("d") as dag:
        DockerOperator(task_id="t", outputs=["relative"])
    with pytest.raises(AuthoringError, match=r"outputs.*no absolute path"):
        to_spec(dag, "d.py")
