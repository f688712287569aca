"""All steps of `doctor`, in the order in which one stands on another."""

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.bootstrap import engine_step
from orchestrator.bootstrap.base_image import NAME as BASE_IMAGE
from orchestrator.bootstrap.base_image import BaseImage
from orchestrator.bootstrap.container_steps import ContainerSteps
from orchestrator.bootstrap.machine import LocalMachine, Machine
from orchestrator.bootstrap.machine_steps import clock_step, disk_step, folders_step, room_step, task_images_step
from orchestrator.bootstrap.steps import Step
from orchestrator.clock import Clock
from orchestrator.engines.docker.address import Search, find_address
from orchestrator.engines.docker.places import EnginePlaces
from orchestrator.ids import DeploymentId
from orchestrator.images.calls import ImageApi
from orchestrator.images.catalog import Catalog
from orchestrator.images.resolve import ExternalImages
from orchestrator.settings import Project


@contextmanager
def doctor_steps(
    project: Project, deployment: DeploymentId, clock: Clock, machine: Machine | None = None
) -> Iterator[tuple[Step, ...]]:
    """The steps for this project on this machine, while their connection to the engine is open. Containers
    that they run carry `deployment`."""
    here = machine or LocalMachine()

    def search() -> Search:
        return find_address(project.settings.engine.address, project.engine_environment)

    api = ImageApi(lambda: search().require())
    images = ExternalImages(api, clock)
    base = BaseImage(api, project.settings.images.base, here, project.home, clock)
    places = EnginePlaces(lambda: search().require(), deployment)
    containers = ContainerSteps(api, images, project.settings.images.base, deployment, places.path)
    roots = {"data": project.home / "data"} | {
        name: project.data_root(name) for name in project.settings.roots.paths
    }
    engine, with_base = (engine_step.NAME,), (engine_step.NAME, BASE_IMAGE)
    try:
        yield (
            folders_step(project),
            disk_step(project),
            engine_step.engine_step(search, here, project.home, clock),
            room_step(project.settings.engine),
            clock_step(api, clock, engine),
            base.step(engine),
            containers.limits(with_base),
            containers.roots(roots, with_base),
            task_images_step(Catalog(project.images_folder)),
        )
    finally:
        api.close()
