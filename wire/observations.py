"""The one vocabulary: frozen observations of what was seen in the field.

An observation is one thing that one device said or that we saw of it, once. It keeps two clocks apart:
`device_at` is what the device claims, `heard_at` is when our own process heard it. All instants are UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TypeAlias

from msgspec import Struct, structs


class Lateness(StrEnum):
    """Whether an observation is news. Only `live` may raise an alarm (promise 4: late is not live)."""

    LIVE = "live"
    BUFFERED = "buffered"
    """History that the device kept while it was cut off."""
    RETAINED = "retained"
    """A message the broker kept; it says what was, not when."""
    FUTURE = "future"
    """The device's clock runs ahead of ours beyond tolerance."""


class Condition(StrEnum):
    """What can be wrong at a point. The words follow Contact ID (SIA DC-05) groups and DISPATCH.md."""

    HOLD_UP = "hold_up"
    DURESS = "duress"
    INTRUSION = "intrusion"
    FIRE = "fire"
    SOS = "sos"
    TAMPER = "tamper"
    MAINS_FAULT = "mains_fault"
    BATTERY_LOW = "battery_low"
    DEVICE_FAULT = "device_fault"
    COMMS_LOST = "comms_lost"
    """The device is not heard from: last will, closed session, or silence beyond its interval."""
    PICTURE_LOST = "picture_lost"
    PICTURE_FROZEN = "picture_frozen"
    PICTURE_COVERED = "picture_covered"
    """Black, white or covered: nothing of the scene can be seen."""
    VIDEO_TAMPER = "video_tamper"
    """The camera itself reports tampering (ONVIF tt:GlobalSceneChange, tns1:RuleEngine/TamperDetector)."""
    LINE_CROSSING = "line_crossing"
    DIGITAL_INPUT = "digital_input"
    STORAGE_FAULT = "storage_fault"


class ArmState(StrEnum):
    """State of a partition, in Home Assistant's and EN 50131-1's words (set, part set, unset)."""

    DISARMED = "disarmed"
    ARMED_AWAY = "armed_away"
    ARMED_HOME = "armed_home"
    ARMED_NIGHT = "armed_night"
    ARMING = "arming"
    """Exit delay."""
    PENDING = "pending"
    """Entry delay."""
    TRIGGERED = "triggered"
    UNKNOWN = "unknown"


class PointState(Struct, frozen=True, kw_only=True, tag="point", omit_defaults=True):
    """A point (zone, panel, picture) entered or left a condition."""

    point: str
    """Within the source: `zone:3`, `panel`, `picture`, `terminal`, `input:1`."""
    condition: Condition
    active: bool | None
    """None: the state is no longer known (its subscription or session was lost)."""
    label: str = ""
    """The device's own name for the point."""
    code: str = ""
    """The device's own code (Contact ID event code, ONVIF topic, JT/T 808 alarm bit)."""
    armed: bool | None = None
    """Whether the point was guarded at that moment: its partition set, or a 24 h point (fire, tamper, duress:
    always True). None: not known. False: the change is the point's state and no alarm."""
    still: bytes = b""
    """JPEG that shows it, if the source has one; at most 200 kB."""


class Arming(Struct, frozen=True, kw_only=True, tag="arming", omit_defaults=True):
    """A partition's arming state as the panel itself reports it."""

    partition: str
    state: ArmState
    by: str = ""


class Heartbeat(Struct, frozen=True, kw_only=True, tag="heartbeat", omit_defaults=True):
    """The source is alive and has nothing else to say."""

    interval_s: float | None = None
    """How soon the next one is due, where the convention tells."""


class Link(Struct, frozen=True, kw_only=True, tag="link", omit_defaults=True):
    """The path to the source came up or went down, as its adapter or edge saw it."""

    up: bool
    reason: str = ""


class Position(Struct, frozen=True, kw_only=True, tag="position", omit_defaults=True):
    """One fix of a tracker. WGS-84 degrees, whatever datum it came in."""

    lat: float
    lon: float
    datum: str = "WGS-84"
    """The datum the device sent, before conversion."""
    valid: bool = True
    """False: the device says it has no fix, or the fix broke a stated rule (`doubt` names it)."""
    doubt: str = ""
    speed_kmh: float | None = None
    course_deg: float | None = None
    accuracy_m: float | None = None
    altitude_m: float | None = None
    serial: str = ""
    """The device's message number, where the protocol has one."""


class Region(Struct, frozen=True, tag=None, array_like=True):
    """A box in thousandths of the picture's width and height: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int


class Motion(Struct, frozen=True, kw_only=True, tag="motion", omit_defaults=True):
    """Movement in a picture began (active) or ended."""

    active: bool
    event: str
    """Joins the end to its beginning; unique within the source."""
    regions: tuple[Region, ...] = ()
    peak: float = 0.0
    """Largest share of the watched area in motion so far, 0 to 1."""
    still: bytes = b""
    """JPEG at the beginning; at most 200 kB."""
    by: str = "edge"
    """`edge`: seen by us in the pixels. `camera`: the camera's own analytics said so."""


class DeviceFacts(Struct, frozen=True, kw_only=True, tag="facts", omit_defaults=True):
    """What a device says of itself (ONVIF GetDeviceInformation, HA discovery `device`, JT/T 808 0x0100)."""

    make: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    detail: dict[str, str] = {}
    """Further facts by name, e.g. `clock_skew_s`, `codec`, `has_b_frames`."""


class Reply(Struct, frozen=True, kw_only=True, tag="reply", omit_defaults=True):
    """How a command to the field ended, as far as the device itself confirmed it."""

    command: str
    """The command's id, given by the desk."""
    ok: bool
    reason: str = ""


class Loss(Struct, frozen=True, kw_only=True, tag="loss", omit_defaults=True):
    """What one of our own parts could not keep: no loss is silent.

    Sent by the part itself through its outbox, so it reaches the log once.
    """

    reason: str
    """`pictures_dropped`: the outbox was full and gave up its oldest pictures. `not_kept`: it could take no
    more, and the device keeps nothing to send again. `outbox_damaged`: its file could not be read; it was
    moved aside and what could be read was taken over. `item_damaged`: single items could not be read.
    `not_in_this_log`: the hub's own finding, of numbers no sender holds. `broker_dropped`: of messages that a
    full queue at the broker let go."""
    count: int | None
    """Pictures or observations; None where nobody can know."""
    since: datetime
    """UTC, when the first of them was given up."""
    spans: tuple[tuple[int, int], ...] = ()
    """Their numbers within the sender's epoch, as far as they had any: first and last of each run."""
    detail: str = ""


Body: TypeAlias = PointState | Arming | Heartbeat | Link | Position | Motion | DeviceFacts | Reply | Loss

MAX_STILL_BYTES = 200_000


class Observation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was seen, once.

    `source` names the device: `camera:c-01`, `panel:p-07`, `tracker:u-0121`; our own parts are sources
    too: `edge:edge-1`, `adapter:alarm`, `hub:broker`.
    """

    source: str
    body: Body
    heard_at: datetime
    """UTC, clock of the process that heard the device."""
    device_at: datetime | None = None
    """UTC, the device's own clock; None where the device sends no time."""
    lateness: Lateness = Lateness.LIVE
    id: str = ""
    """Identity for exactly-once. A decoder sets it from the device's own identity (terminal, time, serial)
    where the protocol has one; otherwise the outbox gives one from sender, epoch and sequence number."""

    @property
    def kind(self) -> str:
        """The body's tag: `point`, `position`, …"""
        return kind_of(self.body)

    def named(self, identity: str) -> Observation:
        """The same observation under `identity`, unless it already has one."""
        return self if self.id else structs.replace(self, id=identity)


NEWS_LIMIT = timedelta(minutes=15)
"""Heard by our own part longer ago than this, an observation is history by the time it reaches the hub."""


class Urgency(IntEnum):
    """What goes before what when an outbox has more to say than fits at once."""

    ALARM = 0
    """States of points, links and partitions, replies: what a dispatcher acts on. One class, because within
    a source their order is their meaning."""
    MOTION = 1
    ROUTINE = 2
    """Positions, heartbeats, facts: the next one says it again."""


def urgency_of(body: Body) -> Urgency:
    """The class of `body`."""
    if isinstance(body, Position | Heartbeat | DeviceFacts):
        return Urgency.ROUTINE
    return Urgency.MOTION if isinstance(body, Motion) else Urgency.ALARM


def kind_of(body: Body) -> str:
    """The tag under which `body` travels and is stored."""
    return str(body.__struct_config__.tag)
