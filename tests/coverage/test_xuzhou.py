"""The worked example: the sample register under the Xuzhou pack, with figures counted by hand.

The counts stand in `config/registers/README.md`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hub.domain.coverage import MemberState, State, TargetResult
from hub.domain.register import Rung
from hub.domain.targets import last_instant
from hub.evidence import NoSuchTarget, Rates, load_pack
from hub.registers import Acceptance, CameraNew, PanelNew, Registers, ZoneNew
from hub.sitefile import SiteFile, parse
from hub.store.engine import Store

CONFIG = Path(__file__).parents[2] / "config"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Example:
    """The sample register, loaded."""

    store: Store
    registers: Registers
    rates: Rates
    file: SiteFile
    load_s: float

    async def figures(self, as_of: datetime, rung: Rung | None = None, place: str = "") -> dict[str, str]:
        """Target → `n/d rate state`."""
        coverage = await self.rates.coverage(as_of=as_of, rung=rung, place=place)
        return {one.id: f"{one.n}/{one.d} {one.rate} {one.state}" for one in coverage.targets}

    async def target(self, identity: str, as_of: datetime = NOW) -> TargetResult:
        """One target's result."""
        return (await self.rates.target(identity, as_of=as_of)).target


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    """A store of its own with the sample in it."""
    store = Store.open(f"sqlite:///{tmp_path}/hub.db")
    registers = Registers.load(store, tmp_path / "seal.key")
    began = time.perf_counter()
    file = parse((CONFIG / "registers" / "xuzhou-sample.json").read_bytes())
    store.enqueue(lambda tx: registers.import_site(tx, file, "")).result(30)
    load_s = time.perf_counter() - began
    rates = Rates(store, registers, load_pack(CONFIG / "targets" / "xuzhou-2006.toml"))
    yield Example(store, registers, rates, file, load_s)
    store.close()


AT_THE_END = {
    "R1": "119/119 100.00% pass",
    "R2-2006": "113/119 94.95% fail",
    "R2-2007": "113/119 94.95% fail",
    "R3-2006": "19/20 95.00% pass",
    "R3-2007": "19/20 95.00% pass",
    "R4": "28/30 93.33% fail",
    "R5-a": "49/51 96.07% pass",
    "R5-b": "23/24 95.83% pass",
    "R5-c": "0/0 — unknown",
    "R6-town": "23/24 95.83% fail",
    "R6-provincial": "4/4 100.00% pass",
    "R6-city": "4/5 80.00% fail",
    "R6-county": "6/6 100.00% pass",
    "R6-exit": "7/8 87.50% fail",
    "R7-crossing": "0/0 — unknown",
    "R7-vital": "0/0 — unknown",
    "R7-complex": "0/0 — unknown",
    "R8-unit": "43/44 97.72% fail",
    "R8-street": "11/12 91.66% fail",
    "R8-street-length": "0/0 — unknown",
    "R8-compound": "38/40 95.00% fail",
    "R8-market": "8/8 100.00% pass",
    "R8-school": "29/34 85.29% fail",
    "R9-110": "24/26 92.30% fail",
    "R9-tier2": "0/0 — not_applicable",
    "R11-seat": "0/0 — unknown",
    "R11-village": "0/0 — unknown",
    "R13-established": "0/0 — unknown",
    "R13-guarded": "0/0 — unknown",
}


async def test_every_figure_today(example: Example) -> None:
    assert await example.figures(NOW) == AT_THE_END


async def test_the_figures_as_of_the_deadlines(example: Example) -> None:
    end_2006 = await example.figures(last_instant(date(2006, 12, 31)))
    assert end_2006["R1"] == "119/119 100.00% pass"
    assert end_2006["R2-2006"] == "108/119 90.75% fail"
    assert end_2006["R3-2006"] == "16/20 80.00% pass"
    assert end_2006["R4"] == "24/30 80.00% fail"
    end_2007 = await example.figures(last_instant(date(2007, 12, 31)))
    assert end_2007["R2-2007"] == "113/119 94.95% fail"
    assert end_2007["R3-2007"] == "19/20 95.00% pass"
    assert end_2007["R6-town"] == "12/24 50.00% fail"


async def test_the_deadlines_last_second(example: Example) -> None:
    """One alarm was accepted at 23:59:59 on the last day, one camera at 00:00:00 on the next."""
    last_second = datetime(2006, 12, 31, 15, 59, 59, tzinfo=UTC)
    assert (await example.target("R1", last_second - timedelta(seconds=1))).n == 118
    assert (await example.target("R1", last_second)).n == 119
    assert (await example.target("R2-2006", last_second)).n == 108
    assert (await example.target("R2-2006", last_second + timedelta(seconds=1))).n == 109


async def test_each_rung(example: Example) -> None:
    declared = await example.figures(NOW, Rung.DECLARED)
    registered = await example.figures(NOW, Rung.REGISTERED)
    assert declared["R2-2006"] == "118/119 99.15% pass"
    assert registered["R2-2006"] == "116/119 97.47% pass"
    assert (declared["R3-2007"], registered["R3-2007"]) == ("20/20 100.00% pass", "19/20 95.00% pass")


async def test_both_forms_stand_beside_each_other(example: Example) -> None:
    by_position = await example.target("R2-2007")
    assert (by_position.form, by_position.other_form) == ("position", "site")
    assert by_position.other is not None
    assert (by_position.other.n, by_position.other.d, by_position.other.rate) == (20, 24, "83.33%")
    by_unit = await example.target("R3-2007")
    assert by_unit.other is not None
    assert (by_unit.form, by_unit.other.n, by_unit.other.d) == ("site", 19, 40)


async def test_the_unknown_and_the_best_case(example: Example) -> None:
    campuses = await example.target("R4")
    assert (campuses.unknown, campuses.best, campuses.best_state) == (2, "100.00%", State.PASS)
    assert campuses.state is State.FAIL


async def test_who_is_missing_and_why(example: Example) -> None:
    detail = await example.rates.target("R2-2007", as_of=NOW)
    missing = {one.id: one.missing for one in detail.members if one.state is MemberState.MISSING}
    assert missing == {
        "x-m05-3": "not_accepted",
        "x-m05-4": "not_accepted",
        "x-m12-5": "not_accepted",
        "x-m17-2": "not_registered",
        "x-m17-3": "not_registered",
        "x-m21-4": "no_device",
    }
    assert [one.id for one in detail.members[:6]] == sorted(missing, key=[*missing].index)
    covered = detail.members[-1]
    assert [one.rung for one in covered.evidence] == ["declared", "registered", "accepted"]


async def test_a_district_sees_its_own(example: Example) -> None:
    figures = await example.figures(NOW, place="xz-tongshan")
    assert figures["R1"] == "0/0 — not_applicable"
    assert figures["R3-2007"] == "19/20 95.00% pass"
    whole = await example.target("R2-2007")
    assert sum(row.share.d for row in whole.districts) == whole.d
    assert sum(row.share.n for row in whole.districts) == whole.n


async def test_a_device_of_our_own_counts_once_it_is_accepted(example: Example) -> None:
    store, registers = example.store, example.registers
    camera = CameraNew(
        id="c-1", name="库房", site="x-m21", position="x-m21-4", rtsp_main="rtsp://10.0.0.1/",
        lat=34.2, lon=117.2, bearing_deg=90.0, fov_deg=80.0,
    )  # fmt: skip
    added = datetime.now(UTC)
    await store.submit(lambda tx: registers.add_camera(tx, camera, "li"))

    async def member() -> tuple[str, str, tuple[str, ...]]:
        detail = await example.rates.target("R2-2007", as_of=datetime.now(UTC))
        found = next(one for one in detail.members if one.id == "x-m21-4")
        return found.rung, found.missing, found.lacking

    assert await member() == ("declared", "not_registered", ("range_m",))
    await store.submit(lambda tx: registers.accept(tx, "camera:c-1", Acceptance(video_seen=True), "li"))
    assert await member() == ("declared", "not_registered", ("range_m",))
    assert (await example.target("R2-2007", datetime.now(UTC))).n == 113
    assert (await example.target("R2-2007", added - timedelta(seconds=1))).n == 113


async def test_a_complete_panel_rises_to_accepted_and_a_removal_shows(example: Example) -> None:
    store, registers = example.store, example.registers
    panel = PanelNew(
        id="p-1", name="值班室", convention="paradox", topic="c20", site="x-i09", lat=34.2, lon=117.2,
        public_side=True, zones=(ZoneNew(key="1"),),
    )  # fmt: skip
    await store.submit(lambda tx: registers.add_panel(tx, panel, "li"))
    assert (await example.target("R5-a", datetime.now(UTC))).d == 51
    await store.submit(lambda tx: registers.accept(tx, "panel:p-1", Acceptance(alarm_tested=True), "li"))
    accepted = await example.target("R5-a", datetime.now(UTC))
    assert (accepted.n, accepted.d) == (50, 52)

    await store.submit(lambda tx: registers.remove(tx, "site", "x-i09", "单位撤销", "zhao"))
    after = await example.target("R5-a", datetime.now(UTC) + timedelta(seconds=1))
    assert (after.n, after.d) == (49, 51)


async def test_a_target_that_is_not_in_the_pack(example: Example) -> None:
    with pytest.raises(NoSuchTarget):
        await example.rates.target("R99", as_of=NOW)


async def test_it_loads_in_two_seconds_and_answers_in_a_tenth(example: Example) -> None:
    assert example.load_s < 2.0
    await example.rates.coverage(as_of=NOW)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        await example.rates.coverage(as_of=NOW)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.1


async def test_the_sample_is_marked_as_an_example(example: Example) -> None:
    assert "示例" in example.file.note
    for section in ("sites", "positions", "checkpoints", "vehicles", "installations"):
        assert all(one.id.startswith("x-") for one in getattr(example.file, section))
