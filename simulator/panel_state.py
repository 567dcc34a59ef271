"""An alarm panel's own logic: what an open zone, a code at the keypad or a mains failure changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.district import Panel

DISARMED, TRIGGERED = "disarmed", "triggered"
POINT_CONDITIONS = {"tamper": "tamper", "mains": "mains_fault", "battery": "battery_low"}


@dataclass(frozen=True, slots=True)
class PointChange:
    """A zone or the panel itself entered or left a condition."""

    point: str
    """`zone:{key}` or `panel`."""
    condition: str
    active: bool


@dataclass(frozen=True, slots=True)
class ArmChange:
    """The partition is in a new state, in Home Assistant's words."""

    state: str


Change = PointChange | ArmChange


class PanelState:
    """A panel with one partition. Each method returns what changed, in order; nothing where nothing did."""

    def __init__(self, panel: Panel) -> None:
        self._zones = {zone.key: zone for zone in panel.zones}
        self.open = dict.fromkeys(self._zones, False)
        self.faults = dict.fromkeys(POINT_CONDITIONS, False)
        """`tamper`, `mains` (True: failed), `battery` (True: low)."""
        self.armed = "armed_away" if panel.begins_armed else DISARMED

    def zone(self, key: str, *, active: bool) -> list[Change]:
        """A zone's contact opens or closes. Guarded, it sets off the alarm."""
        if self.open[key] is active:
            return []
        self.open[key] = active
        zone = self._zones[key]
        changes: list[Change] = [PointChange(f"zone:{key}", zone.condition, active)]
        guarded = zone.always or self.armed != DISARMED
        if active and guarded:
            changes += self._become(TRIGGERED)
        return changes

    def fault(self, kind: str, *, active: bool) -> list[Change]:
        """`tamper`, `mains` or `battery` begins or ends."""
        if self.faults[kind] is active:
            return []
        self.faults[kind] = active
        return [PointChange("panel", POINT_CONDITIONS[kind], active)]

    def arm(self, state: str) -> list[Change]:
        """Someone arms; `state` is `armed_away`, `armed_home` or `armed_night`."""
        return self._become(state)

    def disarm(self) -> list[Change]:
        """Someone disarms, which also ends an alarm."""
        return self._become(DISARMED)

    def _become(self, state: str) -> list[Change]:
        if self.armed == state:
            return []
        self.armed = state
        return [ArmChange(state)]
