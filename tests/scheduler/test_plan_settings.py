"""What the settings say of scheduling reaches the planner."""

import msgspec

from orchestrator.ids import DeploymentId, Epoch
from orchestrator.scheduler.scheduler import plan_of
from orchestrator.settings import SchedulingSettings, Settings
from orchestrator.spec.dag import ScheduleMode


def test_every_setting_of_scheduling_reaches_the_planner() -> None:
    said = SchedulingSettings(
        parallelism=3,
        default_pool_slots=5,
        catchup_by_default=True,
        paused_on_creation=False,
        bare_schedule=ScheduleMode.TRIGGER,
        rerun_with="recorded",
        infrastructure_retries=7,
        stall_timeout=5.0,
    )
    defaults = msgspec.structs.asdict(SchedulingSettings())
    told = msgspec.structs.asdict(said)
    assert all(told[name] != default for name, default in defaults.items()), "each differs from its default"
    plan = plan_of(Settings(scheduling=said), DeploymentId("0a1b2c3d"), Epoch(1))
    del told["stall_timeout"]  # of the process, and nothing that is planned
    assert plan.rerun_recorded is (told.pop("rerun_with") == "recorded")
    assert {name: getattr(plan, name) for name in told} == told
