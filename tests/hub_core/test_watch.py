"""No silence is silent, and our own parts are sources too."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.domain.device import Health, PartStatus
from hub.domain.entry import EntryKind
from hub.domain.timekeeping import Timekeeper
from hub.insisting import Insistence
from hub.vitals import Vitals
from hub.watch import Ticker, Watch
from tests.hub_core.conftest import Core
from wire.observations import Condition, Heartbeat, Lateness, Link, Observation, PointState


@pytest.fixture
def watch(core: Core) -> Watch:
    """A watch that begins now."""
    return Watch(core.store, core.desk, core.registers, core.clock.now)


def second(core: Core, watch: Watch, seconds: float) -> None:
    """Time passes; watch and desk look once."""
    now = core.clock.forward(seconds)
    core.do(lambda tx: watch.check(tx, now))
    core.do(lambda tx: core.desk.tick(tx, now))


def beat(core: Core, watch: Watch, source: str) -> None:
    """The source says that it is alive."""
    observation = Observation(source=source, body=Heartbeat(), heard_at=core.clock.now, id="x")
    watch.hear(observation, core.clock.now)
    core.see(source, Heartbeat())


def silent(core: Core) -> set[str]:
    """Sources that the desk calls silent."""
    return {
        one.source
        for one in core.desk.snapshot().conditions
        if one.condition == "comms_lost" and one.active is True
    }


def test_three_missed_intervals_are_an_observation_and_then_an_incident(core: Core, watch: Watch) -> None:
    beat(core, watch, "panel:p-01")
    second(core, watch, 90)
    assert "panel:p-01" not in silent(core)
    second(core, watch, 2)
    assert "panel:p-01" in silent(core)
    assert core.panel("p-01").health is Health.LOST
    told = [entry for entry in core.entries(EntryKind.OBSERVATION) if entry.subject == "panel:p-01"]
    assert [entry.body["body"]["code"] for entry in told] == ["silence"]
    assert not [one for one in core.incidents if one.site == "market"]
    second(core, watch, 21)
    assert "comms_lost" in {one.condition for one in core.incidents if one.site == "market"}


def test_silence_is_said_once_and_its_end_too(core: Core, watch: Watch) -> None:
    for _ in range(5):
        second(core, watch, 100)
    assert {"panel:p-01", "panel:p-02", "camera:c-01", "tracker:u-0121"} <= silent(core)
    count = len(core.entries(EntryKind.OBSERVATION))
    second(core, watch, 1)
    assert len(core.entries(EntryKind.OBSERVATION)) == count
    beat(core, watch, "panel:p-01")
    second(core, watch, 1)
    assert "panel:p-01" not in silent(core)
    assert core.panel("p-01").health is Health.ONLINE


def test_a_silent_car_is_no_incident(core: Core, watch: Watch) -> None:
    second(core, watch, 40)
    second(core, watch, 40)
    assert "tracker:u-0121" in silent(core)
    assert core.incidents == ()


def test_what_the_broker_kept_is_no_sign_of_life(core: Core, watch: Watch) -> None:
    for observation in (
        Observation(
            source="panel:p-01", body=Heartbeat(), heard_at=core.clock.now, lateness=Lateness.RETAINED
        ),
        Observation(source="panel:p-01", body=Link(up=False), heard_at=core.clock.now),
        Observation(
            source="panel:p-01",
            body=PointState(point="panel", condition=Condition.COMMS_LOST, active=True),
            heard_at=core.clock.now,
        ),
    ):
        core.clock.forward(31)
        watch.hear(observation, core.clock.now)
    second(core, watch, 0)
    assert "panel:p-01" in silent(core)


def test_our_own_loss_is_told_as_ours(core: Core, watch: Watch) -> None:
    """With the adapters down every panel is quiet; the desk shows the adapters, not forty panels."""
    core.do(lambda tx: watch.part(tx, "adapters", False, "connection lost"))
    second(core, watch, 600)
    assert not {one for one in silent(core) if one.startswith(("panel:", "tracker:"))}
    assert "camera:c-01" in silent(core)
    (part,) = core.desk.snapshot().hub.parts
    assert (part.name, part.up, part.reason) == ("adapters", False, "connection lost")
    core.do(lambda tx: watch.part(tx, "adapters", True))
    second(core, watch, 60)
    assert "panel:p-01" not in silent(core), "it has had no time to be heard yet"
    second(core, watch, 40)
    assert "panel:p-01" in silent(core)


def test_parts_are_told_at_each_change_only(core: Core, watch: Watch) -> None:
    start = core.clock.now
    for up in (True, True, False, False, True):
        core.clock.forward(1)
        core.do(lambda tx, now_up=up: watch.part(tx, "edge-1", now_up))  # type: ignore[misc]
    told = [entry.body["parts"][0]["up"] for entry in core.entries(EntryKind.HUB)]
    assert told == [True, False, True]
    (part,) = core.desk.snapshot().hub.parts
    assert part == PartStatus(name="edge-1", up=True, since=core.clock.now)
    assert part.since > start


def test_the_ticker_lets_time_pass(core: Core, watch: Watch, tmp_path: Path) -> None:
    vitals = Vitals(core.store, tmp_path, Timekeeper(core.clock, core.clock), core.clock)
    ticker = Ticker(core.store, core.desk, watch, vitals, Insistence(core.store), every_s=0.01)
    core.alarm("camera:c-02", "picture", Condition.PICTURE_LOST)
    opened = core.store.enqueue(lambda _tx: None)
    opened.result(5)
    core.clock.forward(25)
    ticker.start()
    try:
        for _ in range(500):
            if core.incidents:
                break
            core.store.enqueue(lambda _tx: None).result(5)
            ticker._thread.join(0.02)
    finally:
        ticker.stop()
    assert core.incident.condition == "picture_lost"
    assert "store" in [part.name for part in core.desk.snapshot().hub.parts]
