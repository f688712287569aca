"""What every engine promises of volumes, the fake and the real one alike."""

from engine_lab import QUIET, Lab

from orchestrator.ids import DEPLOYMENT_LABEL, DeploymentId
from orchestrator.spec.container import Mount


def test_a_volume_is_made_with_its_labels_and_goes_when_no_container_mounts_it(lab: Lab) -> None:
    labels = {DEPLOYMENT_LABEL: lab.deployment, "orchestrator.owner": "me"}
    mount = Mount(source=f"orc-{lab.deployment}-v", target="/v", labels=labels)
    container = lab.create(QUIET, mounts=(mount,))
    (volume,) = lab.engine.list_volumes(lab.deployment)
    assert (volume.name, volume.labels) == (mount.source, labels)
    assert volume in lab.engine.list_owned_volumes("orchestrator.owner")
    assert lab.engine.list_volumes(DeploymentId("0" * 8)) == ()
    assert not lab.engine.remove_volume(mount.source)
    lab.engine.remove(container)
    assert lab.engine.remove_volume(mount.source)
    assert not lab.engine.remove_volume(mount.source)
