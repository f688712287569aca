"""A selection of what schedulers go through, over PostgreSQL: chains, crashes, adoption, fencing, refused rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_stage import Stage, staged
from test_scheduler_lives import (
    test_a_launcher_that_leads_no_more_starts_nothing as test_a_launcher_that_leads_no_more_starts_nothing,
)
from test_scheduler_lives import (
    test_a_loop_that_leads_no_more_writes_nothing as test_a_loop_that_leads_no_more_writes_nothing,
)
from test_scheduler_lives import (
    test_killed_at_a_call_to_the_engine as test_killed_at_a_call_to_the_engine,
)
from test_scheduler_lives import (
    test_what_exited_while_nobody_ran_is_collected as test_what_exited_while_nobody_ran_is_collected,
)
from test_scheduler_lives import (
    test_what_runs_is_adopted_with_its_log_and_result as test_what_runs_is_adopted_with_its_log_and_result,
)
from test_scheduler_runs import (
    test_a_chain_runs_in_order as test_a_chain_runs_in_order,
)
from test_scheduler_runs import (
    test_a_failed_try_is_followed_by_another as test_a_failed_try_is_followed_by_another,
)
from test_scheduler_runs import (
    test_independent_tasks_run_at_one_time as test_independent_tasks_run_at_one_time,
)
from test_scheduler_runs import (
    test_the_result_file_is_the_result as test_the_result_file_is_the_result,
)

from orchestrator.store import SqlStore
from orchestrator.store.postgresql import PostgresDatabase


@pytest.fixture
def stage(tmp_path: Path, postgres_database: PostgresDatabase) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        made.store.close()
        made.store = SqlStore.open(postgres_database)
        yield made
