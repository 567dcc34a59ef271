"""The clock is set back and forward by an hour: nothing fires early, nothing waits, nobody is locked out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub.accounts import NAME_AND_ADDRESS_TRIES, Accounts, SignInRefused, TooManyTries
from hub.domain.entry import EntryKind
from hub.domain.timekeeping import IN_DOUBT, Ages, Timekeeper
from hub.domain.trouble import TroubleCode
from hub.domain.unit import UnitLink
from hub.insisting import Insistence
from hub.intake import judged
from hub.vitals import Vitals
from hub.watch import Ticker, Watch
from tests.hub_core.conftest import Core, HandClock
from wire.observations import Condition, Heartbeat, Lateness, Observation

HOUR = 3600.0


class TwoClocks:
    """The wall's, which somebody sets, and the steady one: time passes for both."""

    def __init__(self, wall: HandClock) -> None:
        self.wall = wall
        self.steadily = HandClock(wall.now)
        self.keeper = Timekeeper(wall, self.steadily)

    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.wall.forward(seconds)
        self.steadily.forward(seconds)

    def is_set(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.wall.forward(seconds)


@pytest.fixture
def clocks(core: Core) -> TwoClocks:
    return TwoClocks(core.clock)


@pytest.fixture
def watch(core: Core, clocks: TwoClocks) -> Watch:
    core.desk.measure_by(Ages(clocks.steadily))
    return Watch(core.store, core.desk, core.registers, core.clock.now, timekeeper=clocks.keeper)


def look(core: Core, clocks: TwoClocks, watch: Watch, seconds: float) -> None:
    """Time passes and everybody looks."""
    clocks.passes(seconds)
    clocks.keeper.look()
    core.do(lambda tx: watch.check(tx, tx.now))
    core.do(lambda tx: core.desk.tick(tx, tx.now))


def beat(core: Core, watch: Watch, source: str) -> None:
    """The source says that it is alive."""
    observation = Observation(source=source, body=Heartbeat(), heard_at=core.clock.now, id="x")
    watch.hear(observation, core.clock.now)
    core.see(source, Heartbeat())


def silent(core: Core) -> set[str]:
    """Sources that the desk calls silent."""
    state = core.desk.snapshot()
    return {one.source for one in state.conditions if one.condition == "comms_lost" and one.active is True}


def test_a_jump_is_seen_once_with_its_size_and_forgotten(clocks: TwoClocks) -> None:
    clocks.passes(1)
    assert clocks.keeper.look() is None
    clocks.is_set(-HOUR)
    clocks.passes(1)
    jump = clocks.keeper.look()
    assert jump is not None
    assert jump.by == timedelta(hours=-1)
    assert clocks.keeper.look() is None
    now = clocks.wall.now
    assert clocks.keeper.readings(now) == (now, now + timedelta(hours=1))
    clocks.passes(IN_DOUBT.total_seconds())
    assert clocks.keeper.look() is None
    assert clocks.keeper.doubted is None
    assert clocks.keeper.readings(clocks.wall.now) == (clocks.wall.now,)


def test_a_clock_that_is_slewed_is_no_jump(clocks: TwoClocks) -> None:
    for _ in range(600):
        clocks.passes(1)
        clocks.is_set(0.5)
        assert clocks.keeper.look() is None


def test_two_jumps_leave_three_readings(clocks: TwoClocks) -> None:
    for by in (HOUR, -60.0):
        clocks.is_set(by)
        clocks.keeper.look()
    now = clocks.wall.now
    first, second, third = clocks.keeper.readings(now)
    assert (first, second, third) == (now, now + timedelta(seconds=60), now - timedelta(seconds=HOUR - 60))


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_no_source_falls_silent_by_a_jump_and_silence_after_it_is_noticed(
    core: Core, clocks: TwoClocks, watch: Watch, by: float
) -> None:
    beat(core, watch, "panel:p-01")
    look(core, clocks, watch, 10)
    clocks.is_set(by)
    look(core, clocks, watch, 1)
    assert "panel:p-01" not in silent(core)
    beat(core, watch, "panel:p-01")
    look(core, clocks, watch, 90)
    assert "panel:p-01" not in silent(core)
    look(core, clocks, watch, 2)
    assert "panel:p-01" in silent(core), "three intervals of 30 s and a second, whatever the clock says"
    clocks.passes(1)
    beat(core, watch, "panel:p-01")
    look(core, clocks, watch, 1)
    assert "panel:p-01" not in silent(core)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_an_on_delay_is_neither_cut_short_nor_stretched(
    core: Core, clocks: TwoClocks, watch: Watch, by: float
) -> None:
    """A camera that loses its picture is an incident after 20 s."""
    beat(core, watch, "camera:c-02")
    core.alarm("camera:c-02", "picture", Condition.PICTURE_LOST)
    look(core, clocks, watch, 5)
    clocks.is_set(by)
    look(core, clocks, watch, 5)
    assert core.incidents == ()
    look(core, clocks, watch, 11)
    assert core.incident.condition == "picture_lost"


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_car_is_neither_lost_by_a_jump_nor_kept_online_for_an_hour(
    core: Core, clocks: TwoClocks, watch: Watch, by: float
) -> None:
    core.fix("u-0121", 34.26, 117.19)
    look(core, clocks, watch, 5)
    clocks.is_set(by)
    look(core, clocks, watch, 5)
    assert core.unit("u-0121").link is UnitLink.ONLINE
    look(core, clocks, watch, 200)
    assert core.unit("u-0121").link is UnitLink.LOST


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_what_was_stamped_before_a_jump_is_still_news(core: Core, clocks: TwoClocks, by: float) -> None:
    at = core.clock.now
    observation = Observation(source="camera:c-01", body=Heartbeat(), heard_at=at, device_at=at, id="x")
    clocks.is_set(by)
    clocks.passes(1)
    assert judged(observation, core.clock.now).lateness is not Lateness.LIVE, "without the timekeeper"
    clocks.keeper.look()
    assert judged(observation, *clocks.keeper.readings(core.clock.now)).lateness is Lateness.LIVE


def test_history_stays_history_after_a_jump(core: Core, clocks: TwoClocks) -> None:
    heard = core.clock.now - timedelta(days=1)
    observation = Observation(source="camera:c-01", body=Heartbeat(), heard_at=heard, id="x")
    clocks.is_set(-HOUR)
    clocks.keeper.look()
    assert judged(observation, *clocks.keeper.readings(core.clock.now)).lateness is Lateness.BUFFERED


async def test_nobody_is_locked_out_for_an_hour_longer(core: Core, clocks: TwoClocks) -> None:
    accounts = Accounts(core.store, core.clock, steady=clocks.steadily)
    for _ in range(NAME_AND_ADDRESS_TRIES):
        with pytest.raises(SignInRefused):
            await accounts.sign_in("wang", "wrong", address="10.0.0.1")
    clocks.is_set(-HOUR)
    clocks.passes(10)
    with pytest.raises(TooManyTries) as refused:
        await accounts.sign_in("wang", "wrong", address="10.0.0.1")
    assert refused.value.wait_s < 15 * 60
    clocks.passes(15 * 60)
    with pytest.raises(SignInRefused):
        await accounts.sign_in("wang", "wrong", address="10.0.0.1")


def test_entries_stay_in_order_and_the_jump_stands_between_them(
    core: Core, clocks: TwoClocks, watch: Watch, tmp_path: Path
) -> None:
    vitals = Vitals(core.store, tmp_path, clocks.keeper, core.clock)
    ticker = Ticker(core.store, core.desk, watch, vitals, Insistence(core.store))
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP)
    clocks.is_set(-HOUR)
    vitals.look()
    core.do(ticker.tick)
    core.alarm("panel:p-02", "zone:1", Condition.INTRUSION, armed=True)
    entries = core.entries()
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1].at < entries[0].at
    told = [part for entry in core.entries(EntryKind.HUB) for part in entry.body["parts"]]
    assert "clock_jumped: back 3600 s" in [part["reason"] for part in told if part["name"] == "clock"]
    (trouble,) = [one for one in vitals.troubles() if one.part == "clock"]
    assert (trouble.code, trouble.figures) == (TroubleCode.CLOCK_JUMPED, {"by_s": -HOUR})
    clocks.passes(IN_DOUBT.total_seconds())
    vitals.look()
    core.do(ticker.tick)
    assert [one.reason for one in core.desk.snapshot().hub.parts if one.name == "clock"] == [""]
    assert not [one for one in vitals.troubles() if one.part == "clock"]
