"""How much is covered: installation and extension rates per target, at a rung, as of an instant.

Source: REQUIREMENTS.md 2.3, formulas 1, 2 and 10, and 1.5. Integers are compared; the text of a rate is cut,
never rounded, so that 94.96 % can't be read as 95 %. Unknown counts as not covered, best case beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.domain.register import (
    RUNGS,
    Checkpoint,
    DeviceType,
    Evidence,
    Place,
    PlaceLevel,
    Position,
    Rung,
    Site,
    Vehicle,
)
from hub.domain.targets import Metric, Of, Pack, Population, Target

_DISTRICT_LEVELS = (PlaceLevel.DISTRICT, PlaceLevel.COUNTY)


class State(StrEnum):
    """How a target stands."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It can't be measured yet."""
    NOT_APPLICABLE = "not_applicable"
    """Nothing is in the population: never 100 %."""


class MemberState(StrEnum):
    """How a member of a population stands."""

    COVERED = "covered"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """Not surveyed: nobody has reported what stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device or facility with the instants at which it reached each rung."""

    source: str
    """`camera:…`, `panel:…`, `tracker:…`, `installation:…`"""
    name: str
    device_type: str
    site: str = ""
    positions: frozenset[str] = frozenset()
    checkpoint: str = ""
    vehicle: str = ""
    public_side: bool = False
    reached: Mapping[str, datetime] = field(default_factory=dict)
    """Rung → the earliest evidence for it."""
    incomplete: tuple[str, ...] = ()
    """Fields the register lacks for rung L1."""
    evidence: tuple[Evidence, ...] = ()
    until: datetime | None = None

    def rung(self, as_of: datetime) -> Rung | None:
        """The highest rung whose evidence, and that of every rung below, lies not after `as_of`."""
        highest: Rung | None = None
        for rung in RUNGS:
            at = self.reached.get(rung)
            if at is None or at > as_of:
                return highest
            highest = rung
        return highest


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that is counted, and all that covers it."""

    places: Mapping[str, Place] = field(default_factory=dict)
    sites: Mapping[str, Site] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """n of d, judged against a percentage."""

    n: int
    d: int
    unknown: int
    """Of the d, those of which nothing is known; they count as not covered."""
    rate: str
    """Cut to two decimals, `—` where d is 0."""
    best: str
    """The rate if every unknown were covered."""
    short: int
    """How many more are needed."""
    state: State
    best_state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictShare:
    """A district's or county's part of a target."""

    place: str
    name: str
    name_en: str
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of those counted."""

    id: str
    kind: str
    """`position`, `site`, `checkpoint`, `vehicle`, `device`"""
    name: str
    name_en: str
    site: str
    site_name: str
    site_name_en: str
    site_class: str
    place: str
    district: str
    district_name: str
    state: MemberState
    rung: str
    """The highest rung any fitting device has reached; empty: none."""
    missing: str
    """Why it isn't covered: `no_device`, `not_registered`, `not_accepted`, `not_public`, `not_surveyed`."""
    lacking: tuple[str, ...]
    """Fields of the register that are missing for rung L1."""
    devices: tuple[str, ...]
    """Sources of the fitting devices."""
    evidence: tuple[Evidence, ...]
    """What the best of them has to show, oldest first; also what came after the as-of instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """A target with its rate."""

    id: str
    requirement: str
    title: str
    title_en: str
    document: str
    document_name: str
    clause: str
    quote: str
    reading: str
    metric: str
    form: str
    """What is counted: `position`, `site`, `checkpoint`, `vehicle`, `device`; empty where unmeasured."""
    definition: str
    definition_en: str
    default: bool
    note: str
    note_en: str
    needs: str
    needs_en: str
    percent: int
    deadline: str
    """`2006-12-31`; empty: none given."""
    due: bool
    """Whether the deadline lies behind the as-of instant."""
    rung: str
    n: int
    d: int
    unknown: int
    rate: str
    best: str
    short: int
    state: State
    best_state: State
    other_form: str
    """The other reading's form (by unit beside by position, or the reverse); empty where there is none."""
    other: Share | None
    districts: tuple[DistrictShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDetail:
    """A target with everyone counted."""

    target: TargetResult
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """All targets of a pack."""

    pack: str
    pack_name: str
    pack_name_en: str
    rung: str
    """The rung asked for; empty: each target's own."""
    as_of: datetime
    targets: tuple[TargetResult, ...]


def reaches(n: int, d: int, percent: int) -> bool:
    """Whether n of d is at least `percent` per cent, in integers (REQUIREMENTS.md 1.5, 5)."""
    return 100 * n >= percent * d


def rate_text(n: int, d: int) -> str:
    """n of d in per cent, cut to two decimals: never rounded up over a target."""
    if d == 0:
        return "—"
    hundredths = 10_000 * n // d
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def share(n: int, d: int, unknown: int, percent: int) -> Share:
    """n of d with `unknown` of the rest not known, judged against `percent`."""
    needed = -(-percent * d // 100)
    return Share(
        n=n,
        d=d,
        unknown=unknown,
        rate=rate_text(n, d),
        best=rate_text(n + unknown, d),
        short=max(0, needed - n),
        state=_state(n, d, percent),
        best_state=_state(n + unknown, d, percent),
    )


def _state(n: int, d: int, percent: int) -> State:
    if d == 0:
        return State.NOT_APPLICABLE
    return State.PASS if reaches(n, d, percent) else State.FAIL


def coverage(
    pack: Pack,
    inventory: Inventory,
    *,
    as_of: datetime,
    rung: Rung | None = None,
    seen: Callable[[str], bool] = lambda _place: True,
) -> Coverage:
    """Every target of the pack. `seen(place)`: whether the place lies in the reader's jurisdiction."""
    view = _View(inventory, as_of, seen)
    targets = tuple(_detail(pack, target, view, rung or target.rung).target for target in pack.targets)
    return Coverage(
        pack=pack.id,
        pack_name=pack.name,
        pack_name_en=pack.name_en,
        rung=rung.value if rung else "",
        as_of=as_of,
        targets=targets,
    )


def detail(
    pack: Pack,
    target: Target,
    inventory: Inventory,
    *,
    as_of: datetime,
    rung: Rung | None = None,
    seen: Callable[[str], bool] = lambda _place: True,
) -> TargetDetail:
    """One target with its members, those not covered first."""
    return _detail(pack, target, _View(inventory, as_of, seen), rung or target.rung)


class _View:
    """The inventory as of an instant, within a jurisdiction, indexed by what a device covers."""

    def __init__(self, inventory: Inventory, as_of: datetime, seen: Callable[[str], bool]) -> None:
        self.inventory = inventory
        self.as_of = as_of
        self._seen = seen
        self._seen_places: dict[str, bool] = {}
        self._districts: dict[str, Place | None] = {}
        self.by_position: dict[str, list[Device]] = {}
        self.by_site: dict[str, list[Device]] = {}
        self.by_checkpoint: dict[str, list[Device]] = {}
        self.by_vehicle: dict[str, list[Device]] = {}
        for device in inventory.devices:
            if device.until is None or device.until > as_of:
                self._index(device)

    def _index(self, device: Device) -> None:
        for position in device.positions:
            self.by_position.setdefault(position, []).append(device)
        for key, index in (
            (device.site, self.by_site),
            (device.checkpoint, self.by_checkpoint),
            (device.vehicle, self.by_vehicle),
        ):
            if key:
                index.setdefault(key, []).append(device)

    def stands(self, since: datetime | None, until: datetime | None, place: str) -> bool:
        """Whether a member is in its register as of the instant, and in the jurisdiction."""
        if (since is not None and since > self.as_of) or (until is not None and until <= self.as_of):
            return False
        if place not in self._seen_places:
            self._seen_places[place] = self._seen(place)
        return self._seen_places[place]

    def district(self, place: str) -> Place | None:
        """The district or county above `place`, or it itself."""
        if place not in self._districts:
            self._districts[place] = self._climb(place)
        return self._districts[place]

    def _climb(self, place: str) -> Place | None:
        places = self.inventory.places
        for _ in range(len(places)):
            found = places.get(place)
            if found is None or found.level in _DISTRICT_LEVELS:
                return found
            place = found.parent
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """One of those counted, before it is judged."""

    id: str
    kind: str
    name: str
    name_en: str
    site: Site | None
    place: str
    surveyed: bool
    devices: tuple[Device, ...]


def _detail(pack: Pack, target: Target, view: _View, rung: Rung) -> TargetDetail:
    members, form = _members(target, view, rung)
    whole = _share_of(members, target.percent)
    if target.metric is Metric.UNMEASURED:
        whole = Share(
            n=0,
            d=0,
            unknown=0,
            rate="—",
            best="—",
            short=0,
            state=State.UNKNOWN,
            best_state=State.UNKNOWN,
        )
    other_form, other = _other_form(target, view, rung, members)
    due = target.last_instant is not None and view.as_of >= target.last_instant
    result = TargetResult(
        id=target.id,
        requirement=target.requirement,
        title=target.title,
        title_en=target.title_en,
        document=target.document,
        document_name=pack.documents.get(target.document, ""),
        clause=target.clause,
        quote=target.quote,
        reading=target.reading,
        metric=target.metric.value,
        form=form,
        definition=target.definition,
        definition_en=target.definition_en,
        default=target.default,
        note=target.note,
        note_en=target.note_en,
        needs=target.needs,
        needs_en=target.needs_en,
        percent=target.percent,
        deadline=target.deadline.isoformat() if target.deadline else "",
        due=due,
        rung=rung.value,
        n=whole.n,
        d=whole.d,
        unknown=whole.unknown,
        rate=whole.rate,
        best=whole.best,
        short=whole.short,
        state=whole.state,
        best_state=whole.best_state,
        other_form=other_form,
        other=other,
        districts=_districts(members, target.percent, view),
    )
    return TargetDetail(target=result, members=tuple(sorted(members, key=_worst_first)))


_ORDER = {MemberState.MISSING: 0, MemberState.UNKNOWN: 1, MemberState.COVERED: 2}


def _worst_first(member: Member) -> tuple[int, str, str]:
    return _ORDER[member.state], member.district, member.id


def _members(target: Target, view: _View, rung: Rung) -> tuple[list[Member], str]:
    population = target.population
    if population is None:
        return [], ""
    match target.metric:
        case Metric.EXTENSION_UNITS:
            return _extension_units(population, target.device, view, rung), "site"
        case Metric.EXTENSION_DEVICES:
            return _extension_devices(population, target.device, view, rung), "device"
        case _:
            subjects = _subjects(population, target.device, view)
            form = _FORMS[population.of]
            return [_judge(subject, view, rung) for subject in subjects], form


_FORMS = {Of.POSITIONS: "position", Of.SITES: "site", Of.CHECKPOINTS: "checkpoint", Of.VEHICLES: "vehicle"}


def _subjects(population: Population, device: DeviceType, view: _View) -> list[_Subject]:
    match population.of:
        case Of.POSITIONS:
            return _positions(population, device, view)
        case Of.SITES:
            return _sites(population, device, view)
        case Of.CHECKPOINTS:
            return _checkpoints(population, device, view)
        case Of.VEHICLES:
            return _vehicles(population, device, view)


def _positions(population: Population, device: DeviceType, view: _View) -> list[_Subject]:
    subjects: list[_Subject] = []
    for one in view.inventory.positions.values():
        site = view.inventory.sites.get(one.site)
        if site is None or not _counts(population, site, view):
            continue
        if view.stands(one.since, one.until, site.place):
            subject = _Subject(
                id=one.id,
                kind="position",
                name=one.name,
                name_en=one.name_en,
                site=site,
                place=site.place,
                surveyed=one.surveyed and site.surveyed,
                devices=_fitting(device, view.by_position.get(one.id, ())),
            )
            subjects.append(subject)
    return subjects


def _sites(population: Population, device: DeviceType, view: _View) -> list[_Subject]:
    return [
        _Subject(
            id=site.id,
            kind="site",
            name=site.name,
            name_en=site.name_en,
            site=site,
            place=site.place,
            surveyed=site.surveyed,
            devices=_fitting(device, view.by_site.get(site.id, ())),
        )
        for site in view.inventory.sites.values()
        if _counts(population, site, view)
    ]


def _checkpoints(population: Population, device: DeviceType, view: _View) -> list[_Subject]:
    return [
        _Subject(
            id=one.id,
            kind="checkpoint",
            name=one.name,
            name_en=one.name_en,
            site=view.inventory.sites.get(one.site),
            place=one.place,
            surveyed=one.surveyed,
            devices=_fitting(device, view.by_checkpoint.get(one.id, ())),
        )
        for one in view.inventory.checkpoints.values()
        if _allowed(population.levels, one.level)
        and _allowed(population.tiers, one.tier)
        and view.stands(one.since, one.until, one.place)
    ]


def _vehicles(population: Population, device: DeviceType, view: _View) -> list[_Subject]:
    subjects: list[_Subject] = []
    for one in view.inventory.vehicles.values():
        checkpoint = view.inventory.checkpoints.get(one.checkpoint)
        fits = (
            _allowed(population.duties, one.duty)
            and _allowed(population.areas, one.area)
            and _allowed(population.tiers, checkpoint.tier if checkpoint else None)
            and _allowed(population.levels, checkpoint.level if checkpoint else None)
        )
        if fits and view.stands(one.since, one.until, one.place):
            subject = _Subject(
                id=one.id,
                kind="vehicle",
                name=one.name,
                name_en=one.name_en,
                site=None,
                place=one.place,
                surveyed=one.surveyed,
                devices=_fitting(device, view.by_vehicle.get(one.id, ())),
            )
            subjects.append(subject)
    return subjects


def _counts(population: Population, site: Site, view: _View) -> bool:
    return (
        _allowed(population.classes, site.site_class)
        and _allowed(population.areas, site.area)
        and view.stands(site.since, site.until, site.place)
    )


def _allowed(filters: tuple[object, ...], value: object) -> bool:
    return not filters or value in filters


def _fitting(wanted: DeviceType, devices: Iterable[Device]) -> tuple[Device, ...]:
    return tuple(one for one in devices if wanted is DeviceType.ANY or one.device_type == wanted)


def _level(rung: Rung | None) -> int:
    return -1 if rung is None else RUNGS.index(rung)


def _best(devices: Iterable[Device], as_of: datetime) -> tuple[Rung | None, Device | None]:
    """The highest rung among devices, and a device that has it."""
    best: Rung | None = None
    holder: Device | None = None
    for device in devices:
        rung = device.rung(as_of)
        if holder is None or _level(rung) > _level(best):
            best, holder = rung, device
    return best, holder


def _judge(subject: _Subject, view: _View, rung: Rung) -> Member:
    """Covered where a fitting device has the rung; else missing, or unknown where nobody surveyed it."""
    best, holder = _best(subject.devices, view.as_of)
    if _level(best) >= _level(rung):
        return _member(subject, view, MemberState.COVERED, best, "", holder)
    missing = "no_device" if best is None else _next_missing(best)
    if not subject.surveyed:
        return _member(subject, view, MemberState.UNKNOWN, best, "not_surveyed", holder)
    return _member(subject, view, MemberState.MISSING, best, missing, holder)


def _next_missing(best: Rung) -> str:
    return "not_registered" if best is Rung.DECLARED else "not_accepted"


def _member(
    subject: _Subject,
    view: _View,
    state: MemberState,
    best: Rung | None,
    missing: str,
    holder: Device | None,
) -> Member:
    district = view.district(subject.place)
    site = subject.site
    return Member(
        id=subject.id,
        kind=subject.kind,
        name=subject.name,
        name_en=subject.name_en,
        site=site.id if site else "",
        site_name=site.name if site else "",
        site_name_en=site.name_en if site else "",
        site_class=site.site_class if site else "",
        place=subject.place,
        district=district.id if district else "",
        district_name=district.name if district else "",
        state=state,
        rung=best.value if best else "",
        missing=missing,
        lacking=holder.incomplete if holder and missing == "not_registered" else (),
        devices=tuple(one.source for one in subject.devices),
        evidence=holder.evidence if holder else (),
    )


def _extension_units(population: Population, device: DeviceType, view: _View, rung: Rung) -> list[Member]:
    """R5 (a): of the units that have tech defence at the rung, those with a device that looks out."""
    members: list[Member] = []
    for subject in _sites(population, device, view):
        standing = [one for one in subject.devices if _level(one.rung(view.as_of)) >= _level(rung)]
        if not standing:
            continue
        best, holder = _best([one for one in standing if one.public_side] or standing, view.as_of)
        if any(one.public_side for one in standing):
            members.append(_member(subject, view, MemberState.COVERED, best, "", holder))
        elif subject.surveyed:
            members.append(_member(subject, view, MemberState.MISSING, best, "not_public", holder))
        else:
            members.append(_member(subject, view, MemberState.UNKNOWN, best, "not_surveyed", holder))
    return members


def _extension_devices(population: Population, device: DeviceType, view: _View, rung: Rung) -> list[Member]:
    """R5 (b): of the devices at positions required to look out, those that do."""
    members: list[Member] = []
    counted: set[str] = set()
    for at in _positions(population, device, view):
        if not view.inventory.positions[at.id].street_front:
            continue
        for one in at.devices:
            reached = one.rung(view.as_of)
            if _level(reached) < _level(rung) or one.source in counted:
                continue
            counted.add(one.source)
            subject = _Subject(
                id=one.source,
                kind="device",
                name=one.name,
                name_en="",
                site=at.site,
                place=at.place,
                surveyed=True,
                devices=(one,),
            )
            state, missing = (
                (MemberState.COVERED, "") if one.public_side else (MemberState.MISSING, "not_public")
            )
            members.append(_member(subject, view, state, reached, missing, one))
    return members


def _share_of(members: Iterable[Member], percent: int) -> Share:
    states = [member.state for member in members]
    covered, unknown = states.count(MemberState.COVERED), states.count(MemberState.UNKNOWN)
    return share(covered, len(states), unknown, percent)


def _districts(members: Iterable[Member], percent: int, view: _View) -> tuple[DistrictShare, ...]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.district, []).append(member)
    rows: list[DistrictShare] = []
    for place, of_district in sorted(groups.items()):
        known = view.inventory.places.get(place)
        row = DistrictShare(
            place=place,
            name=known.name if known else "",
            name_en=known.name_en if known else "",
            share=_share_of(of_district, percent),
        )
        rows.append(row)
    return tuple(rows)


def _other_form(target: Target, view: _View, rung: Rung, members: list[Member]) -> tuple[str, Share | None]:
    """By unit beside by position, and the reverse (REQUIREMENTS.md 1.5, 1)."""
    population = target.population
    if population is None or target.metric is not Metric.INSTALLATION:
        return "", None
    if population.of is Of.POSITIONS:
        return "site", _units_wholly_covered(members, target.percent)
    if population.of is Of.SITES:
        positions = _positions(population, target.device, view)
        judged = [_judge(subject, view, rung) for subject in positions]
        return ("position", _share_of(judged, target.percent)) if judged else ("", None)
    return "", None


def _units_wholly_covered(positions: Iterable[Member], percent: int) -> Share:
    """A unit is covered iff all its positions are; unknown iff none is missing but some are unknown."""
    units: dict[str, set[MemberState]] = {}
    for member in positions:
        units.setdefault(member.site, set()).add(member.state)
    covered = sum(states == {MemberState.COVERED} for states in units.values())
    unknown = sum(
        MemberState.MISSING not in states and MemberState.UNKNOWN in states for states in units.values()
    )
    return share(covered, len(units), unknown, percent)
