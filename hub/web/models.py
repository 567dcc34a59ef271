"""Shapes of the API that are not values of `hub.domain`: what a call takes, and answers put together here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.access import Person, Right, Role
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, HubStatus, PanelView
from hub.domain.incident import Incident, Recommended
from hub.domain.trouble import Trouble
from hub.domain.unit import Unit, UnitLink
from hub.replaying import Came

Name = Annotated[str, Field(min_length=1, max_length=120)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Field(max_length=2000)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class Asked(BaseModel):
    """Base of every request body: unknown keys refused, text trimmed, no type guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, strict=True)


# Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """RFC 9457 problem details, as `application/problem+json`."""

    type: str
    """`about:blank#{code}`"""
    code: str
    """Stable key of the cause, for the console's own words."""
    status: int
    title: str
    detail: str
    field: str = ""
    """The field at fault, as a path: `zones.0.key`."""
    current: Incident | None = None
    """409 on an incident: how it stands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who is signed in."""

    person: Person
    rights: tuple[Right, ...]
    """What the person may do: a button without its right is not shown."""
    expires_at: datetime
    server_now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything the person may see, as of entry `seq`: follow the feed from there."""

    seq: int
    log: str
    """Identity of the log `seq` counts in."""
    server_now: datetime
    incidents: tuple[Incident, ...]
    conditions: tuple[AlarmCondition, ...]
    units: tuple[Unit, ...]
    cameras: tuple[CameraView, ...]
    panels: tuple[PanelView, ...]
    hub: HubStatus
    troubles: tuple[Trouble, ...] = ()
    """What is wrong with the hub itself, as of `server_now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """An entry of the log on its way to a console."""

    seq: int
    prev: int
    """The entry before this one that this console was sent (or its cursor). Not equal to the last one it
    has: something is missing."""
    at: datetime
    kind: str
    """A `hub.domain.entry.EntryKind`; it decides the shape of `body`."""
    subject: str
    place: str
    actor: str
    late: bool
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Every 5 s on the feed: silence is not silent."""

    head: int
    """The last entry this console was sent (or its cursor)."""
    log_head: int
    """The last entry of the whole log, of any jurisdiction."""
    log: str
    server_now: datetime
    troubles: tuple[Trouble, ...] = ()
    """What is wrong with the hub itself: told here because the log can't say that it can't be written."""


class Gap(BaseModel):
    """Entries `from` to `to` cannot be had; take a new snapshot."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)
    from_: Annotated[int, Field(alias="from")]
    to: int
    reason: Literal["other_log", "ahead", "pruned", "too_far", "jurisdiction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """This console can't keep up: the feed ends here, connect again with `after`."""

    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """Body of an entry of kind `incident`."""

    incident: Incident
    action: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDetail:
    """An incident with what led to it, what was done, and whom to send."""

    incident: Incident
    timeline: tuple[FeedEntry, ...]
    recommended: tuple[Recommended, ...]
    conditions: tuple[AlarmCondition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerView:
    """A tracker and the unit it belongs to."""

    id: str
    unit: str
    name: str
    place: str
    protocol: str
    address: str
    registered: bool
    link: UnitLink
    heard_at: datetime | None = None
    fix_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Every device the person may see, with its health."""

    cameras: tuple[CameraView, ...]
    panels: tuple[PanelView, ...]
    trackers: tuple[TrackerView, ...]
    field_address: str
    """Where field devices reach the broker, with the name they sign in under; told to installers alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A device that was added, changed or removed."""

    source: str
    """`camera:{id}`, `panel:{id}`, `tracker:{id}`"""
    action: Literal["added", "changed", "removed", "accepted"]
    findings: tuple[str, ...] = ()
    """What the installer should know, e.g. that its video has B-frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Entries after `after`, oldest first."""

    entries: tuple[FeedEntry, ...]
    head: int
    next_after: int | None
    """Ask again with this; None: nothing more now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """A row of the audit log."""

    seq: int
    at: datetime
    person: str
    place: str
    action: str
    object: str
    reason: str
    outcome: str
    address: str
    console: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Rows before `before`, newest first."""

    rows: tuple[AuditView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """An account as the administrator sees it. Never a secret."""

    name: str
    display_name: str
    roles: tuple[Role, ...]
    place: str
    place_name: str
    disabled: bool
    created_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineOutcome:
    """What trying again came to."""

    came: Came
    observations: int
    """How many it said; those that the log had already count too."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A message that could not be decoded, without its bytes."""

    id: int
    first_at: datetime
    at: datetime
    """When the same bytes last came from the same peer."""
    heard_at: datetime | None
    """When its listener first heard it, the listener's clock."""
    times: int
    protocol: str
    peer: str
    cause: str
    """The reason in one word: `not_utf8`, `bad_checksum`, …"""
    reason: str
    size: int
    truncated: bool
    """More came than is kept: it can be looked at, but not tried again."""
    replayed_at: datetime | None
    outcome: QuarantineOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineTally:
    """What is kept of one protocol and cause."""

    protocol: str
    cause: str
    rows: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinePage:
    """Rows of a filter, and what is kept in all."""

    rows: tuple[Quarantined, ...]
    most: int
    """Rows that are kept at most."""
    tallies: tuple[QuarantineTally, ...]
    made_room: dict[str, int]
    """Protocol → rows that were pushed out, ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineItem:
    """A row with the bytes that are kept of it."""

    row: Quarantined
    hex: str
    """`0000  7e 02 …`, 16 bytes a line."""
    text: str
    """As UTF-8; what can't be shown as `\\xNN`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What trying again came to."""

    tried: int
    understood: int
    refused: int
    truncated: int
    unanswered: int
    observations: int
    left: int
    """Time didn't suffice for these: ask once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """A row that is gone."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StillFacts:
    """A camera's latest picture, with its age: never shown as live."""

    camera: str
    taken_at: datetime
    age_s: float
    origin: Literal["stream", "stored"]
    hash: str
    width: int
    height: int
    jpeg_base64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Answer of `/healthz` and `/readyz`."""

    ok: bool
    checks: dict[str, str] = field(default_factory=dict)
    """Name of a part → `ok` or what is wrong with it."""
    troubles: tuple[Trouble, ...] = ()
    """The same with severity, since when and figures."""


# Requests


class SignIn(Asked):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class RenderedUpTo(Asked):
    """`seq`: every incident opened up to there stands drawn; 0 where the console shows no incidents.
    `painted`: the last entry after which this `console` (its name on the feed) painted its screen."""

    seq: Annotated[int, Field(ge=0)]
    painted: Annotated[int, Field(ge=0)] = 0
    console: Annotated[str, Field(max_length=40)] = ""


class Based(Asked):
    """An action names the version of the incident it was based on."""

    version: Annotated[int, Field(ge=0)]


class FalseAlarm(Based):
    code: Annotated[str, Field(min_length=1, max_length=32)]
    """`false_alarm`, `test`, `fault`, `weather`, `animal`, `misoperation`"""


class OnUnit(Based):
    unit: Id


class Closing(Based):
    outcome: Annotated[str, Field(min_length=1, max_length=2000)]


class Noting(Based):
    text: Annotated[str, Field(min_length=1, max_length=2000)]


class NewCamera(Asked):
    """A camera to register: an RTSP address, an ONVIF address, or both. `hub.enrolment` checks the rest."""

    name: Name
    id: str = ""
    """Empty: one is given."""
    name_en: str = ""
    site: str = ""
    position: str = ""
    checkpoint: str = ""
    lat: float | None = None
    lon: float | None = None
    bearing_deg: float | None = None
    fov_deg: float | None = None
    range_m: float | None = None
    onvif: str = ""
    rtsp_main: str = ""
    rtsp_sub: str = ""
    user: str = ""
    password: str = ""
    public_side: bool = False


class NewZone(Asked):
    key: str
    name: str = ""
    name_en: str = ""
    condition: str = "intrusion"
    position: str = ""


class NewPanel(Asked):
    """An alarm panel to register."""

    name: Name
    convention: str
    """`homeassistant` or `paradox`"""
    topic: str
    id: str = ""
    name_en: str = ""
    site: str = ""
    interval_s: float = 60.0
    lat: float | None = None
    lon: float | None = None
    public_side: bool = False
    zones: Annotated[list[NewZone], Field(max_length=512)] = []


class NewTracker(Asked):
    """A terminal or phone to register; without `unit`, a unit of the same id and name comes with it."""

    protocol: str
    """`owntracks`, `jt808`"""
    address: str
    """OwnTracks: `user/device`. JT/T 808: the terminal's phone number."""
    id: str = ""
    unit: str = ""
    name: str = ""
    place: str = ""
    interval_s: float = 10.0


class ReplayWanted(Asked):
    """Which rows of the quarantine are tried again; all where nothing is named."""

    protocol: Annotated[str, Field(max_length=40)] = ""
    cause: Annotated[str, Field(max_length=40)] = ""
    since: Annotated[str, Field(max_length=40)] = ""
    """RFC 3339; last came at or after this."""
    untried: bool = False


class Removal(Asked):
    reason: Annotated[str, Field(min_length=2, max_length=500)]


class Accepting(Asked):
    """What was tried on site and seen at the desk."""

    video_seen: bool = False
    alarm_tested: bool = False
    position_seen: bool = False
    note: Text = ""


class NewPerson(Asked):
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s\x00-\x1f]+$")]
    display_name: Name
    password: Annotated[str, Field(min_length=10, max_length=256)]
    roles: Annotated[list[str], Field(min_length=1, max_length=4)]
    place: Id
