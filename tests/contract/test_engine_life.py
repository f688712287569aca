"""Since when an engine is up, the fake and the real one alike: earlier than whatever it has started, and the same
each time (what a restart does to it: `chaos/test_engine_restarts.py`)."""

from engine_lab import QUIET, Lab


def test_an_engine_was_up_before_it_started_a_container(lab: Lab) -> None:
    life = lab.engine.life()
    started_at = lab.engine.inspect(lab.finished(QUIET)).started_at
    assert life.since is not None
    assert started_at is not None
    assert life.since < started_at
    assert lab.engine.life() == life
