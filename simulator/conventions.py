"""How a panel puts itself into MQTT: Home Assistant's discovery and Paradox Alarm Interface's topics. Pure.

Sources: Home Assistant's documentation of `alarm_control_panel.mqtt`, `binary_sensor.mqtt` and MQTT
discovery; the wiki of ParadoxAlarmInterface/pai, "MQTT Interface" (labels keep letters, digits and `_`).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.district import Panel, Zone
from simulator.panel_state import DISARMED, POINT_CONDITIONS, TRIGGERED, ArmChange, Change, PanelState


@dataclass(frozen=True, slots=True)
class Telling:
    """A message of the panel's own; all are retained, as both conventions have it."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Command:
    """What a message to the panel asks for."""

    state: str
    """`disarmed`, `armed_away`, `armed_home`, `armed_night`."""


class Convention(ABC):
    """A panel's topics and payloads."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    @property
    @abstractmethod
    def availability(self) -> str:
        """Topic of `online` and, as last will, `offline`."""

    @property
    @abstractmethod
    def command_topics(self) -> tuple[str, ...]:
        """To be subscribed to."""

    @abstractmethod
    def describe(self) -> Iterator[Telling]:
        """What the panel is."""

    @abstractmethod
    def states(self, state: PanelState) -> Iterator[Telling]:
        """Everything as it stands."""

    @abstractmethod
    def change(self, change: Change, state: PanelState) -> tuple[Telling, ...]:
        """The messages that tell of a change; the last one completes it."""

    @abstractmethod
    def heartbeat(self, state: PanelState) -> Telling:
        """A state repeated."""

    @abstractmethod
    def understand(self, payload: str) -> Command | None:
        """A message on one of `command_topics`; None where it means nothing to a panel."""


_HA_COMMANDS = {
    "ARM_AWAY": "armed_away",
    "ARM_HOME": "armed_home",
    "ARM_NIGHT": "armed_night",
    "DISARM": DISARMED,
}
_HA_POINTS = {
    "tamper": ("tamper", "防拆", "tamper"),
    "mains": ("mains", "市电", "power"),
    "battery": ("battery", "备用电池", "battery"),
}
"""Fault → object id, name, device class. `power` is on while there is power; the others are on when bad."""


class HomeAssistant(Convention):
    """Discovery under `homeassistant/`, states under a root of the panel's own."""

    @property
    def _root(self) -> str:
        return f"alarmhub/{self.panel.topic}"

    @property
    def availability(self) -> str:
        return f"{self._root}/availability"

    @property
    def command_topics(self) -> tuple[str, ...]:
        return (f"{self._root}/partition/set",)

    def describe(self) -> Iterator[Telling]:
        node = self.panel.topic
        yield self._config(
            f"homeassistant/alarm_control_panel/{node}/config",
            name=self.panel.name,
            unique_id=node,
            state_topic=f"{self._root}/partition/state",
            command_topic=self.command_topics[0],
            code_arm_required=False,
            code_disarm_required=False,
            supported_features=["arm_home", "arm_away", "arm_night"],
        )
        for zone in self.panel.zones:
            yield self._sensor(zone.key, zone.name, zone.device_class)
        for object_id, name, device_class in _HA_POINTS.values():
            yield self._sensor(object_id, name, device_class)

    def states(self, state: PanelState) -> Iterator[Telling]:
        yield self._partition(state.armed)
        for key, active in state.open.items():
            yield self._is(key, active)
        for fault, active in state.faults.items():
            yield self._fault(fault, active)

    def change(self, change: Change, state: PanelState) -> tuple[Telling, ...]:
        if isinstance(change, ArmChange):
            return (self._partition(change.state),)
        if change.point == "panel":
            return tuple(
                self._fault(f, a) for f, a in state.faults.items() if POINT_CONDITIONS[f] == change.condition
            )
        return (self._is(change.point.removeprefix("zone:"), change.active),)

    def heartbeat(self, state: PanelState) -> Telling:
        return self._partition(state.armed)

    def understand(self, payload: str) -> Command | None:
        wanted = _HA_COMMANDS.get(payload.strip())
        return Command(wanted) if wanted else None

    def _partition(self, armed: str) -> Telling:
        return Telling(f"{self._root}/partition/state", armed)

    def _fault(self, fault: str, active: bool) -> Telling:
        object_id, _, device_class = _HA_POINTS[fault]
        return self._is(object_id, not active if device_class == "power" else active)

    def _is(self, object_id: str, on: bool) -> Telling:
        return Telling(f"{self._root}/{object_id}/state", "ON" if on else "OFF")

    def _sensor(self, object_id: str, name: str, device_class: str) -> Telling:
        return self._config(
            f"homeassistant/binary_sensor/{self.panel.topic}/{object_id}/config",
            name=name,
            unique_id=f"{self.panel.topic}_{object_id}",
            state_topic=f"{self._root}/{object_id}/state",
            device_class=device_class,
        )

    def _config(self, topic: str, **entity: Any) -> Telling:
        device = {
            "identifiers": [self.panel.topic],
            "name": self.panel.name,
            "manufacturer": "Simulated Alarms",
            "model": "SA-16",
            "sw_version": "2.4.1",
        }
        entity = {**entity, "availability_topic": self.availability, "qos": 1, "device": device}
        return Telling(topic, json.dumps(entity, ensure_ascii=False))


_PAI_COMMANDS = {
    "arm": "armed_away",
    "arm_stay": "armed_home",
    "arm_sleep": "armed_night",
    "disarm": DISARMED,
}
_PAI_TROUBLES = {"mains": "ac_failure_trouble", "battery": "low_battery_trouble"}


class Paradox(Convention):
    """PAI: everything under a base topic, `True` and `False`."""

    @property
    def _base(self) -> str:
        return self.panel.topic

    @property
    def availability(self) -> str:
        return f"{self._base}/interface/availability"

    @property
    def command_topics(self) -> tuple[str, ...]:
        return (f"{self._base}/control/partitions/{label(self.panel.partition)}",)

    def describe(self) -> Iterator[Telling]:
        yield Telling(f"{self._base}/interface/run_status", "online")

    def states(self, state: PanelState) -> Iterator[Telling]:
        yield from self._partition(state.armed)
        for zone in self.panel.zones:
            yield self._zone(zone, "open", state.open[zone.key])
        for fault, active in state.faults.items():
            yield self._fault(fault, active)

    def change(self, change: Change, state: PanelState) -> tuple[Telling, ...]:
        if isinstance(change, ArmChange):
            return tuple(self._partition(change.state))
        if change.point == "panel":
            return tuple(
                self._fault(f, a) for f, a in state.faults.items() if POINT_CONDITIONS[f] == change.condition
            )
        key = change.point.removeprefix("zone:")
        zone = next(zone for zone in self.panel.zones if zone.key == key)
        return (self._zone(zone, "open", change.active),)

    def heartbeat(self, state: PanelState) -> Telling:
        return list(self._partition(state.armed))[-1]

    def understand(self, payload: str) -> Command | None:
        wanted = _PAI_COMMANDS.get(payload.strip())
        return Command(wanted) if wanted else None

    def _partition(self, armed: str) -> Iterator[Telling]:
        place = f"{self._base}/states/partitions/{label(self.panel.partition)}"
        yield Telling(f"{place}/arm", str(armed != DISARMED))
        yield Telling(f"{place}/arm_stay", str(armed == "armed_home"))
        yield Telling(f"{place}/alarm", str(armed == TRIGGERED))
        yield Telling(f"{place}/current_state", armed)

    def _zone(self, zone: Zone, what: str, active: bool) -> Telling:
        return Telling(f"{self._base}/states/zones/{label(zone.key)}/{what}", str(active))

    def _fault(self, fault: str, active: bool) -> Telling:
        if fault == "tamper":
            # A panel's own tamper stands in PAI among the system's troubles, zones have theirs besides.
            return Telling(f"{self._base}/states/system/troubles/module_tamper_trouble", str(active))
        return Telling(f"{self._base}/states/system/troubles/{_PAI_TROUBLES[fault]}", str(active))


def label(name: str) -> str:
    """A label as PAI puts it into a topic."""
    return re.sub(r"\W", "_", name.strip())


def convention_of(panel: Panel) -> Convention:
    """The convention a panel speaks."""
    return Paradox(panel) if panel.convention == "paradox" else HomeAssistant(panel)
