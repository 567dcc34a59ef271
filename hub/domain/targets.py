"""Targets as data: a pack of them, read from TOML text, with unknown keys and wrong types refused by name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from typing import Any, TypeVar

from hub.domain.register import Area, CheckpointLevel, DeviceType, Duty, Rung, SiteClass

CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai; no daylight saving since 1991."""

E = TypeVar("E", bound=StrEnum)


class PackError(ValueError):
    """A pack that can't be used: every fault, with the key it stands at."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


class Metric(StrEnum):
    """How a target is measured (REQUIREMENTS.md 2.3)."""

    INSTALLATION = "installation"
    """Formula 1: members of the population with a device of the type at the rung."""
    EXTENSION_UNITS = "extension_units"
    """Formula 2, R5 (a): units with a device that looks out on the public side, of those that have any."""
    EXTENSION_DEVICES = "extension_devices"
    """R5 (b): devices that look out, of those at positions that are required to."""
    UNMEASURED = "unmeasured"
    """Nothing built today can measure it; it stands as unknown, with `needs`."""


class Of(StrEnum):
    """What the population consists of."""

    POSITIONS = "positions"
    SITES = "sites"
    CHECKPOINTS = "checkpoints"
    VEHICLES = "vehicles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Who is counted. An empty filter lets everything through."""

    of: Of
    classes: tuple[SiteClass, ...] = ()
    areas: tuple[Area, ...] = ()
    levels: tuple[CheckpointLevel, ...] = ()
    tiers: tuple[int, ...] = ()
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One figure of the source documents."""

    id: str
    requirement: str
    """Line of REQUIREMENTS.md: `R2`."""
    title: str
    title_en: str
    document: str
    clause: str
    quote: str
    reading: str
    """The exact English reading of the quote."""
    metric: Metric
    percent: int
    """Reached when `100·n ≥ percent·d`."""
    population: Population | None
    """None where unmeasured."""
    device: DeviceType
    deadline: date | None
    """The last day; its last instant counts. None: the source gives none."""
    rung: Rung
    """The rung it is judged at unless another is asked for."""
    definition: str
    """Names the definition chosen where the source leaves one open."""
    definition_en: str
    default: bool
    """Whether this is the definition reported where there are several."""
    note: str
    note_en: str
    needs: str
    """Unmeasured: what has to be built or entered first."""
    needs_en: str

    @property
    def last_instant(self) -> datetime | None:
        """The deadline's last instant in Asia/Shanghai, as UTC."""
        return last_instant(self.deadline) if self.deadline else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The targets of one authority."""

    id: str
    name: str
    name_en: str
    documents: dict[str, str] = field(default_factory=dict)
    """Number → title of the source document."""
    note: str = ""
    note_en: str = ""
    targets: tuple[Target, ...] = ()

    def target(self, identity: str) -> Target | None:
        """A target by its id."""
        return next((one for one in self.targets if one.id == identity), None)


def last_instant(day: date) -> datetime:
    """The last microsecond of a day in Asia/Shanghai, as UTC (REQUIREMENTS.md 1.5, 4)."""
    midnight = datetime.combine(day + timedelta(days=1), time(), CHINA)
    return (midnight - timedelta(microseconds=1)).astimezone(UTC)


def parse(text: str) -> Pack:
    """A pack from TOML. Raises `PackError` with every fault."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError([str(error)]) from error
    faults: list[str] = []
    top = _Keys("", raw, faults)
    head = _Keys("pack", top.table("pack"), faults)
    targets = tuple(
        _target(_Keys(f"target[{index}]", one, faults)) for index, one in enumerate(top.tables("target"))
    )
    pack = Pack(
        id=head.text("id"),
        name=head.text("name"),
        name_en=head.text("name_en"),
        documents={key: str(title) for key, title in head.table("documents").items()},
        note=head.text("note", ""),
        note_en=head.text("note_en", ""),
        targets=targets,
    )
    head.finish()
    top.finish()
    faults.extend(_across(pack))
    if faults:
        raise PackError(faults)
    return pack


def _target(keys: _Keys) -> Target:
    metric = keys.word("metric", Metric, Metric.INSTALLATION)
    measured = metric is not Metric.UNMEASURED
    target = Target(
        id=keys.text("id"),
        requirement=keys.text("requirement"),
        title=keys.text("title"),
        title_en=keys.text("title_en"),
        document=keys.text("document"),
        clause=keys.text("clause"),
        quote=keys.text("quote"),
        reading=keys.text("reading"),
        metric=metric,
        percent=keys.percent("percent"),
        population=_population(keys) if measured else None,
        device=keys.word("device", DeviceType, DeviceType.ANY),
        deadline=keys.day("deadline"),
        rung=keys.word("rung", Rung, Rung.ACCEPTED),
        definition=keys.text("definition", ""),
        definition_en=keys.text("definition_en", ""),
        default=keys.truth("default", default=True),
        note=keys.text("note", ""),
        note_en=keys.text("note_en", ""),
        needs=keys.text("needs", "") if measured else keys.text("needs"),
        needs_en=keys.text("needs_en", "") if measured else keys.text("needs_en"),
    )
    keys.finish()
    return target


def _population(keys: _Keys) -> Population:
    inner = _Keys(f"{keys.where}.population", keys.table("population"), keys.faults)
    population = Population(
        of=inner.word("of", Of, None),
        classes=inner.words("classes", SiteClass),
        areas=inner.words("areas", Area),
        levels=inner.words("levels", CheckpointLevel),
        tiers=inner.numbers("tiers"),
        duties=inner.words("duties", Duty),
    )
    inner.finish()
    return population


def _across(pack: Pack) -> list[str]:
    """Faults that a single key doesn't show."""
    faults: list[str] = []
    seen: set[str] = set()
    for index, target in enumerate(pack.targets):
        if target.id in seen:
            faults.append(f"target[{index}].id: {target.id!r} is there twice")
        seen.add(target.id)
        if target.document and target.document not in pack.documents:
            faults.append(f"target[{index}].document: {target.document!r} isn't among pack.documents")
    return faults


class _Keys:
    """A table being read: each key is taken once, with its type; what is left over is a fault."""

    def __init__(self, where: str, raw: dict[str, Any], faults: list[str]) -> None:
        self.where = where
        self.faults = faults
        self._raw = dict(raw)
        self._known: list[str] = []

    def _take(self, key: str, kind: type | tuple[type, ...], expected: str, default: Any) -> Any:
        self._known.append(key)
        value = self._raw.pop(key, default)
        if value is None:
            self._fault(key, f"is missing; expected {expected}")
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            self._fault(key, f"is {value!r}; expected {expected}")
        else:
            return value
        return None

    def _fault(self, key: str, reason: str) -> None:
        self.faults.append(f"{self.where}.{key}: {reason}" if self.where else f"{key}: {reason}")

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._take(key, str, "text", default) or "")

    def truth(self, key: str, *, default: bool) -> bool:
        return bool(self._take(key, bool, "true or false", default))

    def percent(self, key: str) -> int:
        value = self._take(key, int, "a whole number of per cent, 1 to 100", None)
        if value is not None and not 1 <= value <= 100:
            self._fault(key, f"is {value}; expected a whole number of per cent, 1 to 100")
        return int(value or 0)

    def day(self, key: str) -> date | None:
        self._known.append(key)
        value = self._raw.pop(key, None)
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        self._fault(key, f"is {value!r}; expected a day like 2006-12-31, without quotes")
        return None

    def word(self, key: str, words: type[E], default: E | None) -> E:
        known = ", ".join(words)
        value = self._take(key, str, f"one of {known}", default)
        if value is not None and value not in set(words):
            self._fault(key, f"is {value!r}; expected one of {known}")
            value = None
        return words(value) if value is not None else next(iter(words))

    def words(self, key: str, words: type[E]) -> tuple[E, ...]:
        known = set(words)
        found = self._take(key, list, f"a list of {', '.join(words)}", [])
        for value in found or ():
            if value not in known:
                self._fault(key, f"holds {value!r}; expected {', '.join(words)}")
        return tuple(words(value) for value in found or () if value in known)

    def numbers(self, key: str) -> tuple[int, ...]:
        found = self._take(key, list, "a list of whole numbers", [])
        for value in found or ():
            if not isinstance(value, int) or isinstance(value, bool):
                self._fault(key, f"holds {value!r}; expected whole numbers")
        return tuple(value for value in found or () if isinstance(value, int))

    def table(self, key: str) -> dict[str, Any]:
        return dict(self._take(key, dict, "a table", None) or {})

    def tables(self, key: str) -> list[dict[str, Any]]:
        found = self._take(key, list, "tables, each under [[…]]", None)
        return [one for one in found or () if isinstance(one, dict)]

    def finish(self) -> None:
        """Refuses what nobody took."""
        for key in self._raw:
            self._fault(key, f"isn't known here; known are {', '.join(self._known)}")
