"""The named volumes of the fake engine."""

from collections.abc import Iterable
from datetime import datetime

from orchestrator.spec.container import ContainerSpec, MountType, VolumeFacts
from orchestrator.testing.fake_container import FakeContainer


class FakeVolumes:
    """Made with the first container that mounts them. Not safe for threads: the engine's lock guards them."""

    def __init__(self) -> None:
        self._volumes: dict[str, VolumeFacts] = {}

    def make(self, spec: ContainerSpec, at: datetime) -> None:
        """Those that a new container mounts and that are not there yet."""
        for mount in spec.mounts:
            if mount.type is MountType.VOLUME and mount.source:
                made = VolumeFacts(name=mount.source, labels=mount.labels, created_at=at)
                self._volumes.setdefault(mount.source, made)

    def labelled(self, label: str, value: str | None = None) -> tuple[VolumeFacts, ...]:
        return tuple(
            volume
            for volume in self._volumes.values()
            if (volume.labels.get(label) == value if value else label in volume.labels)
        )

    def remove(self, name: str, containers: Iterable[FakeContainer]) -> bool:
        mounted = {mount.source for container in containers for mount in container.spec.mounts}
        return name not in mounted and self._volumes.pop(name, None) is not None
