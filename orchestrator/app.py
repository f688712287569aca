"""The composition root: the one place that picks adapters and puts them behind the ports."""

import dataclasses
import getpass
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from orchestrator.actions import Actions
from orchestrator.artifacts.store import FileArtifactStore
from orchestrator.clock import Clock, SystemClock
from orchestrator.dagfiles.client import AuthoringServer
from orchestrator.dagfiles.site_rules import policy_problems
from orchestrator.dagfiles.watch import DagFolder
from orchestrator.engines.docker.address import Address, find_address
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.places import EnginePlaces
from orchestrator.engines.owners import OWNER_LABEL, own_identity
from orchestrator.errors import AuthoringServerError, EngineError, SchemaError, StoreUnavailableError
from orchestrator.explanations import Explanations
from orchestrator.ids import DeploymentId, Epoch, new_deployment_id, new_test_deployment_id
from orchestrator.images.calls import ImageApi
from orchestrator.images.service import DockerImages
from orchestrator.planning.explain import Explained
from orchestrator.planning.rows import Pool
from orchestrator.ports import Engine, ImageRecord, Store
from orchestrator.pulses import Pulse
from orchestrator.queries import Queries
from orchestrator.scheduler.heartbeat import Heartbeat
from orchestrator.scheduler.leadership import Leadership
from orchestrator.scheduler.local_socket import LocalSocket
from orchestrator.scheduler.patience import Patience
from orchestrator.scheduler.scheduler import Parts, Scheduler
from orchestrator.secrets.environment import EnvironmentSecrets
from orchestrator.secrets.files import FileSecrets
from orchestrator.secrets.places import SecretPlaces
from orchestrator.settings import Project
from orchestrator.spec.dag import DagSpec, Problem
from orchestrator.spec.finalize import Site
from orchestrator.spec.policy import Grounds, enforce, violations
from orchestrator.store.database import Database
from orchestrator.store.home import read_claim, trials_id
from orchestrator.store.locating import database_of
from orchestrator.store.sql_store import SqlStore
from orchestrator.tasklogs.store import FileLogStore

_log = structlog.get_logger()

_MIB = 1024 * 1024


class App:
    """Everything one process needs, made on demand from a project."""

    def __init__(self, project: Project, clock: Clock | None = None) -> None:
        self.project = project
        self.clock = clock or SystemClock()

    @property
    def database(self) -> Database:
        """Where rows are: `SettingsError`, `StoreError` where that cannot be told. It may not be there yet."""
        return database_of(self.project)

    @property
    def has_standbys(self) -> bool:
        """Whether more than one scheduler may run over this database."""
        return self.database.lock() is None

    @property
    def socket(self) -> Path:
        """The scheduler's local socket."""
        return self.project.socket

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The database; `SchemaError` names the command where there is none or an old one."""
        store = SqlStore.open(self.database)
        try:
            yield store
        finally:
            store.close()

    def logs(self, leads: Callable[[], bool] | None = None) -> FileLogStore:
        """Logs of tries; `leads` where other schedulers may write them before or after this process."""
        return FileLogStore(self.project.logs_folder, leads)

    def artifacts(self, leads: Callable[[], bool] = lambda: True) -> FileArtifactStore:
        """What is kept of the files of tries."""
        return FileArtifactStore(self.project.artifacts_folder, leads)

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        default = self.project.settings.scheduling.catchup_by_default
        with self.store() as store:
            yield Queries(store, self.logs(), catchup_by_default=default)

    @contextmanager
    def explanations(self) -> Iterator[Explanations]:
        with self.store() as store:
            queries = Queries(store, self.logs())
            yield Explanations(store, self.artifacts(), queries, self.socket, self.clock, self.project.settings)

    @contextmanager
    def actions(self) -> Iterator[Actions]:
        """Actions in the name of the user who runs this process."""
        with self.store() as store:
            yield Actions(store, self.socket, self.clock, f"cli:{_user()}")

    def secrets(self) -> SecretPlaces:
        """Where secrets, variables and connections are looked for: files first, then the environment."""
        files = [FileSecrets(folder) for folder in self.project.secret_folders]
        return SecretPlaces([*files, EnvironmentSecrets(self.project.secret_environment)])

    def find_engine(self) -> Address:
        """Where the engine listens; `EngineUnavailableError` tells everything that was tried."""
        return find_address(self.project.settings.engine.address, self.project.engine_environment).require()

    def engine(self, may_change: Callable[[], bool] = lambda: True) -> DockerEngine:
        timeout = self.project.settings.engine.timeout
        return DockerEngine(self.find_engine, self.clock, timeout=timeout, may_change=may_change)

    def images(
        self,
        deployment: DeploymentId,
        built: Callable[[ImageRecord], None] = lambda _: None,
        *,
        build: bool = True,
    ) -> DockerImages:
        """Task images and external images of this project; without `build` a missing one stays missing."""
        api = ImageApi(self.find_engine)
        project = self.project if build else _without_builds(self.project)
        return DockerImages(api, project, deployment, self.clock, built)

    @contextmanager
    def authoring(self) -> Iterator[AuthoringServer]:
        """The process in which DAG files are parsed and templates rendered."""
        server = AuthoringServer(self.project, self.clock, self._review())
        try:
            yield server
        finally:
            server.close()

    def deployment(self) -> DeploymentId:
        """The home's deployment id; one for the moment where there is no database yet."""
        return read_claim(self.project.home) or new_deployment_id()

    def trials_id(self) -> DeploymentId:
        """What the deployments of this home's foreground runs begin with."""
        return trials_id(self.project.home)

    def record_image(self, record: ImageRecord) -> None:
        """Note a built image in the database, where there is one that can be written: the image is there either
        way."""
        if not self.database.exists():
            return
        try:
            with self.store() as store:
                store.record_image(record)
        except (SchemaError, StoreUnavailableError) as trouble:
            _log.warning("image.not_noted", tag=record.tag, trouble=trouble.message, fix=trouble.fix)

    def pools(self) -> tuple[Pool, ...]:
        """The pools that somebody made; none where there is no database yet. `StoreError`."""
        if not self.database.exists():
            return ()
        with self.store() as store:
            return store.pools()

    def site(self) -> Site:
        places = self.places()
        return Site(
            network=self.project.settings.engine.network,
            project=str(self.project.root),
            assume_cpus=self.project.settings.engine.assume_cpus,
            assume_memory=self.project.settings.engine.assume_memory * _MIB,
            engine_path=places.path,
            root_path=lambda name: places.root(name, self._data_root(name)),
            run_as=self._run_as,
            policy=lambda template, network, mounts: enforce(
                self.project.policy, lambda: self._grounds(places), template, network, mounts
            ),
        )

    def _review(self) -> Callable[[DagSpec], Iterable[Problem]]:
        """What the site's policy has against a DAG; data roots and their owners are left alone."""
        places = self.places()
        site = Site(
            network=self.project.settings.engine.network,
            project=str(self.project.root),
            engine_path=places.path,
            root_path="/{}".format,
        )
        return lambda dag: policy_problems(
            dag, site, lambda *asked: violations(self.project.policy, lambda: self._grounds(places), *asked)
        )

    def places(self) -> EnginePlaces:
        """Where the engine finds our paths."""
        return EnginePlaces(self.find_engine, self.deployment())

    @contextmanager
    def scheduler(self, stop: threading.Event) -> Iterator[Scheduler | None]:
        """A scheduler of this home in the lead, with its local socket; waits for the lead as a standby while
        another one has it. None once `stop` is set. Raises `SchedulerRunningError` where the database has room for
        one scheduler only, `SchemaError`."""
        with self._awaited_store(stop) as store, self.authoring() as authoring:
            if store is None:
                yield None
                return
            lead = Leadership(store, self.clock, f"{socket.gethostname()} (process {os.getpid()})")
            folder = DagFolder(self.project, self.clock)
            with self._parts(store, authoring, folder, lead.holds if self.has_standbys else None) as parts:
                parts.heartbeat.start()
                with self._standing_by(authoring, parts.engine) as begin:
                    epoch = lead.wait(stop, begin)
                try:
                    if epoch is None:
                        yield None
                    else:
                        with self._leading(parts, epoch, lead) as scheduler:
                            yield scheduler
                finally:
                    lead.close()

    @contextmanager
    def _awaited_store(self, stop: threading.Event) -> Iterator[SqlStore | None]:
        """The database, waited for while it cannot be opened; None once `stop` is set. Raises
        `StoreUnavailableError` where the home takes no writes, which no waiting mends."""
        patience = Patience(self.clock, stop)
        while not stop.is_set():
            try:
                store = SqlStore.open(self.database)
            except StoreUnavailableError as trouble:
                if not os.access(self.project.home, os.W_OK):
                    raise
                if patience.is_news():
                    _log.error("scheduler.waits_for_database", trouble=trouble.message, fix=trouble.fix)
                patience.wait()
                continue
            try:
                yield store
            finally:
                store.close()
            return
        yield None

    @contextmanager
    def _standing_by(self, authoring: AuthoringServer, engine: Engine) -> Iterator[Callable[[], None]]:
        """What is to be called where another one leads: it has a standby answer to health checks, and be ready."""
        with ExitStack() as left:

            def begin() -> None:
                with suppress(OSError):
                    local = LocalSocket(self.project.standby_socket)
                    left.callback(local.close)
                    local.start(lambda: None, lambda _question, answer: answer(Explained()))
                threading.Thread(target=_warm, args=(authoring, engine), name="warm-up", daemon=True).start()

            yield begin

    @contextmanager
    def _leading(self, parts: Parts, epoch: Epoch, lead: Leadership) -> Iterator[Scheduler]:
        """A scheduler, and whoever has it look at something: faces of this machine, the database, its own lead."""
        local = LocalSocket(self.socket)
        scheduler = Scheduler(parts, epoch, local.publish)
        local.start(scheduler.wake, scheduler.ask)
        parts.store.listen(scheduler.wake)
        lead.keep(scheduler.fenced)
        try:
            yield scheduler
        finally:
            local.close()

    @contextmanager
    def trial(self) -> Iterator[Parts]:
        """The parts of a run in the foreground: no database file, logs and artifacts that go with it, a
        deployment of its own, an owner label."""
        deployment = new_test_deployment_id(self.trials_id())
        store = SqlStore.in_memory(deployment)
        with self.authoring() as authoring, tempfile.TemporaryDirectory(prefix="orchestrator-") as made:
            try:
                with self._parts(store, authoring, None) as parts:
                    yield dataclasses.replace(
                        parts,
                        logs=FileLogStore(Path(made) / "logs"),
                        artifacts=FileArtifactStore(Path(made) / "artifacts"),
                        extra_labels={OWNER_LABEL: own_identity()},
                    )
            finally:
                store.close()

    @contextmanager
    def _parts(
        self,
        store: Store,
        authoring: AuthoringServer,
        folder: DagFolder | None,
        leads: Callable[[], bool] | None = None,
    ) -> Iterator[Parts]:
        """The parts of a scheduler; their connections to the engine are closed afterwards. `leads` where there may
        be others."""
        known = leads or (lambda: True)
        engine = self.engine(known)
        images = self.images(store.deployment(), self.record_image if folder is None else store.record_image)
        try:
            yield Parts(
                store=store,
                engine=engine,
                logs=self.logs(leads),
                artifacts=self.artifacts(known),
                images=images,
                renderer=authoring,
                checker=authoring,
                parser=authoring,
                settings=self.project.settings,
                site=self.site(),
                secrets=self.secrets(),
                clock=self.clock,
                folder=folder,
                test_mode=folder is None,
                heartbeat=self._heartbeat(),
            )
        finally:
            engine.close()
            images.close()

    def _heartbeat(self) -> Heartbeat:
        """What the parent hears of our progress, if there is one that listens."""
        pipe, seconds = self.project.heartbeat, self.project.settings.scheduling.stall_timeout
        return Heartbeat(self.clock, None if pipe is None else Pulse(pipe, seconds))

    def _grounds(self, places: EnginePlaces) -> Grounds:
        """Where the engine has the project and the home; where it has neither, no path of its host is theirs."""
        project, home = (places.path(str(each)) for each in (self.project.root, self.project.home))
        return Grounds(project=project, home=home)

    def _run_as(self, roots: tuple[str, ...]) -> str | None:
        """Setting `tasks.run_as`, for a task that mounts these data roots."""
        chosen = self.project.settings.tasks.run_as
        if chosen == "image" or (chosen == "root-owner" and not roots):
            return None
        if chosen != "root-owner":
            return chosen
        owner = self._data_root(roots[0]).stat()
        return f"{owner.st_uid}:{owner.st_gid}"

    def _data_root(self, name: str) -> Path:
        folder = self.project.data_root(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _warm(authoring: AuthoringServer, engine: Engine) -> None:
    """What a standby does ahead, so that it goes on at once when it leads; what is not there now may be then."""
    with suppress(AuthoringServerError):
        authoring.warm()
    with suppress(EngineError):
        engine.ping()


def _without_builds(project: Project) -> Project:
    images = msgspec.structs.replace(project.settings.images, build="never")
    return msgspec.structs.replace(project, settings=msgspec.structs.replace(project.settings, images=images))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        return str(os.getuid())
