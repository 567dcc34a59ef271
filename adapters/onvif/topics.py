"""What a camera's topics mean to us: one row each. A camera with another topic is a row and a vector.

Sources: ONVIF Core Specification (device events), Analytics Service Specification (rules and their items),
Imaging Service Specification (VideoSource events); rows marked with a maker are what its cameras send.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from adapters.onvif.events import Notification
from adapters.refusal import Refusal
from wire.observations import Condition

MOTION_HELD_S = 300.0
"""How long motion may stay on without an off."""
PULSE_HELD_S = 10.0
"""How long a happening without an end counts."""
TRUE = {"true", "1", "on", "yes"}
FALSE = {"false", "0", "off", "no"}


@dataclass(frozen=True, slots=True)
class Row:
    """A topic (with `*` for any levels), and the item of its data that tells the state."""

    topic: str
    item: str
    """Empty: the message itself is the happening, and has no end."""
    condition: Condition | None
    """None: motion."""
    point: str = "picture"
    """`{}` stands for the source's first token."""
    held_s: float | None = None
    """After how long without an off it is taken to be over; None: it is a state and stays."""


ROWS: tuple[Row, ...] = (
    Row("RuleEngine/CellMotionDetector/Motion", "IsMotion", None, held_s=MOTION_HELD_S),
    Row("RuleEngine/MotionRegionDetector/Motion", "State", None, held_s=MOTION_HELD_S),
    Row("VideoSource/MotionAlarm", "State", None, held_s=MOTION_HELD_S),
    Row("VideoAnalytics/Motion", "State", None, held_s=MOTION_HELD_S),
    # Reolink, Tapo: detectors of people and vehicles under a rule of their own.
    Row("RuleEngine/MyRuleDetector/*Detect", "State", None, held_s=MOTION_HELD_S),
    Row("RuleEngine/PeopleDetector/People", "IsPeople", None, held_s=MOTION_HELD_S),
    Row("RuleEngine/TamperDetector/Tamper", "IsTamper", Condition.VIDEO_TAMPER),
    Row("VideoSource/GlobalSceneChange/*", "State", Condition.VIDEO_TAMPER),
    Row("VideoSource/ImageTooDark/*", "State", Condition.VIDEO_TAMPER),
    Row("VideoSource/ImageTooBright/*", "State", Condition.VIDEO_TAMPER),
    Row("VideoSource/ImageTooBlurry/*", "State", Condition.VIDEO_TAMPER),
    Row("VideoSource/SignalLoss", "State", Condition.PICTURE_LOST),
    Row("RuleEngine/LineDetector/Crossed", "", Condition.LINE_CROSSING, "rule:{}", PULSE_HELD_S),
    Row("RuleEngine/LineDetector/*", "State", Condition.LINE_CROSSING, "rule:{}", MOTION_HELD_S),
    Row(
        "RuleEngine/FieldDetector/ObjectsInside",
        "IsInside",
        Condition.LINE_CROSSING,
        "rule:{}",
        MOTION_HELD_S,
    ),
    Row("Device/Trigger/DigitalInput", "LogicalState", Condition.DIGITAL_INPUT, "input:{}"),
    Row("Device/HardwareFailure/StorageFailure", "Failed", Condition.STORAGE_FAULT, "storage"),
    Row("Device/HardwareFailure/PowerSupplyFailure", "Failed", Condition.MAINS_FAULT, "power"),
    Row("Device/HardwareFailure/*", "Failed", Condition.DEVICE_FAULT, "hardware"),
)
TOKENS = ("InputToken", "Rule", "Source", "VideoSourceToken", "VideoSourceConfigurationToken", "Token")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A notification understood."""

    key: str
    """Which of the camera's properties it is."""
    active: bool | None
    """None: the camera doesn't have the property any more."""
    condition: Condition | None
    point: str
    code: str
    held_s: float | None


def row_of(topic: str, rows: Iterable[Row] = ROWS) -> Row | None:
    """The first row that a topic matches."""
    return next((row for row in rows if fnmatchcase(topic, row.topic)), None)


def meaning_of(notification: Notification, rows: Iterable[Row] = ROWS) -> Meaning | None:
    """What a notification means; None for topics that say nothing to us. Raises `Refusal`."""
    row = row_of(notification.topic, rows)
    if row is None:
        return None
    token = next((notification.source[name] for name in TOKENS if name in notification.source), "")
    tokens = ",".join(notification.source[name] for name in sorted(notification.source))
    return Meaning(
        key=f"{notification.topic}:{tokens}",
        active=_state(notification, row),
        condition=row.condition,
        point=row.point.format((token or "1").replace("|", "_")),
        code=notification.topic,
        held_s=row.held_s,
    )


def _state(notification: Notification, row: Row) -> bool | None:
    if notification.operation == "Deleted":
        return None
    if not row.item:
        return notification.operation != "Initialized"
    text = notification.data.get(row.item)
    if text is None and len(notification.data) == 1:
        text = next(iter(notification.data.values()))  # renamed, but the only one there is
    if text is None:
        raise Refusal("missing_key", f"{notification.topic}: no item {row.item}")
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise Refusal("unknown_state", f"{notification.topic}: {row.item} is {text[:40]!r}")
