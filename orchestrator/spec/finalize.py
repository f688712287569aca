"""From a rendered container template to the container spec of one try. Pure: what the site, the image and the
run contribute is passed in. `finalize` decides all that is known before a try is admitted; `with_try` adds the
try's identity at its intent."""

import re
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from orchestrator.errors import FinalizeError as FinalizeError
from orchestrator.ids import (
    DEPLOYMENT_LABEL,
    EPOCH_LABEL,
    KIND_LABEL,
    LABEL_PREFIX,
    TRY_KIND,
    TRY_LABEL,
    DeploymentId,
    Epoch,
    RunKey,
    TaskKey,
    TryId,
    TryKey,
    container_name,
)
from orchestrator.spec import functions
from orchestrator.spec.artifacts import ArtifactId, OutputRef
from orchestrator.spec.container import ContainerSpec, ImageFacts, InputFile, Mount, MountType, Share
from orchestrator.spec.dag import ContainerTemplate, DagSpec, TaskSpec
from orchestrator.spec.interval import Interval
from orchestrator.spec.marks import has_templates as has_templates
from orchestrator.spec.marks import unmarked
from orchestrator.spec.mounting import PRIVATE_FOLDER, absolute, of_try
from orchestrator.spec.passing import passed_on
from orchestrator.spec.placement import Kept, Placement, place
from orchestrator.spec.sealing import connection_variables, environment_of
from orchestrator.spec.value import Value

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
#: Network modes that exclude every other network.
_SOLITARY = ("host", "none")
#: Where the files of a function's call are.
_CALL_FOLDER = f"{PRIVATE_FOLDER}/call"
#: Characters of what an instance of a mapped task is called.
_LONGEST_LABEL = 250
_TRY_VARIABLES = ("ORCHESTRATOR_TRY_NUMBER", "AIRFLOW_CTX_TRY_NUMBER")


class Site(Value, frozen=True, kw_only=True):
    """What the place where tasks run contributes. `network` is that of a task that names none; `project` the
    absolute folder relative bind sources mean, and `engine_path` tells where the engine finds a path of ours (None:
    nowhere). `assume_cpus` and `assume_memory` (bytes) are what a container counts for that declares no limit.
    `root_path` gives a data root by its name: an absolute path on the engine's host, or the name of a
    volume. `run_as` tells, from the data roots that it mounts, the user of a task that names none (None: the
    image's own). `policy` raises `PolicyError` for what the site does not allow, by a rendered template, the
    network it comes to, and its settled mounts but for data roots."""

    network: str
    project: str
    assume_cpus: float = 0.0
    assume_memory: int = 0
    engine_path: Callable[[str], str | None] = str
    root_path: Callable[[str], str]
    run_as: Callable[[tuple[str, ...]], str | None] = lambda _: None
    policy: Callable[[ContainerTemplate, str | None, tuple[Mount, ...]], None] = lambda *_: None


class RunFacts(Protocol):
    """What a container is told of its run; a `planning.rows.Run` is one. Instants are aware."""

    @property
    def key(self) -> RunKey: ...
    @property
    def interval(self) -> Interval: ...
    @property
    def conf(self) -> dict[str, Any]: ...


_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


class _StandInRun(Value, frozen=True, kw_only=True):
    key: RunKey = RunKey("dag", "run")
    interval: Interval = Interval(start=_ANY_DAY, end=_ANY_DAY)
    conf: dict[str, Any] = {}


def nothing_kept(field: str, wanted: OutputRef) -> dict[str, ArtifactId]:
    """Where no task has kept anything."""
    raise FinalizeError(field, f"nothing is kept of {wanted.task_id!r}", fix="run that task first")


def finalize(
    template: ContainerTemplate,
    *,
    dag: DagSpec,
    task: TaskSpec,
    run: RunFacts,
    key: TaskKey,
    image: ImageFacts,
    site: Site,
    kept: Kept = nothing_kept,
) -> ContainerSpec:
    """The container of a task instance's next try, but for its name, labels of ours and try number.

    `template` holds no template marks any more and names its image; `kept` tells what outputs of other tasks are.
    `FinalizeError` names the argument whose value cannot be."""
    image_name = (template.image or "").strip()
    if not image_name:
        raise FinalizeError("image", "is empty", fix="name an image, or leave it out for the default one")
    entrypoint, command = _process(template, task)
    template = msgspec.structs.replace(
        template, user=template.user or site.run_as(_roots(template)), init=_init(template, task)
    )
    placement = _laid_out(template, image, site, kept)
    ours = _context(dag, task, run, key) | connection_variables(template)
    ours["ORCHESTRATOR_RESULT"] = placement.result_path
    if placement.tmp_dir is not None:
        ours["AIRFLOW_TMP_DIR"] = placement.tmp_dir
    environment, secret_environment = environment_of(template, ours, _TRY_VARIABLES)
    networks = _networks(template, site)
    site.policy(template, networks["network"], _to_be_allowed(template, placement))
    passed = passed_on(template)
    return ContainerSpec(
        name=_name(template.container_name or ""),
        image=image.id,
        image_name=image_name,
        entrypoint=entrypoint,
        command=command,
        environment=environment,
        secret_environment=secret_environment,
        labels=_labels(template.labels),
        working_dir=absolute("working_dir", template.working_dir) if template.working_dir else None,
        stop_grace=task.stop_grace,
        map_label=(template.map_index_template or "")[:_LONGEST_LABEL],
        keep_failed=task.keep_failed,
        share=_share(passed, template.concurrency_key, site),
        **_files(template, task, placement),
        **networks,
        **passed,
    )


def _laid_out(template: ContainerTemplate, image: ImageFacts, site: Site, kept: Kept) -> Placement:
    return place(
        template,
        image=image,
        project=site.project,
        engine_path=site.engine_path,
        root_path=site.root_path,
        kept=kept,
    )


def _to_be_allowed(template: ContainerTemplate, placement: Placement) -> tuple[Mount, ...]:
    """The mounts that the site's policy speaks of; ours come after those that were written."""
    settled = zip(template.mounts, placement.mounts, strict=False)
    return tuple(made for written, made in settled if written.type is not MountType.ROOT)


def _files(template: ContainerTemplate, task: TaskSpec, placement: Placement) -> dict[str, Any]:
    """What goes into the container's file system, and what is taken out of it."""
    return {
        "mounts": placement.mounts,
        "volumes": placement.volumes,
        "tmpfs": placement.tmpfs,
        "files": placement.files + _of_function(template, task),
        "secret_files": placement.secret_files,
        "outputs": placement.outputs,
        "result_path": placement.result_path if task.push_result else None,
        "output_path": _output_path(template, task),
    }


def with_try(
    spec: ContainerSpec, *, deployment: DeploymentId, key: TryKey, try_id: TryId, epoch: Epoch
) -> ContainerSpec:
    """The same container as that of one try: its name, the labels that identify it, its number."""
    task = key.task
    labels = {
        DEPLOYMENT_LABEL: deployment,
        KIND_LABEL: TRY_KIND,
        "orchestrator.dag_id": task.dag_id,
        "orchestrator.run_id": task.run_id,
        "orchestrator.task_id": task.task_id,
        "orchestrator.map_index": str(task.map_index),
        "orchestrator.try_number": str(key.number),
        TRY_LABEL: try_id,
        EPOCH_LABEL: str(epoch),
    }
    labels = spec.labels | labels
    return msgspec.structs.replace(
        spec,
        name=container_name(deployment, key, first=spec.name),
        labels=labels,
        mounts=tuple(of_try(mount, deployment, task, labels) for mount in spec.mounts),
        environment=spec.environment | dict.fromkeys(_TRY_VARIABLES, str(key.number)),
    )


_ANYWHERE = Site(network="bridge", project="/", root_path=lambda name: f"/{name}")


def check_literals(task: TaskSpec, site: Site = _ANYWHERE) -> None:
    """Finalize what is known without rendering, so that a wrong size or mount shows when a file is parsed.
    `FinalizeError` as `finalize`; nothing for a task without a container."""
    if task.container is None:
        return
    known = unmarked(task.container)
    if known.image is None:
        known = msgspec.structs.replace(known, image="image")
    finalize(
        known,
        dag=DagSpec(dag_id="dag", file=""),
        task=task,
        run=_StandInRun(),
        key=TaskKey("dag", "run", task.task_id),
        image=ImageFacts(id="image"),
        site=site,
    )


def _share(passed: Mapping[str, Any], key: str | None, site: Site) -> Share:
    """What it counts for: its limits, and where it declares none what the site assumes."""
    cpus, memory = passed["cpus"], passed["memory"]
    return Share(
        cpus=site.assume_cpus if cpus is None else cpus,
        memory=site.assume_memory if memory is None else memory,
        key=(key or "").strip() or None,
    )


def _name(first: str) -> str:
    """The first part of the container's name, where the task chose one."""
    if first and not _NAME.fullmatch(first):
        raise FinalizeError(
            "container_name", f"{first!r} cannot begin a name", fix="use 1 to 32 letters, digits and _.-"
        )
    return first


def _roots(template: ContainerTemplate) -> tuple[str, ...]:
    return tuple(mount.source for mount in template.mounts if mount.type is MountType.ROOT)


def _output_path(template: ContainerTemplate, task: TaskSpec) -> str | None:
    """The file that is read for a result."""
    path = template.retrieve_output_path
    if (
        task.retrieve_output
        and not path
        and not has_templates(task.container and task.container.retrieve_output_path)
    ):
        raise FinalizeError("retrieve_output", "there is no retrieve_output_path", fix="name the file to read")
    if not path or task.retrieve_output is False or not task.push_result:
        return None
    return absolute("retrieve_output_path", path)


def _networks(template: ContainerTemplate, site: Site) -> dict[str, Any]:
    """The network it starts in, and those that it joins besides."""
    named = tuple(dict.fromkeys(network for network in template.networks if network))
    if template.network and named:
        raise FinalizeError("networks", "excludes network and network_mode", fix="put all of them into networks")
    first, *others = named or (template.network or site.network,)
    for mode in named if others else ():
        if mode in _SOLITARY or mode.startswith("container:"):
            raise FinalizeError("networks", f"{mode!r} cannot be one of several", fix="name networks of the engine")
    return {"network": first, "networks": tuple(others)}


def _process(template: ContainerTemplate, task: TaskSpec) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Entrypoint and command; None means the image's own, an empty entrypoint none at all."""
    if task.function is not None:
        return (), functions.command(_CALL_FOLDER)
    if template.script is None:
        return _arguments("entrypoint", template.entrypoint), _command(template.command)
    if template.command is not None or template.entrypoint is not None:
        raise FinalizeError("script", "excludes command and entrypoint", fix="keep one of them")
    if not template.script.strip():
        raise FinalizeError("script", "is empty", fix="write the lines that sh shall run")
    return (), ("sh", "-ec", template.script)


def _of_function(template: ContainerTemplate, task: TaskSpec) -> tuple[InputFile, ...]:
    """The files of a function's call. A read-only container takes them into our volume."""
    if task.function is None:
        return ()
    volume = PRIVATE_FOLDER if template.read_only else "/"
    return functions.files(task.function, template.call or functions.Call(), folder=_CALL_FOLDER, volume=volume)


def _init(template: ContainerTemplate, task: TaskSpec) -> bool:
    """The kernel keeps TERM from a container's first process unless that handles it, which shells and most programs
    do not: a stop would always take the whole grace. Under an init process they hear it; that costs 2.5 ms."""
    if template.init is not None:
        return template.init
    return template.pid_mode is None and (template.script is not None or task.function is not None)


def _command(command: str | list[str] | None) -> tuple[str, ...] | None:
    arguments = _arguments("command", command)
    if arguments == ():
        raise FinalizeError("command", "is empty", fix="write a command, or leave it out for the image's own")
    return arguments


def _arguments(field: str, value: str | list[str] | None) -> tuple[str, ...] | None:
    """A string is split as a shell would; a list is taken as it is."""
    if value is None:
        return None
    if not isinstance(value, str):
        return tuple(value)
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise FinalizeError(
            field, f"cannot be split into words: {error}", fix="close the quotes, or write a list of words"
        ) from error


def _context(dag: DagSpec, task: TaskSpec, run: RunFacts, key: TaskKey) -> dict[str, str]:
    """What every container is told (spec authoring 3), in our names and in Airflow's. Instants are ISO 8601 in
    the DAG's zone, so that the first ten characters of the logical date are `ds`."""
    zone = ZoneInfo(dag.timezone)
    start, end = (moment.astimezone(zone).isoformat() for moment in (run.interval.start, run.interval.end))
    return {
        "ORCHESTRATOR_DAG_ID": key.dag_id,
        "ORCHESTRATOR_TASK_ID": key.task_id,
        "ORCHESTRATOR_RUN_ID": key.run_id,
        "ORCHESTRATOR_MAP_INDEX": str(key.map_index),
        "ORCHESTRATOR_LOGICAL_DATE": start,
        "ORCHESTRATOR_DATA_INTERVAL_START": start,
        "ORCHESTRATOR_DATA_INTERVAL_END": end,
        "ORCHESTRATOR_CONF": msgspec.json.encode(run.conf).decode(),
        "AIRFLOW_CTX_DAG_OWNER": task.owner or dag.owner,
        "AIRFLOW_CTX_DAG_ID": key.dag_id,
        "AIRFLOW_CTX_TASK_ID": key.task_id,
        "AIRFLOW_CTX_DAG_RUN_ID": key.run_id,
        "AIRFLOW_CTX_LOGICAL_DATE": start,
        "AIRFLOW_CTX_EXECUTION_DATE": start,
    }


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not name or name.startswith(LABEL_PREFIX):
            raise FinalizeError(
                f"labels[{name!r}]",
                f"labels under {LABEL_PREFIX} are the orchestrator's",
                fix="choose another name",
            )
    return dict(labels)
