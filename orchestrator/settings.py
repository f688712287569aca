"""Settings: the only reader of the environment and of `orchestrator.toml` (spec operations, Settings).

Order: `ORCHESTRATOR__SECTION__KEY` in the environment (then `..._FILE`, `..._CMD`: `setting_sources`),
`<home>/orchestrator.toml`, the default. A setting is documented by its `#:` comment here; `config list` shows every
value and where it came from.
"""

import difflib
import fnmatch
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from orchestrator.errors import NoProjectError, SettingsError
from orchestrator.pulses import HEARTBEAT, is_pipe
from orchestrator.setting_sources import PREFIX, said_by_environment
from orchestrator.spec.dag import ScheduleMode
from orchestrator.spec.policy import Policy
from orchestrator.spec.value import Value
from orchestrator.states import RunState

#: Where a setting's value came from: default, file, environment, environment (file), environment (command).
Source = str


#: Numbers that make sense: at least one, none or more, and a time that passes.
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
NotLess = Annotated[float, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class SchedulingSettings(Value, frozen=True, kw_only=True):
    """`[scheduling]`"""

    parallelism: AtLeastOne = 32  #: task containers of this deployment at one time
    catchup_by_default: bool = False  #: a DAG without `catchup=` runs every interval since its start
    paused_on_creation: bool = True  #: a DAG without `is_paused_upon_creation=` starts paused
    default_pool_slots: AtLeastOne = 128  #: slots of `default_pool`
    rerun_with: Literal["newest", "recorded"] = "newest"  #: DAG version and images of what is cleared
    bare_schedule: ScheduleMode = ScheduleMode.INTERVAL  #: of a bare cron or timedelta; Airflow 3 means trigger
    infrastructure_retries: NotNegative = 3  #: losses made good for a task that does not say how many
    stall_timeout: NotLess = 10.0  #: seconds without progress after which the scheduler is started anew; 0: never


class DagsSettings(Value, frozen=True, kw_only=True):
    """`[dags]`"""

    parse_env: tuple[str, ...] = ()  #: environment variables (globs) that DAG files may read
    parse_timeout: Seconds = 30.0  #: seconds a DAG file may take to parse
    parse_memory: AtLeastOne = 1024  #: MiB of address space a parse or a rendering may take
    render_timeout: Seconds = 10.0  #: seconds one task's templates may take to render
    reparse_every: Seconds = 300.0  #: seconds after which an unchanged file is parsed again


#: The image's own user; the owner of the first data root that the task mounts; or numbers.
RunAs = Annotated[str, msgspec.Meta(pattern=r"^(image|root-owner|[0-9]+(:[0-9]+)?)$")]


class TasksSettings(Value, frozen=True, kw_only=True):
    """`[tasks]`"""

    default_image: str = ""  #: image of a task that names none; empty: images.base
    result_limit: AtLeastOne = 1048576  #: bytes a result may have
    output_limit: AtLeastOne = 268435456  #: bytes that the kept outputs of one try may have together
    output_files: AtLeastOne = 1000  #: files that may be kept of one try
    run_as: RunAs = (
        "image"  #: whose files a task makes that names no user: image, root-owner (of a data root), uid:gid
    )


class EngineSettings(Value, frozen=True, kw_only=True):
    """`[engine]`"""

    address: str = ""  #: of the engine (unix://, tcp://); empty: DOCKER_HOST, the docker context, known sockets
    network: str = "bridge"  #: network of a task that names none
    timeout: Seconds = 60.0  #: seconds the engine has to answer one call
    cpus: NotLess = 0.0  #: cores that limits of running tasks may add up to; 0: as many as the engine has
    memory: NotNegative = 0  #: MiB that their memory limits may add up to; 0: as many as the engine has
    assume_cpus: NotLess = 0.0  #: cores that a task counts for that declares no cpus
    assume_memory: NotNegative = 0  #: MiB that a task counts for that declares no mem_limit
    launchers: NotNegative = 0  #: containers created and started at one time; 0: twice the cores


class EnginesSettings(Value, frozen=True, kw_only=True):
    """`[engines]`: what DAG files may name in `engine=` and `docker_url=`. There is one, that of `[engine]`."""

    aliases: tuple[str, ...] = ()  #: other names for the engine, as DAG files from elsewhere have them


_SECRET_FOLDERS = ("/run/secrets", "secrets")


class SecretsSettings(Value, frozen=True, kw_only=True):
    """`[secrets]`"""

    folders: tuple[str, ...] = _SECRET_FOLDERS  #: where files of secrets are; relative ones are below the home


class DatabaseSettings(Value, frozen=True, kw_only=True):
    """`[database]`"""

    url: str = ""  #: of a PostgreSQL database: postgresql://USER:PASSWORD@HOST:5432/NAME; empty: SQLite in the home


class RetentionSettings(Value, frozen=True, kw_only=True):
    """`[retention]`: how long what a run leaves behind is kept after its end."""

    run_volume_success: Seconds = 3600.0  #: seconds that the volume of a successful run stays
    run_volume_failed: Seconds = 86400.0  #: seconds that the volume of a failed run stays

    @property
    def run_volumes(self) -> Mapping[RunState, timedelta]:
        """How long the volume of a run that ended so stays."""
        success, failed = timedelta(seconds=self.run_volume_success), timedelta(seconds=self.run_volume_failed)
        return {RunState.SUCCESS: success, RunState.FAILED: failed}


class ImagesSettings(Value, frozen=True, kw_only=True):
    """`[images]`"""

    build: Literal["on_demand", "never"] = "on_demand"  #: whether a missing task image is built when needed
    base: str = "python:3.13-slim"  #: the base image that task images are built from
    parallel_builds: AtLeastOne = 2  #: image builds at one time


class RootsSettings(Value, frozen=True, kw_only=True):
    """`[roots]`: data roots, each written as NAME = "/absolute/path"; others live in `<home>/data/<name>`."""

    paths: dict[str, str] = {}


class Settings(Value, frozen=True, kw_only=True):
    """All settings, one frozen value."""

    scheduling: SchedulingSettings = SchedulingSettings()
    dags: DagsSettings = DagsSettings()
    tasks: TasksSettings = TasksSettings()
    engine: EngineSettings = EngineSettings()
    engines: EnginesSettings = EnginesSettings()
    images: ImagesSettings = ImagesSettings()
    database: DatabaseSettings = DatabaseSettings()
    retention: RetentionSettings = RetentionSettings()
    secrets: SecretsSettings = SecretsSettings()
    roots: RootsSettings = RootsSettings()

    def shown(self, section: str, key: str) -> Any:
        """A value as it may be shown to anybody."""
        value = msgspec.to_builtins(getattr(getattr(self, section), key))
        return without_password(value) if (section, key) in _SECRET else value

    @property
    def default_image(self) -> str:
        """The image of a task that names none."""
        return self.tasks.default_image or self.images.base


_SECRET = {("database", "url")}
_PASSWORD = re.compile(r"(?P<before>://[^:/?#]*:).*(?=@)|(?P<named>password=)[^&]*")


def without_password(url: str) -> str:
    """The same with `***` wherever a URL may hold a password, well-formed or not."""
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['named']}***", url)


class Hidden(dict[str, str]):
    """Values that nothing shows."""

    def __repr__(self) -> str:
        return f"<{len(self)} hidden>"


class Project(Value, frozen=True, kw_only=True):
    """Where a project is: `root` holds `dags/` and `task-images/`; `home` holds all state."""

    root: Path
    home: Path
    settings: Settings
    sources: dict[str, Source]  #: "section.key" -> where its value came from
    engine_environment: dict[str, str]  #: DOCKER_* and XDG_RUNTIME_DIR, HOME: what finding an engine may read
    policy: Policy = Policy()  #: what tasks may ask of the engine, from `<home>/policy.toml`
    parse_environment: dict[str, str] = {}  #: what DAG files may read: the variables that `dags.parse_env` names
    secret_environment: dict[str, str] = Hidden()  #: secrets, variables and connections, by their variables' names
    nursery: int | None = None  #: descriptor at which authoring servers of another user are to be had
    heartbeat: int | None = None  #: descriptor of the pipe at which the parent hears of our progress

    @property
    def dags_folder(self) -> Path:
        return self.root / "dags"

    @property
    def images_folder(self) -> Path:
        return self.root / "task-images"

    @property
    def database(self) -> Path:
        """The file of rows, where setting `database.url` names no server."""
        return self.home / "orchestrator.db"

    @property
    def logs_folder(self) -> Path:
        return self.home / "logs"

    @property
    def artifacts_folder(self) -> Path:
        """What is kept of the files of tries."""
        return self.home / "artifacts"

    @property
    def run_folder(self) -> Path:
        """Sockets and locks of running processes."""
        return self.home / "run"

    @property
    def socket(self) -> Path:
        """The scheduler's local socket."""
        return self.run_folder / "scheduler.sock"

    @property
    def standby_socket(self) -> Path:
        """Where a scheduler that stands by says that it is there."""
        return self.run_folder / "standby.sock"

    @property
    def secret_folders(self) -> tuple[Path, ...]:
        """Where files of secrets are."""
        return tuple(self.home / each for each in self.settings.secrets.folders)

    def data_root(self, name: str) -> Path:
        """Where the data root `name` lives on this machine."""
        return Path(self.settings.roots.paths.get(name) or self.home / "data" / name)


_ROOTS = "roots"
#: How the container's entrypoint hands on what `Project.nursery` says.
NURSERY = "ORCHESTRATOR_NURSERY"
_ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
                     "XDG_RUNTIME_DIR", "HOME")  # fmt: skip

_SECRET_VARIABLES = ("ORCHESTRATOR_SECRET_*", "ORCHESTRATOR_VAR_*", "ORCHESTRATOR_CONN_*", "AIRFLOW_VAR_*",
                     "AIRFLOW_CONN_*")  # fmt: skip


def open_project(start: Path | None = None, environment: Mapping[str, str] | None = None) -> Project:
    """Find the project from `start` (default: here) upwards, as git does, and read its settings.

    Raises `NoProjectError`, `SettingsError`."""
    env = os.environ if environment is None else environment
    here = (start or Path.cwd()).resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / "dags").is_dir()), None)
    if root is None:
        raise NoProjectError(
            f"no dags/ folder in {here} or above it", fix="create one: mkdir dags, and put a DAG file in it"
        )
    home = Path(env.get("ORCHESTRATOR_HOME") or root / ".orchestrator").absolute()
    settings, sources = read_settings(home / "orchestrator.toml", env)
    engine_environment = {name: env[name] for name in _ENGINE_VARIABLES if name in env}
    return Project(
        root=root,
        home=home,
        settings=settings,
        sources=sources,
        engine_environment=engine_environment,
        policy=read_policy(home / "policy.toml"),
        parse_environment=_matching(env, settings.dags.parse_env),
        secret_environment=Hidden(_matching(env, _SECRET_VARIABLES)),
        nursery=int(env[NURSERY]) if NURSERY in env else None,
        heartbeat=int(env[HEARTBEAT]) if HEARTBEAT in env and is_pipe(int(env[HEARTBEAT])) else None,
    )


def _matching(environment: Mapping[str, str], globs: tuple[str, ...]) -> dict[str, str]:
    return {
        name: text for name, text in environment.items() if any(fnmatch.fnmatchcase(name, glob) for glob in globs)
    }


def read_settings(file: Path, environment: Mapping[str, str]) -> tuple[Settings, dict[str, Source]]:
    """Settings and the source of each; unknown sections and keys are errors that name the nearest known."""
    tree: dict[str, dict[str, Any]] = {}
    sources: dict[str, Source] = {}
    for section, values in _file_values(file).items():
        for key, value in values.items():
            _put(tree, sources, (section, key), value, "file")
    known = _known()
    for said in said_by_environment(environment, lambda *name: name in known):
        _put(tree, sources, (said.section, said.key), said.value, said.source)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"a setting has a wrong value: {error}", fix=f"see {file} and {PREFIX}*") from error
    for section, key in known:
        sources.setdefault(f"{section}.{key}", "default")
    return settings, sources


def read_policy(file: Path) -> Policy:
    """What the site lets tasks ask of the engine; the safe default where there is no file. `SettingsError`."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), Policy)
    except FileNotFoundError:
        return Policy()
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        known = ", ".join(Policy.__struct_fields__)
        raise SettingsError(f"{file}: {error}", fix=f"correct it; it may say: {known}") from error


def _file_values(file: Path) -> dict[str, dict[str, Any]]:
    try:
        values = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}", fix="correct the file's syntax") from error
    for section, content in values.items():
        if not isinstance(content, dict):
            raise SettingsError(
                f"{file}: {section} stands outside a section", fix=f"write [section] above {section}"
            )
    return values


def _put(
    tree: dict[str, dict[str, Any]],
    sources: dict[str, Source],
    name: tuple[str, str],
    value: Any,
    source: Source,
) -> None:
    section, key = name
    known = _known()
    place = "orchestrator.toml in the home" if source == "file" else f"{PREFIX}{section}__{key}".upper()
    if section == _ROOTS:
        tree.setdefault(_ROOTS, {}).setdefault("paths", {})[key] = _root_path(key, value, place)
    elif name not in known:
        nearest = difflib.get_close_matches(f"{section}.{key}", [".".join(each) for each in known], n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise SettingsError(
            f"unknown setting {section}.{key}{hint}", fix=f"correct or remove it; it stands in {place}"
        )
    else:
        tree.setdefault(section, {})[key] = _split(known[name], value)
    sources[f"{section}.{key}"] = source


def _root_path(name: str, value: Any, place: str) -> str:
    """Where a data root lives; the section itself is the table of roots."""
    if name.startswith("paths__") or not isinstance(value, str) or not Path(value).is_absolute():
        raise SettingsError(
            f"the data root roots.{name} is {value!r}; it stands in {place}",
            fix=f'write an absolute path: NAME = "/path" below [roots], or {PREFIX}ROOTS__NAME=/path',
        )
    return value


def _known() -> dict[tuple[str, str], Any]:
    """Every setting but data roots, whose names a site chooses."""
    return {
        (section.name, field.name): field.type
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
        if section.name != _ROOTS
    }


def _split(kind: Any, value: Any) -> Any:
    """A list may be one comma-separated text in the environment."""
    if kind == tuple[str, ...] and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
