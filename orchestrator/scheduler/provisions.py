"""What the container of a try is given beyond its stored spec: secrets in clear, and files that are copied in. In
memory only, and for no longer than its launch takes (invariant I10)."""

from collections.abc import Callable
from functools import partial
from typing import IO, NamedTuple

import msgspec

from orchestrator.errors import NoSuchFileError
from orchestrator.ids import EPOCH_LABEL, ContainerId, Epoch
from orchestrator.planning.rows import Try
from orchestrator.ports import Engine
from orchestrator.scheduler.masking import Patterns
from orchestrator.scheduler.masks import Masks
from orchestrator.scheduler.unsealing import Unsealed, Unsealing, uid_in
from orchestrator.spec.artifacts import ArtifactId
from orchestrator.spec.container import ContainerSpec, InputFile

_USERS, _USERS_LIMIT = "/etc/passwd", 1 << 20


class Given(NamedTuple):
    """One container's: the spec as the engine is told it, its secrets, and what none of our words may say."""

    spec: ContainerSpec
    unsealed: Unsealed
    patterns: Patterns


class Provisions:
    """Gives containers what they need; any thread. `epoch` is that of the leadership that makes them, `artifact`
    opens a kept file that is to be copied in."""

    def __init__(
        self,
        engine: Engine,
        unsealing: Unsealing,
        masks: Masks,
        artifact: Callable[[ArtifactId], IO[bytes]],
        epoch: Epoch,
    ) -> None:
        self._engine = engine
        self._epoch = epoch
        self._unsealing = unsealing
        self._masks = masks
        self._artifact = artifact

    def of(self, attempt: Try) -> Given:
        """Look its secrets up; from here on its log does not show them. `SecretError`."""
        unsealed = self._unsealing.of(attempt.spec)
        patterns = self._masks.learn(attempt.key, unsealed.values)
        spec = unsealed.given_to(attempt.spec)
        labels = {**spec.labels, EPOCH_LABEL: str(self._epoch)}  # an earlier one may have committed the intent
        return Given(msgspec.structs.replace(spec, labels=labels), unsealed, patterns)

    def copy_in(self, given: Given, container: ContainerId) -> None:
        """Put the files into a created container; raises as `Engine.put_files`."""
        files = (*given.spec.files, *given.unsealed.copied(partial(self._uid, container)))
        if files:
            self._engine.put_files(container, files, self._artifact)

    def wipe(self, attempt: Try, container: ContainerId) -> None:
        """Leave nothing in the files of secrets of a container that is kept; raises as `Engine.put_files`."""
        wiped = tuple(
            InputFile(path=file.path, data=b"", volume=file.volume, mode=file.mode)
            for file in attempt.spec.secret_files
        )
        if wiped:
            self._engine.put_files(container, wiped, self._artifact)

    def _uid(self, container: ContainerId, user: str) -> int:
        """The number of a user in a container. Of one that it does not have the engine says so at the start."""
        name = user.partition(":")[0]
        if name in ("", "root") or name.isdecimal():
            return int(name) if name.isdecimal() else 0
        try:
            users = self._engine.read_file(container, _USERS, _USERS_LIMIT)
        except NoSuchFileError:
            return 0
        return uid_in(users.decode("utf-8", "replace"), name) or 0
