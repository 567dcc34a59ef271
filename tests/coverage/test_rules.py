"""Rates by hand and by property: integers compared, text cut, unknown against you, nothing is never all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.coverage import (
    Device,
    Inventory,
    Member,
    MemberState,
    State,
    TargetDetail,
    detail,
    rate_text,
    reaches,
    share,
)
from hub.domain.register import Checkpoint, DeviceType, Place, Position, Rung, Site, Vehicle
from hub.domain.targets import Metric, Of, Pack, Population, Target, last_instant

NOW = datetime(2008, 1, 10, tzinfo=UTC)
EARLY = datetime(2006, 6, 1, tzinfo=UTC)
steady = settings(deadline=None, derandomize=True)
"""The same cases each time, however busy the machine is."""


@pytest.mark.parametrize(
    ("n", "d", "percent", "text", "state"),
    [
        (113, 119, 95, "94.95%", State.FAIL),
        (4748, 5000, 95, "94.96%", State.FAIL),
        (19, 20, 95, "95.00%", State.PASS),
        (949_999, 1_000_000, 95, "94.99%", State.FAIL),
        (950_000, 1_000_000, 95, "95.00%", State.PASS),
        (999_999, 1_000_000, 100, "99.99%", State.FAIL),
        (2, 3, 66, "66.66%", State.PASS),
        (2, 3, 67, "66.66%", State.FAIL),
        (0, 7, 80, "0.00%", State.FAIL),
        (7, 7, 100, "100.00%", State.PASS),
        (0, 0, 100, "—", State.NOT_APPLICABLE),
    ],
)
def test_shares_by_hand(n: int, d: int, percent: int, text: str, state: State) -> None:
    result = share(n, d, 0, percent)
    assert (result.rate, result.state) == (text, state)


def test_unknown_counts_against_and_the_best_case_stands_beside() -> None:
    result = share(28, 30, 2, 100)
    assert (result.rate, result.state) == ("93.33%", State.FAIL)
    assert (result.best, result.best_state) == ("100.00%", State.PASS)
    assert result.short == 2


counts = st.integers(0, 10_000).flatmap(
    lambda d: st.integers(0, d).flatmap(lambda n: st.integers(0, d - n).map(lambda unknown: (n, d, unknown)))
)


@steady
@given(counts, st.integers(1, 100))
def test_the_text_never_reads_better_than_the_verdict(counted: tuple[int, int, int], percent: int) -> None:
    n, d, unknown = counted
    result = share(n, d, unknown, percent)
    if result.state is State.FAIL:
        assert float(result.rate.rstrip("%")) < percent
    if result.state is State.PASS:
        assert float(result.rate.rstrip("%")) >= percent


@steady
@given(counts, st.integers(1, 100))
def test_more_is_never_less_and_the_best_is_never_worse(counted: tuple[int, int, int], percent: int) -> None:
    n, d, unknown = counted
    result = share(n, d, unknown, percent)
    assert 0 <= result.n <= result.n + result.unknown <= result.d
    assert result.n + result.short >= result.n
    if d:
        assert reaches(n + result.short, d, percent)
        assert result.short == 0 or not reaches(n + result.short - 1, d, percent)
        assert not (result.state is State.PASS and result.best_state is State.FAIL)
        if n < d:
            more = share(n + 1, d, 0, percent)
            assert not (result.state is State.PASS and more.state is State.FAIL)
    else:
        assert result.state is State.NOT_APPLICABLE


@steady
@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_the_text_is_cut_to_two_decimals(n: int, d: int) -> None:
    whole, _, decimals = rate_text(n, d).rstrip("%").partition(".")
    assert len(decimals) == 2
    hundredths = int(whole) * 100 + int(decimals)
    assert hundredths * d <= 10_000 * n < (hundredths + 1) * d


def target(of: Of = Of.POSITIONS, **more: Any) -> Target:
    """A target over municipal key units unless told otherwise."""
    population = more.pop("population", Population(of=of))
    defaults: dict[str, Any] = {
        "id": "T", "requirement": "R0", "title": "", "title_en": "", "document": "", "clause": "",
        "quote": "", "reading": "", "metric": Metric.INSTALLATION, "percent": 100,
        "population": population, "device": DeviceType.CCTV, "deadline": date(2007, 12, 31),
        "rung": Rung.ACCEPTED, "definition": "", "definition_en": "", "default": True, "note": "",
        "note_en": "", "needs": "", "needs_en": "",
    }  # fmt: skip
    return Target(**{**defaults, **more})


PLACES = {
    one.id: one
    for one in (
        Place(id="xz", name="徐州", name_en="", level="city"),
        Place(id="a", name="甲区", name_en="A", level="district", parent="xz"),
        Place(id="a1", name="甲一街道", name_en="", level="town", parent="a"),
        Place(id="b", name="乙县", name_en="B", level="county", parent="xz"),
    )
}


def site(identity: str, place: str = "a1", **more: Any) -> Site:
    defaults: dict[str, Any] = {"site_class": "municipal_key", "area": "urban", "lat": None, "lon": None}
    return Site(id=identity, name=identity, name_en="", place=place, **{**defaults, **more})


def position(identity: str, of: str, **more: Any) -> Position:
    return Position(id=identity, site=of, name=identity, name_en="", **more)


def device(source: str, rung: Rung | None = Rung.ACCEPTED, at: datetime = EARLY, **more: Any) -> Device:
    reached: dict[str, datetime] = {}
    for one in Rung:
        if rung is None:
            break
        reached[one] = at
        if one is rung:
            break
    defaults: dict[str, Any] = {"device_type": "cctv", "reached": reached}
    return Device(source=source, name=source, **{**defaults, **more})


def inventory(*things: Site | Position | Device | Checkpoint | Vehicle) -> Inventory:
    return Inventory(
        places=PLACES,
        sites={one.id: one for one in things if isinstance(one, Site)},
        positions={one.id: one for one in things if isinstance(one, Position)},
        checkpoints={one.id: one for one in things if isinstance(one, Checkpoint)},
        vehicles={one.id: one for one in things if isinstance(one, Vehicle)},
        devices=tuple(one for one in things if isinstance(one, Device)),
    )


def measured(what: Target, held: Inventory, **more: Any) -> TargetDetail:
    return detail(Pack(id="p", name="", name_en=""), what, held, **{"as_of": NOW, **more})


def by_id(result: TargetDetail) -> dict[str, Member]:
    return {member.id: member for member in result.members}


def at(*positions: str) -> frozenset[str]:
    return frozenset(positions)


def test_a_position_is_covered_by_a_fitting_device_at_the_rung() -> None:
    held = inventory(
        site("s"),
        *(position(name, "s") for name in ("covered", "bare", "declared", "registered", "wrong-type")),
        device("c1", positions=at("covered")),
        device("c2", Rung.DECLARED, positions=at("declared"), incomplete=("bearing_deg",)),
        device("c3", Rung.REGISTERED, positions=at("registered")),
        device("p1", device_type="alarm", positions=at("wrong-type")),
    )
    members = by_id(measured(target(), held))
    assert {name: (one.state, one.missing) for name, one in members.items()} == {
        "covered": (MemberState.COVERED, ""),
        "bare": (MemberState.MISSING, "no_device"),
        "declared": (MemberState.MISSING, "not_registered"),
        "registered": (MemberState.MISSING, "not_accepted"),
        "wrong-type": (MemberState.MISSING, "no_device"),
    }
    assert members["declared"].lacking == ("bearing_deg",)
    assert [measured(target(), held, rung=rung).target.n for rung in Rung] == [3, 2, 1]


def test_the_best_of_several_devices_counts() -> None:
    held = inventory(
        site("s"),
        position("p", "s"),
        device("c1", Rung.DECLARED, positions=at("p")),
        device("c2", positions=at("p")),
    )
    member = measured(target(), held).members[0]
    assert (member.state, member.devices) == (MemberState.COVERED, ("c1", "c2"))


def test_a_rung_without_those_below_it_does_not_stand() -> None:
    held = inventory(
        site("s"),
        position("p", "s"),
        device("c1", positions=at("p"), reached={Rung.DECLARED: EARLY, Rung.ACCEPTED: EARLY}),
    )
    member = measured(target(), held).members[0]
    assert (member.state, member.rung, member.missing) == (MemberState.MISSING, "declared", "not_registered")


def test_the_last_instant_of_the_deadline_counts_and_the_next_does_not() -> None:
    deadline = last_instant(date(2006, 12, 31))
    assert deadline == datetime(2006, 12, 31, 15, 59, 59, 999_999, tzinfo=UTC)
    held = inventory(
        site("s"),
        position("in-time", "s"),
        position("too-late", "s"),
        device("c1", at=deadline, positions=at("in-time")),
        device("c2", at=deadline + timedelta(microseconds=1), positions=at("too-late")),
    )
    result = measured(target(deadline=date(2006, 12, 31)), held, as_of=deadline)
    assert (result.target.n, result.target.d, result.target.due) == (1, 2, True)
    before = measured(target(deadline=date(2006, 12, 31)), held, as_of=deadline - timedelta(microseconds=1))
    assert (before.target.n, before.target.due) == (0, False)


def test_by_position_and_by_unit() -> None:
    held = inventory(
        site("whole"),
        site("half"),
        site("open"),
        site("without-positions"),
        *(position(name, "whole") for name in ("w1", "w2")),
        *(position(name, "half") for name in ("h1", "h2")),
        position("o1", "open", surveyed=False),
        device("c", positions=at("w1", "w2", "h1")),
    )
    result = measured(target(), held).target
    assert (result.form, result.n, result.d, result.unknown) == ("position", 3, 5, 1)
    assert result.other_form == "site"
    assert result.other is not None
    assert (result.other.n, result.other.d, result.other.unknown) == (1, 3, 1)

    units = measured(target(Of.SITES), held).target
    assert (units.form, units.d, units.other_form) == ("site", 4, "position")
    assert units.other is not None
    assert (units.other.n, units.other.d) == (3, 5)


def test_an_unsurveyed_site_that_is_proved_is_covered() -> None:
    held = inventory(site("s", surveyed=False), site("t", surveyed=False), device("c", site="s"))
    result = measured(target(Of.SITES), held)
    assert {name: one.state for name, one in by_id(result).items()} == {
        "s": MemberState.COVERED,
        "t": MemberState.UNKNOWN,
    }
    assert (result.target.rate, result.target.best) == ("50.00%", "100.00%")


def test_membership_begins_and_ends() -> None:
    held = inventory(
        site("always"),
        site("later", since=NOW + timedelta(days=1)),
        site("now", since=NOW),
        site("gone", until=NOW),
        site("leaves-tomorrow", until=NOW + timedelta(days=1)),
    )
    assert set(by_id(measured(target(Of.SITES), held))) == {"always", "now", "leaves-tomorrow"}


def test_a_removed_device_covered_until_it_was_removed() -> None:
    held = inventory(site("s"), device("c", site="s", until=NOW))
    assert measured(target(Of.SITES), held).target.n == 0
    assert measured(target(Of.SITES), held, as_of=NOW - timedelta(days=1)).target.n == 1


def test_nothing_to_count_is_not_applicable() -> None:
    result = measured(target(Of.SITES, population=Population(of=Of.SITES, tiers=())), inventory()).target
    assert (result.state, result.rate, result.d) == (State.NOT_APPLICABLE, "—", 0)
    assert result.districts == ()


def test_what_is_not_measured_is_unknown_and_has_no_figure() -> None:
    unmeasured = target(metric=Metric.UNMEASURED, population=None, needs="x", needs_en="x")
    result = measured(unmeasured, inventory(site("s"), device("c", site="s"))).target
    assert (result.state, result.rate, result.n, result.d) == (State.UNKNOWN, "—", 0, 0)


def test_populations_are_filtered() -> None:
    held = inventory(
        site("town-school", site_class="campus", area="town"),
        site("village-school", site_class="campus", area="village"),
        site("market", site_class="market"),
    )
    from hub.domain.register import Area, SiteClass

    population = Population(of=Of.SITES, classes=(SiteClass.CAMPUS,), areas=(Area.URBAN, Area.TOWN))
    assert set(by_id(measured(target(population=population), held))) == {"town-school"}


def test_checkpoints_by_level_and_vehicles_by_the_tier_of_their_checkpoint() -> None:
    from hub.domain.register import CheckpointLevel, Duty

    def checkpoint(identity: str, level: str, tier: int | None) -> Checkpoint:
        return Checkpoint(
            id=identity, name="", name_en="", level=level, tier=tier, site="s", place="b", lat=None, lon=None
        )

    def vehicle(identity: str, duty: str, of: str = "") -> Vehicle:
        return Vehicle(
            id=identity, name="", name_en="", place="a", area="urban", duty=duty, checkpoint=of
        )  # fmt: skip

    held = inventory(
        checkpoint("k1", "city", 2),
        checkpoint("k2", "township", None),
        vehicle("v1", "checkpoint", "k1"),
        vehicle("v2", "checkpoint", "k2"),
        vehicle("v3", "patrol_110"),
        device("c", checkpoint="k1"),
        device("t", device_type="terminal", vehicle="v1"),
    )
    levels = Population(of=Of.CHECKPOINTS, levels=(CheckpointLevel.CITY,))
    assert {name: one.state for name, one in by_id(measured(target(population=levels), held)).items()} == {
        "k1": MemberState.COVERED
    }
    second = Population(of=Of.VEHICLES, duties=(Duty.CHECKPOINT,), tiers=(2,))
    result = measured(target(population=second, device=DeviceType.TERMINAL), held)
    assert {name: one.state for name, one in by_id(result).items()} == {"v1": MemberState.COVERED}


def test_extension_counts_units_that_have_tech_defence() -> None:
    held = inventory(
        site("out"),
        site("in"),
        site("nothing"),
        site("only-declared"),
        device("c1", site="out", public_side=True),
        device("c2", site="in"),
        device("c3", Rung.DECLARED, site="only-declared", public_side=True),
    )
    units = target(Of.SITES, metric=Metric.EXTENSION_UNITS, device=DeviceType.ANY, percent=95)
    result = measured(units, held)
    assert {name: (one.state, one.missing) for name, one in by_id(result).items()} == {
        "out": (MemberState.COVERED, ""),
        "in": (MemberState.MISSING, "not_public"),
    }
    assert measured(units, held, rung=Rung.DECLARED).target.d == 3


def test_extension_by_device_counts_each_device_once() -> None:
    held = inventory(
        site("s"),
        position("p1", "s", street_front=True),
        position("p2", "s", street_front=True),
        position("yard", "s"),
        device("c1", positions=at("p1", "p2"), public_side=True),
        device("c2", positions=at("p2")),
        device("c3", positions=at("yard"), public_side=True),
    )
    result = measured(target(metric=Metric.EXTENSION_DEVICES, percent=50), held).target
    assert (result.n, result.d, result.form, result.state) == (1, 2, "device", State.PASS)


def test_districts_add_up_and_a_jurisdiction_sees_its_own() -> None:
    held = inventory(site("s1"), site("s2", place="a"), site("s3", place="b"), device("c", site="s1"))
    result = measured(target(Of.SITES), held).target
    rows = {row.name: (row.share.n, row.share.d) for row in result.districts}
    assert rows == {"甲区": (1, 2), "乙县": (0, 1)}
    own = measured(target(Of.SITES), held, seen=lambda place: place == "b")
    assert [member.id for member in own.members] == ["s3"]


rungs = st.sampled_from([None, *Rung])


@steady
@given(st.lists(st.tuples(rungs, st.booleans(), st.integers(-400, 400)), max_size=30))
def test_each_rung_includes_the_one_above_and_time_only_adds(
    drawn: list[tuple[Rung | None, bool, int]],
) -> None:
    things: list[Site | Device] = []
    for index, (rung, surveyed, days) in enumerate(drawn):
        things.append(site(f"s{index}", surveyed=surveyed))
        things.append(device(f"c{index}", rung, NOW + timedelta(days=days), site=f"s{index}"))
    held = inventory(*things)
    sites = target(Of.SITES, percent=95)
    found = [measured(sites, held, rung=rung).target for rung in Rung]
    declared, registered, accepted = (one.n for one in found)
    assert declared >= registered >= accepted
    later = measured(sites, held, as_of=NOW + timedelta(days=30)).target
    assert later.n >= accepted
    assert later.d == len(drawn)
    for one in found:
        assert one.n + one.unknown <= one.d
