"""Paradox Alarm Interface's convention: `{base}/states/{zones,partitions,system}/<label>/<property>`.

Payloads are `True`/`False` or `1`/`0`; PAI keeps (retains) states and replaces spaces in labels by `_`.
Source: ParadoxAlarmInterface/pai wiki, "MQTT Interface"; property names of its panel status messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from adapters.alarm.convention import CannotOrder, Convention, Outcome, Publication, Statement, condition_of
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from wire.observations import Arming, ArmState, Body, Condition, Heartbeat, Link, PointState
from wire.work import Panel, Zone

K = TypeVar("K")

SHAPES = ("states/zones/+/+", "states/partitions/+/+", "states/system/+/+", "interface/availability")
_TOPIC = re.compile(
    r"(?P<base>.+?)/(?:states/(?P<kind>zones|partitions|system)/(?P<label>[^/]+)/(?P<property>[^/]+)"
    r"|interface/availability)"
)

ZONE_TROUBLES: Mapping[str, Condition] = {
    "tamper": Condition.TAMPER,
    "fire": Condition.FIRE,
    "low_battery_trouble": Condition.BATTERY_LOW,
    "supervision_trouble": Condition.DEVICE_FAULT,
}
PARTITION_ALARMS: Mapping[str, Condition] = {
    "alarm": Condition.INTRUSION,
    "audible_alarm": Condition.INTRUSION,
    "silent_alarm": Condition.INTRUSION,
    "fire_alarm": Condition.FIRE,
    "panic_alarm": Condition.HOLD_UP,
}
CURRENT_STATES: Mapping[str, ArmState] = {state.value: state for state in ArmState}
ARM_FLAGS: Mapping[str, ArmState] = {
    "arm_sleep": ArmState.ARMED_NIGHT,
    "arm_stay": ArmState.ARMED_HOME,
    "arm_away": ArmState.ARMED_AWAY,
    "arm": ArmState.ARMED_AWAY,
}
"""For versions that publish no `current_state`; the first that is set tells."""
SYSTEM_TROUBLES: tuple[tuple[re.Pattern[str], Condition], ...] = (
    (re.compile(r"(.*_)?(ac|mains|power)(_.*)?"), Condition.MAINS_FAULT),
    (re.compile(r".*battery.*"), Condition.BATTERY_LOW),
    (re.compile(r".*tamper.*"), Condition.TAMPER),
    (re.compile(r".*"), Condition.DEVICE_FAULT),
)
ORDERS: Mapping[str, str] = {
    ArmState.DISARMED: "disarm",
    ArmState.ARMED_AWAY: "arm",
    ArmState.ARMED_HOME: "arm_stay",
    ArmState.ARMED_NIGHT: "arm_sleep",
}
MAX_LABELS = 20_000


class Paradox(Convention):
    """All panels that speak it; an unregistered one goes by its base topic."""

    name = "paradox"

    def __init__(self) -> None:
        self._panels: dict[str, Panel] = {}
        self._taken_ids: frozenset[str] = frozenset()
        self._open: dict[tuple[str, str], bool] = {}
        self._flags: dict[tuple[str, str], dict[str, bool]] = {}
        self._stated: dict[str, bool] = {}
        self._troubles: dict[tuple[str, str, Condition], set[str]] = {}

    def expect(self, panels: Sequence[Panel]) -> None:
        """Takes the registered panels of this convention; the ids of all others stay theirs."""
        self._panels = {panel.topic.strip("/"): panel for panel in panels if panel.convention == self.name}
        self._taken_ids = frozenset(panel.id for panel in panels)

    def wants(self) -> frozenset[str]:
        """PAI's topics below any base of one level, and below registered bases of more."""
        deep = [base for base in self._panels if "/" in base]
        return frozenset(f"{base}/{shape}" for base in ("+", *deep) for shape in SHAPES)

    def claims(self, topic: str) -> bool:
        """Topics of PAI's shape whose base is one level or registered."""
        match = _TOPIC.fullmatch(topic)
        return match is not None and self._panel_of(match["base"]) != ""

    def receive(self, heard: Heard) -> Outcome:
        """Decodes one property."""
        match = _TOPIC.fullmatch(heard.topic)
        if match is None:
            raise Refusal("bad_topic", f"{heard.topic}: not of PAI's shape", heard.payload)
        panel = self._panel_of(match["base"])
        if match["kind"] is None:
            return Outcome((Statement(panel, _availability(heard)),))
        if match["property"] == "current_state":
            return self._current_state(panel, match["label"], heard)
        read = {"zones": self._zone, "partitions": self._partition, "system": self._system}[match["kind"]]
        return Outcome((Statement(panel, read(panel, match["label"], match["property"], heard)),))

    def recall(self, facts: Mapping[str, str]) -> None:
        """Takes back which partitions publish `current_state`."""
        self._stated = dict.fromkeys(facts, True)

    def order(self, panel: str, partition: str, state: str) -> Publication:
        """PAI's control topic for the partition."""
        bases = [base for base in self._panels if self._panels[base].id == panel]
        if not bases:
            raise CannotOrder(f"panel {panel} is not registered")
        if state not in ORDERS:
            raise CannotOrder(f"{state!r} can't be ordered; one of {', '.join(ORDERS)}")
        label = partition or "all"
        return Publication(f"{bases[0]}/control/partitions/{label}", ORDERS[state].encode())

    def _panel_of(self, base: str) -> str:
        """Panel id; empty where the topic is no panel's."""
        if base in self._panels:
            return self._panels[base].id
        if "/" in base or base in ("jifang", "homeassistant") or base.startswith("$"):
            return ""
        return f"pai-{base}" if base in self._taken_ids else base

    def _registered_zone(self, panel: str, label: str) -> Zone | None:
        zones = [zone for one in self._panels.values() if one.id == panel for zone in one.zones]
        return next((zone for zone in zones if label in (zone.key, _as_label(zone.key))), None)

    def _zone(self, panel: str, label: str, name: str, heard: Heard) -> Body:
        zone = self._registered_zone(panel, label)
        point = zone.point if zone else f"zone:{label}"
        if name in ZONE_TROUBLES:
            return _state(point, ZONE_TROUBLES[name], _boolean(heard), name, label)
        if name not in ("open", "alarm"):
            return Heartbeat()
        said = _boolean(heard)
        condition = condition_of(zone) if zone else Condition.INTRUSION
        if name == "open":
            _check_room(self._open, (panel, label), heard)
            self._open[panel, label] = said
            return _state(point, condition, said, name, label)
        if said:
            return PointState(
                point=point, condition=condition, active=True, code=name, label=label, armed=True
            )
        # The alarm is over; whether the zone is still open is what it last said of that.
        return _state(point, condition, self._open.get((panel, label), False), name, label)

    def _current_state(self, panel: str, label: str, heard: Heard) -> Outcome:
        """From then on, also after a restart, the flags of this partition say nothing more."""
        key = f"{panel}/{label}"
        statement = Statement(panel, Arming(partition=label, state=_arm_state(heard)))
        if key in self._stated:
            return Outcome((statement,))
        _check_room(self._stated, key, heard)
        self._stated[key] = True
        return Outcome((statement,), facts={key: "stated"})

    def _partition(self, panel: str, label: str, name: str, heard: Heard) -> Body:
        if name in PARTITION_ALARMS:
            point, condition = f"partition:{label}", PARTITION_ALARMS[name]
            active = self._any((panel, point, condition), name, heard)
            return PointState(point=point, condition=condition, active=active, code=name, armed=True)
        if name not in ARM_FLAGS or f"{panel}/{label}" in self._stated:
            return Heartbeat()
        _check_room(self._flags, (panel, label), heard)
        flags = self._flags.setdefault((panel, label), {})
        flags[name] = _boolean(heard)
        state = next((ARM_FLAGS[flag] for flag in ARM_FLAGS if flags.get(flag)), ArmState.DISARMED)
        return Arming(partition=label, state=state)

    def _system(self, panel: str, label: str, name: str, heard: Heard) -> Body:
        if not label.startswith("trouble"):
            return Heartbeat()
        condition = next(found for pattern, found in SYSTEM_TROUBLES if pattern.fullmatch(name))
        active = self._any((panel, "panel", condition), name, heard)
        return _state("panel", condition, active, name, "")

    def _any(self, key: tuple[str, str, Condition], name: str, heard: Heard) -> bool:
        """Several properties stand for one condition: it is active while any of them is."""
        said = _boolean(heard)
        _check_room(self._troubles, key, heard)
        active = self._troubles.setdefault(key, set())
        (active.add if said else active.discard)(name)
        return bool(active)


def _check_room(known: Mapping[K, object], key: K, heard: Heard) -> None:
    """A stranger that makes up labels without end shuts out none that is known."""
    if key not in known and len(known) >= MAX_LABELS:
        raise Refusal("too_many", f"{heard.topic}: more than {MAX_LABELS} labels", heard.payload)


def _as_label(name: str) -> str:
    return name.replace(" ", "_")


def _state(point: str, condition: Condition, active: bool, code: str, label: str) -> PointState:
    return PointState(point=point, condition=condition, active=active, code=code, label=label)


def _boolean(heard: Heard) -> bool:
    text = heard.text.strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise Refusal("unknown_state", f"{heard.topic}: {text[:40]!r} is neither True nor False", heard.payload)


def _arm_state(heard: Heard) -> ArmState:
    text = heard.text.strip()
    if text not in CURRENT_STATES:
        raise Refusal("unknown_state", f"{heard.topic}: {text[:40]!r} is no arming state", heard.payload)
    return CURRENT_STATES[text]


def _availability(heard: Heard) -> Link:
    text = heard.text.strip()
    if text not in ("online", "offline"):
        reason = f"{heard.topic}: {text[:40]!r} is neither online nor offline"
        raise Refusal("unknown_state", reason, heard.payload)
    return Link(up=text == "online", reason="" if text == "online" else f"{heard.topic}: offline")
