"""What the hub asks the wings to watch: lists, sent whole and retained, so that a wing that starts knows."""

from __future__ import annotations

from msgspec import Struct


class Camera(Struct, frozen=True, kw_only=True):
    """A camera to watch. `source` is `camera:{id}`."""

    id: str
    rtsp_main: str = ""
    """Without credentials. Empty: ask ONVIF for it."""
    rtsp_sub: str = ""
    """Watched stream; empty: watch the main one."""
    onvif: str = ""
    """Device service URL; empty: an RTSP-only camera."""
    user: str = ""
    password: str = ""
    checkpoint: bool = False
    """At a checkpoint: its motion wakes the plate stage."""


class CameraWork(Struct, frozen=True, kw_only=True):
    cameras: tuple[Camera, ...]


class Zone(Struct, frozen=True, kw_only=True):
    """A panel's zone (防区) as registered: what an active input there means."""

    point: str
    """`zone:3`"""
    key: str
    """The zone's name in the convention's topics (HA object id, PAI label)."""
    condition: str = "intrusion"
    """A `wire.observations.Condition`."""


class Panel(Struct, frozen=True, kw_only=True):
    """A panel to listen for. `source` is `panel:{id}`."""

    id: str
    convention: str
    """`homeassistant` or `paradox`."""
    topic: str
    """HA: discovery node id (`homeassistant/+/{topic}/…/config`). PAI: base topic (`{topic}/states/…`)."""
    interval_s: float = 60.0
    zones: tuple[Zone, ...] = ()


class PanelWork(Struct, frozen=True, kw_only=True):
    panels: tuple[Panel, ...]


class Tracker(Struct, frozen=True, kw_only=True):
    """A tracker to expect. `source` is `tracker:{id}`."""

    id: str
    protocol: str
    """A GPS decoder's name: `owntracks`, `jt808`."""
    address: str
    """OwnTracks: `user/device`. JT/T 808: the terminal's phone number, no leading zeros."""
    interval_s: float = 10.0


class TrackerWork(Struct, frozen=True, kw_only=True):
    trackers: tuple[Tracker, ...]


class UnitOrder(Struct, frozen=True, kw_only=True):
    """Desk → GPS adapter (`ask/gps/order`): send this text to a unit's terminal."""

    command: str
    tracker: str
    """Tracker id."""
    text: str
    lat: float
    lon: float


class PanelOrder(Struct, frozen=True, kw_only=True):
    """Desk → alarm adapter (`ask/alarm/arm`): bring a partition into a state."""

    command: str
    panel: str
    partition: str
    state: str
    """A `wire.observations.ArmState` that can be ordered: disarmed, armed_away, armed_home, armed_night."""


class Answer(Struct, frozen=True, kw_only=True):
    """Reply to any request: whether it was carried out, and why not."""

    ok: bool
    reason: str = ""
