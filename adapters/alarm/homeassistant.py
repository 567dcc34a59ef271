"""Home Assistant's convention: panels that describe themselves by MQTT discovery.

`homeassistant/<component>/[<node>/]<object>/config` names the topics; `alarm_control_panel` entities are
partitions, `binary_sensor` entities zones and troubles. Source: Home Assistant documentation, "MQTT
Discovery", "MQTT Alarm control panel", "Binary sensor" (device classes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapters.alarm.convention import CannotOrder, Convention, Outcome, Publication, Statement, condition_of
from adapters.alarm.discovery import Availability, Entity, entities_of
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from wire.observations import Arming, ArmState, Condition, DeviceFacts, Heartbeat, Link, PointState
from wire.work import Panel, Zone

PREFIX = "homeassistant"
CONFIGS = (f"{PREFIX}/+/+/config", f"{PREFIX}/+/+/+/config")
MAX_ENTITIES = 20_000
PANEL = "panel"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a device class's `on` means."""

    condition: Condition
    inverted: bool = False
    """`on` is the good state (power is there, the link is up)."""
    of_panel: bool = False
    """Speaks of the device, not of a place it watches."""


_INTRUSION = Meaning(Condition.INTRUSION)
DEVICE_CLASSES: Mapping[str, Meaning] = {
    **dict.fromkeys(("door", "garage_door", "window", "opening", "lock", "motion", "moving"), _INTRUSION),
    **dict.fromkeys(("occupancy", "presence", "vibration", "sound", ""), _INTRUSION),
    **dict.fromkeys(("smoke", "gas", "carbon_monoxide", "heat"), Meaning(Condition.FIRE)),
    "safety": Meaning(Condition.HOLD_UP),
    "tamper": Meaning(Condition.TAMPER, of_panel=True),
    "problem": Meaning(Condition.DEVICE_FAULT, of_panel=True),
    "battery": Meaning(Condition.BATTERY_LOW, of_panel=True),
    "power": Meaning(Condition.MAINS_FAULT, inverted=True, of_panel=True),
    "plug": Meaning(Condition.MAINS_FAULT, inverted=True, of_panel=True),
    "connectivity": Meaning(Condition.COMMS_LOST, inverted=True, of_panel=True),
}
"""Classes that are not here (light, running, …) say nothing of an alarm; they count as a heartbeat."""

ARM_STATES: Mapping[str, ArmState] = {
    **{state.value: state for state in ArmState},
    "armed_vacation": ArmState.ARMED_AWAY,
    "armed_custom_bypass": ArmState.ARMED_HOME,
    "None": ArmState.UNKNOWN,
    "unavailable": ArmState.UNKNOWN,
}
ORDERS: Mapping[str, tuple[str, str]] = {
    ArmState.DISARMED: ("payload_disarm", "DISARM"),
    ArmState.ARMED_AWAY: ("payload_arm_away", "ARM_AWAY"),
    ArmState.ARMED_HOME: ("payload_arm_home", "ARM_HOME"),
    ArmState.ARMED_NIGHT: ("payload_arm_night", "ARM_NIGHT"),
}
_OF_A_ZONE = re.compile(r"(?:.*_)?z(?:one)?_?\d+(?:_.*)?")
_OF_PAI = re.compile(r"[^/]+/states/(?:zones|partitions|system)/.+")
"""PAI describes itself in this convention too; its own decoder knows it better."""


Wire = TypeVar("Wire", tuple[str, Entity], tuple[str, Entity, Availability])


class HomeAssistant(Convention):
    """All panels that speak it."""

    name = "homeassistant"

    def __init__(self) -> None:
        self._registered: dict[str, Panel] = {}
        self._taken_ids: frozenset[str] = frozenset()
        self._texts: dict[str, str] = {}
        self._kept: set[str] = set()
        self._described: dict[str, tuple[Entity, ...]] = {}
        self._nodes: dict[str, dict[str, None]] = {}
        self._states: dict[str, list[tuple[str, Entity]]] = {}
        self._links: dict[str, list[tuple[str, Entity, Availability]]] = {}
        self._count = 0

    def expect(self, panels: Sequence[Panel]) -> None:
        """Takes the registered panels of this convention; the ids of all others stay theirs."""
        self._registered = {panel.topic: panel for panel in panels if panel.convention == self.name}
        self._taken_ids = frozenset(panel.id for panel in panels)
        for node in self._nodes:
            self._unwire(node)
            self._wire(node)

    def wants(self) -> frozenset[str]:
        """Discovery, and every topic that a panel's discovery names."""
        return frozenset(CONFIGS).union(self._states, self._links)

    def claims(self, topic: str) -> bool:
        """Discovery topics, and those that discovery names."""
        return _is_config(topic) or topic in self._states or topic in self._links

    def recall(self, facts: Mapping[str, str]) -> None:
        """Takes back discovery documents; one that this version no longer takes is left out."""
        for topic, text in facts.items():
            try:
                self._put(topic, entities_of(Heard(topic, text.encode())), text)
            except Refusal:
                continue
            self._kept.add(topic)

    def receive(self, heard: Heard) -> Outcome:
        """Decodes a discovery document, a state, or an availability."""
        if _is_config(heard.topic):
            return self._describe(heard)
        said: list[Statement] = []
        for panel, entity in self._states.get(heard.topic, ()):
            said += self._state(panel, entity, heard)
        for panel, _entity, availability in self._links.get(heard.topic, ()):
            said += _link(panel, availability, heard)
        return Outcome(tuple(dict.fromkeys(said)))

    def order(self, panel: str, partition: str, state: str) -> Publication:
        """The partition's own command payload on its own command topic."""
        entity = self._partition(panel, partition)
        if entity is None:
            raise CannotOrder(f"panel {panel} has told of no partition {partition!r}")
        if not entity.settings["command_topic"]:
            raise CannotOrder(f"panel {panel} takes no orders: its discovery names no command topic")
        if state not in ORDERS:
            raise CannotOrder(f"{state!r} can't be ordered; one of {', '.join(ORDERS)}")
        key, default = ORDERS[state]
        payload = entity.settings.get(key) or default
        return Publication(entity.settings["command_topic"], payload.encode())

    def _partition(self, panel: str, partition: str) -> Entity | None:
        found = [
            entity
            for entities in self._described.values()
            for entity in entities
            if entity.component == "alarm_control_panel" and self._owner(entity) == panel
        ]
        named = [entity for entity in found if partition in (entity.object_id, entity.name)]
        if named:
            return named[0]
        return found[0] if len(found) == 1 and not partition else None

    def _describe(self, heard: Heard) -> Outcome:
        text = heard.text if heard.payload.strip() else ""
        if self._texts.get(heard.topic, "") == text:
            return Outcome()
        entities = entities_of(heard)
        if self._count + len(entities) > MAX_ENTITIES:
            raise Refusal("too_many", f"more than {MAX_ENTITIES} entities described", heard.payload)
        self._put(heard.topic, entities, text)
        return Outcome(tuple(self._facts(entities)), self._worth_keeping(heard.topic), rewired=True)

    def _put(self, topic: str, entities: tuple[Entity, ...], text: str) -> None:
        gone = self._described.get(topic, ())
        nodes = dict.fromkeys(entity.node for entity in (*gone, *entities))
        for node in nodes:
            self._unwire(node)
            self._nodes.setdefault(node, {}).pop(topic, None)
        self._described.pop(topic, None)
        self._texts.pop(topic, None)
        if entities:
            self._described[topic], self._texts[topic] = entities, text
        self._count += len(entities) - len(gone)
        for entity in entities:
            self._nodes[entity.node][topic] = None
        for node in nodes:
            self._wire(node)

    def _worth_keeping(self, topic: str) -> dict[str, str]:
        """Documents of panels that aren't kept yet; another device's stay in memory only."""
        if topic not in self._described:
            self._kept.discard(topic)
            return {topic: ""}
        nodes = {entity.node for entity in self._described[topic]}
        fresh = {
            other
            for node in nodes
            for other in self._nodes[node]
            if any(map(self._owner, self._described[other])) and (other == topic or other not in self._kept)
        }
        self._kept |= fresh
        return {other: self._texts[other] for other in fresh}

    def _facts(self, entities: Sequence[Entity]) -> Iterator[Statement]:
        for entity in entities:
            panel = self._owner(entity)
            if panel and entity.component == "alarm_control_panel" and entity.device:
                yield Statement(panel, _facts_of(entity))

    def _entities(self, node: str) -> list[Entity]:
        return [
            entity for topic in self._nodes[node] for entity in self._described[topic] if entity.node == node
        ]

    def _unwire(self, node: str) -> None:
        for entity in self._entities(node) if node in self._nodes else ():
            _drop(self._states, entity.state_topic, entity)
            for availability in entity.availability:
                _drop(self._links, availability.topic, entity)

    def _wire(self, node: str) -> None:
        """Which topics speak of which entities, for one device."""
        for entity in self._entities(node):
            owner = self._owner(entity)
            if owner and entity.state_topic:
                self._states.setdefault(entity.state_topic, []).append((owner, entity))
            for availability in entity.availability if owner else ():
                if availability.topic:
                    self._links.setdefault(availability.topic, []).append((owner, entity, availability))

    def _registration(self, entity: Entity) -> Panel | None:
        for name in (entity.node, *entity.identifiers):
            if name in self._registered:
                return self._registered[name]
        return None

    def _owner(self, entity: Entity) -> str:
        """Panel id; empty for entities of devices that are no alarm panel."""
        registered = self._registration(entity)
        if registered is not None:
            return registered.id
        if not any(map(_is_partition, self._entities(entity.node))) or _OF_PAI.fullmatch(entity.state_topic):
            return ""
        return f"ha-{entity.node}" if entity.node in self._taken_ids else entity.node

    def _state(self, panel: str, entity: Entity, heard: Heard) -> list[Statement]:
        if entity.component == "alarm_control_panel":
            return [Statement(panel, _arming(entity, heard))]
        if entity.component == "binary_sensor":
            return [Statement(panel, self._point(entity, heard))]
        return [Statement(panel, Heartbeat())]

    def _point(self, entity: Entity, heard: Heard) -> PointState | Heartbeat:
        active = _on_or_off(entity, heard)
        zone = self._zone(entity)
        meaning = DEVICE_CLASSES.get(entity.device_class)
        if zone is None and meaning is None:
            return Heartbeat()
        inverted = meaning is not None and meaning.inverted
        condition = meaning.condition if meaning else Condition.INTRUSION
        return PointState(
            point=zone.point if zone else self._point_name(entity, meaning),
            condition=condition_of(zone) if zone else condition,
            active=None if active is None else active != inverted,
            label=entity.name,
            code=entity.device_class,
        )

    def _zone(self, entity: Entity) -> Zone | None:
        registered = self._registration(entity)
        names = (entity.object_id, entity.unique_id, entity.name)
        zones = registered.zones if registered else ()
        return next((zone for zone in zones if zone.key in names), None)

    def _point_name(self, entity: Entity, meaning: Meaning | None) -> str:
        if meaning is None or not meaning.of_panel:
            return f"zone:{entity.object_id}"
        registered = self._registration(entity)
        for zone in registered.zones if registered else ():
            if entity.object_id.startswith(f"{zone.key}_"):
                return zone.point
        return f"zone:{entity.object_id}" if _OF_A_ZONE.fullmatch(entity.object_id) else PANEL


def _is_config(topic: str) -> bool:
    levels = topic.split("/")
    return levels[0] == PREFIX and levels[-1] == "config" and len(levels) in (4, 5)


def _is_partition(entity: Entity) -> bool:
    return entity.component == "alarm_control_panel" and not _OF_PAI.fullmatch(entity.state_topic)


def _facts_of(entity: Entity) -> DeviceFacts:
    return DeviceFacts(
        make=entity.device.get("manufacturer", ""),
        model=entity.device.get("model", ""),
        firmware=entity.device.get("sw_version", ""),
        serial=entity.device.get("serial_number", ""),
    )


def _drop(wires: dict[str, list[Wire]], topic: str, entity: Entity) -> None:
    kept = [wire for wire in wires.get(topic, ()) if wire[1] is not entity]
    if kept:
        wires[topic] = kept
    else:
        wires.pop(topic, None)


def _on_or_off(entity: Entity, heard: Heard) -> bool | None:
    """None where the device itself says that it doesn't know."""
    text = entity.read(heard)
    on, off = entity.settings.get("payload_on") or "ON", entity.settings.get("payload_off") or "OFF"
    if text in (on, off):
        return text == on
    if text in ("None", "unknown", "unavailable"):
        return None
    raise Refusal(
        "unknown_state", f"{heard.topic}: {text[:40]!r} is neither {on!r} nor {off!r}", heard.payload
    )


def _arming(entity: Entity, heard: Heard) -> Arming | Heartbeat:
    text = entity.read(heard)
    if text == "disarming":
        return Heartbeat()
    if text not in ARM_STATES:
        raise Refusal("unknown_state", f"{heard.topic}: {text[:40]!r} is no arming state", heard.payload)
    return Arming(partition=entity.object_id, state=ARM_STATES[text])


def _link(panel: str, availability: Availability, heard: Heard) -> list[Statement]:
    text = availability.read(heard)
    if text not in (availability.online, availability.offline):
        reason = (
            f"{heard.topic}: {text[:40]!r} is neither {availability.online!r} nor {availability.offline!r}"
        )
        raise Refusal("unknown_state", reason, heard.payload)
    up = text == availability.online
    return [Statement(panel, Link(up=up, reason="" if up else f"{heard.topic}: {text}"))]
