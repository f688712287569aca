"""The base image that task images are built from: here, to be had from a registry when it is needed, or made."""

from datetime import timedelta
from pathlib import Path

from orchestrator.bootstrap.machine import Machine
from orchestrator.bootstrap.offline_base import build_offline_base
from orchestrator.bootstrap.steps import Finding, Say, Step, fail, ok, warn
from orchestrator.clock import Clock
from orchestrator.errors import RepairError
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.pull import registry_problem
from orchestrator.images.references import stand_in
from orchestrator.images.resolve import ExternalImages
from orchestrator.spec.dag import PullPolicy

NAME = "base image"
_PULL_LIMIT = timedelta(minutes=10)
_REGISTRY_LIMIT = timedelta(seconds=20)


class BaseImage:
    """The base image of a project, on one engine. `reference` is setting `images.base`."""

    def __init__(self, api: ImageApi, reference: str, machine: Machine, home: Path, clock: Clock) -> None:
        self._api = api
        self._reference = reference
        self._machine = machine
        self._home = home
        self._images = ExternalImages(api, clock)

    def step(self, needs: tuple[str, ...]) -> Step:
        return Step(name=NAME, look=self.look, repair=self._repair, needs=needs)

    def look(self) -> Finding:
        local = self._images.find(self._reference)
        if local and local.name == self._reference:
            return ok(f"{self._reference} is here")
        if local:
            return ok(f"{local.name} stands in for {self._reference} (docker pull {self._reference} replaces it)")
        problem = self._registry_problem()
        if not problem:
            fix = f"`orchestrator doctor --fix` or `docker pull {self._reference}` gets it now"
            return warn(f"{self._reference} is not here yet; it is pulled when it is needed", fix, repairable=True)
        text = f"{self._reference} is neither here nor to be had: {problem}"
        if self._can_make():
            return fail(
                text, "`orchestrator doctor --fix` makes an equivalent of Debian's packages", repairable=True
            )
        return fail(
            text,
            f"docker pull {self._reference} on a machine that can, then docker save and docker load; "
            "or `orchestrator doctor --fix` as root on Debian",
        )

    def ensure(self, say: Say) -> str:
        """The name under which the base is here, pulled or made if need be. `RepairError`,
        `EngineUnavailableError`, `ImageError`."""
        local = self._images.find(self._reference)
        if local:
            return local.name
        version = (stand_in(self._reference) or "").rpartition(":")[2]
        if not self._registry_problem():
            return self._pull(say)
        if not (version and self._can_make()):
            raise RepairError(
                f"{self._reference} is neither here nor to be had", fix="`orchestrator doctor` says why"
            )
        return build_offline_base(self._api, self._machine, self._home, version, say)

    def _repair(self, say: Say) -> None:
        self.ensure(say)

    def _pull(self, say: Say) -> str:
        local = self._images.obtain(
            self._reference,
            policy=PullPolicy.MISSING,
            platform=None,
            timeout=_PULL_LIMIT,
            progress=lambda reason: say(reason.text),
        )
        return local.name

    def _can_make(self) -> bool:
        return self._machine.is_root() and self._machine.is_debian() and stand_in(self._reference) is not None

    def _registry_problem(self) -> str:
        with engine_calls():
            return registry_problem(self._api.client(), self._reference, _REGISTRY_LIMIT)
