"""What happens when: scripted stories from a file, random life from a seed; both give acts."""

from __future__ import annotations

import heapq
import itertools
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.district import District, Panel

MARKET_NIGHT = Path(__file__).parent / "stories" / "market-night.toml"

_VERBS: Mapping[str, frozenset[str]] = {
    "panel": frozenset({"arm", "disarm", "zone", "tamper", "mains", "battery", "cut"}),
    "camera": frozenset({"cover", "freeze", "cut"}),
    "tracker": frozenset({"cut"}),
}
_LASTING = frozenset({"zone", "tamper", "mains", "battery", "cut", "cover", "freeze"})
_ARM_STATES = ("armed_away", "armed_home", "armed_night")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done to a device, at a second after everything listens."""

    at_s: float
    device: str
    """`panel:p-01`, `camera:c-02`, `tracker:u-0121`."""
    do: str
    """`arm`, `disarm`, `zone`, `tamper`, `mains`, `battery`, `cut`, `cover`, `freeze`."""
    zone: str = ""
    active: bool = True
    """False: the lasting kind ends."""
    state: str = ""
    """Of `arm`."""
    story: str = ""


class StoryError(ValueError):
    """A story that can't be told: names the step, the key and the reason."""


@dataclass(frozen=True, slots=True)
class Story:
    """A script, told once or again and again."""

    id: str
    repeat_s: float | None
    acts: tuple[Act, ...]
    """Of one telling, in order of time."""

    def devices(self) -> frozenset[str]:
        """Whom it touches; random life leaves them alone."""
        return frozenset(act.device for act in self.acts)

    def told(self) -> Iterator[Act]:
        """All acts in order, without end where it repeats."""
        for round_number in itertools.count():
            for act in self.acts:
                start_s = round_number * (self.repeat_s or 0)
                yield Act(act.at_s + start_s, act.device, act.do, act.zone, act.active, act.state, act.story)
            if self.repeat_s is None:
                return


def read_story(path: Path, district: District) -> Story:
    """Reads a TOML story for `district` (the whole one). Raises `StoryError`."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StoryError(f"{path}: {error}") from error
    _refuse_unknown("story", data, {"id", "name", "name_en", "repeat_s", "step"})
    identity = data.get("id")
    if not isinstance(identity, str) or not identity:
        raise StoryError("id: is needed")
    steps = data.get("step")
    if not isinstance(steps, list) or not steps:
        raise StoryError("step: at least one [[step]] is needed")
    acts = [act for i, step in enumerate(steps, 1) for act in _acts(f"step {i}", step, identity, district)]
    acts.sort(key=lambda act: act.at_s)
    repeat_s = data.get("repeat_s")
    if repeat_s is not None and not (isinstance(repeat_s, int | float) and repeat_s > acts[-1].at_s):
        raise StoryError(f"repeat_s: must be longer than the last act, {acts[-1].at_s:g} s")
    return Story(identity, repeat_s, tuple(acts))


def _acts(where: str, step: Mapping[str, Any], story: str, district: District) -> Iterator[Act]:
    _refuse_unknown(where, step, {"at", "device", "do", "zone", "state", "for"})
    device, do = str(step.get("device", "")), str(step.get("do", ""))
    if device not in district.devices():
        raise StoryError(f"{where}: device: no {device!r} in the district")
    kind = device.partition(":")[0]
    if do not in _VERBS[kind]:
        raise StoryError(f"{where}: do: {do!r} is none of {', '.join(sorted(_VERBS[kind]))}")
    at_s, lasts_s = _seconds(where, step, "at"), _seconds(where, step, "for")
    if at_s is None:
        raise StoryError(f"{where}: at: is needed, in seconds")
    zone, state = str(step.get("zone", "")), str(step.get("state", "armed_away"))
    if do == "zone" and zone not in _zones(device, district):
        raise StoryError(f"{where}: zone: {device} has no {zone!r}")
    if do == "arm" and state not in _ARM_STATES:
        raise StoryError(f"{where}: state: {state!r} is none of {', '.join(_ARM_STATES)}")
    yield Act(at_s, device, do, zone, state=state if do == "arm" else "", story=story)
    if lasts_s is not None:
        if do not in _LASTING:
            raise StoryError(f"{where}: for: {do} doesn't last")
        yield Act(at_s + lasts_s, device, do, zone, active=False, story=story)


def _refuse_unknown(where: str, data: Mapping[str, Any], known: set[str]) -> None:
    for key in data:
        if key not in known:
            raise StoryError(f"{where}: {key}: is not known; known are {', '.join(sorted(known))}")


def _seconds(where: str, step: Mapping[str, Any], key: str) -> float | None:
    value = step.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise StoryError(f"{where}: {key}: is a number of seconds")
    return float(value)


def _zones(device: str, district: District) -> list[str]:
    return [zone.key for p in district.panels if f"panel:{p.id}" == device for zone in p.zones]


@dataclass(frozen=True, slots=True)
class Pace:
    """Mean seconds between events of random life over the whole district, at rate 1."""

    trip_s: float = 6.0
    """Someone walks through a disarmed zone: a change of state, and no alarm."""
    arming_s: float = 40.0
    mains_s: float = 260.0
    battery_s: float = 1500.0
    false_alarm_s: float = 700.0
    tamper_s: float = 1500.0
    quiet_s: float = 150.0
    """No false alarm, tamper or fault before this."""


def life(
    panels: Sequence[Panel], seed: int, *, begin_s: float, rate: float = 1.0, pace: Pace | None = None
) -> Iterator[Act]:
    """Random life at `panels` from second `begin_s` on, in order of time, without end. Seeded."""
    if not panels or rate <= 0:
        return iter(())
    return _Life(panels, random.Random(f"{seed}:life"), begin_s, rate, pace or Pace()).acts()


class _Life:
    """Keeps in mind what it has begun, so that it never opens what is open."""

    def __init__(
        self, panels: Sequence[Panel], rng: random.Random, begin_s: float, rate: float, pace: Pace
    ) -> None:
        self._panels = panels
        self._rng = rng
        self._pace = pace
        self._begin_s = begin_s
        self._armed = {panel.id: panel.begins_armed for panel in panels}
        self._busy_until: dict[tuple[str, str], float] = {}
        self._due: list[tuple[float, int, Act]] = []
        self._count = itertools.count()
        self._weights = [
            (rate / mean_s, make)
            for mean_s, make in (
                (pace.trip_s, self._trip),
                (pace.arming_s, self._arming),
                (pace.mains_s, self._mains),
                (pace.battery_s, self._battery),
                (pace.false_alarm_s, self._false_alarm),
                (pace.tamper_s, self._tamper),
            )
        ]

    def acts(self) -> Iterator[Act]:
        now_s = self._begin_s
        total = sum(weight for weight, _ in self._weights)
        while True:
            now_s += self._rng.expovariate(total)
            while self._due and self._due[0][0] <= now_s:
                yield heapq.heappop(self._due)[2]
            make = self._rng.choices(
                [one for _, one in self._weights], [weight for weight, _ in self._weights]
            )[0]
            make(now_s)

    def _plan(self, act: Act) -> None:
        heapq.heappush(self._due, (act.at_s, next(self._count), act))

    def _span(self, now_s: float, panel: Panel, do: str, lasts_s: float, zone: str = "") -> None:
        """Begins something at a point that is free, and its end."""
        if self._busy_until.get((panel.id, do + zone), -1.0) > now_s:
            return
        self._busy_until[panel.id, do + zone] = now_s + lasts_s
        device = f"panel:{panel.id}"
        self._plan(Act(now_s, device, do, zone))
        self._plan(Act(now_s + lasts_s, device, do, zone, active=False))

    def _pick(self, *, armed: bool) -> Panel | None:
        fitting = [panel for panel in self._panels if self._armed[panel.id] is armed]
        return self._rng.choice(fitting) if fitting else None

    def _guarded_zone(self, panel: Panel) -> str:
        return self._rng.choice([zone.key for zone in panel.zones if not zone.always])

    def _free(self, now_s: float, panel: Panel) -> bool:
        return all(until <= now_s for (one, _), until in self._busy_until.items() if one == panel.id)

    def _trip(self, now_s: float) -> None:
        panel = self._pick(armed=False)
        if panel is not None:
            self._span(now_s, panel, "zone", self._rng.uniform(2, 12), self._guarded_zone(panel))

    def _arming(self, now_s: float) -> None:
        panel = self._rng.choice(self._panels)
        # Nobody arms with a door open, nor disarms in the middle of a false alarm.
        if not self._free(now_s, panel):
            return
        armed = self._armed[panel.id] = not self._armed[panel.id]
        do, state = ("arm", "armed_away") if armed else ("disarm", "")
        self._plan(Act(now_s, f"panel:{panel.id}", do, state=state))

    def _mains(self, now_s: float) -> None:
        if now_s >= self._begin_s + self._pace.quiet_s:
            self._span(now_s, self._rng.choice(self._panels), "mains", self._rng.uniform(40, 120))

    def _battery(self, now_s: float) -> None:
        if now_s >= self._begin_s + self._pace.quiet_s:
            self._span(now_s, self._rng.choice(self._panels), "battery", self._rng.uniform(120, 400))

    def _tamper(self, now_s: float) -> None:
        if now_s >= self._begin_s + self._pace.quiet_s:
            self._span(now_s, self._rng.choice(self._panels), "tamper", self._rng.uniform(10, 40))

    def _false_alarm(self, now_s: float) -> None:
        """A cat, a draught: an armed zone trips, and someone with a code comes to disarm and arm again."""
        panel = self._pick(armed=True)
        if panel is None or now_s < self._begin_s + self._pace.quiet_s or not self._free(now_s, panel):
            return
        open_s, until_code_s = self._rng.uniform(3, 10), self._rng.uniform(45, 90)
        device, zone = f"panel:{panel.id}", self._guarded_zone(panel)
        self._span(now_s, panel, "zone", open_s, zone)
        again_s = now_s + until_code_s + 20
        self._busy_until[panel.id, "false alarm"] = again_s
        self._plan(Act(now_s + until_code_s, device, "disarm"))
        self._plan(Act(again_s, device, "arm", state="armed_away"))


def together(*streams: Iterator[Act]) -> Iterator[Act]:
    """Several streams of acts as one, in order of time."""
    return heapq.merge(*streams, key=lambda act: act.at_s)
