"""An answer to PullMessages, read without its schema: what real cameras send seldom keeps to it.

Source: ONVIF Core Specification, "Event handling" (PullMessagesResponse, tt:Message); OASIS
WS-BaseNotification 1.3 (NotificationMessage).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree  # type: ignore[import-untyped]

from adapters.refusal import Refusal

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_ITEM = 256


@dataclass(frozen=True, slots=True)
class Notification:
    """One tt:Message with its topic."""

    topic: str
    """Without prefixes and spaces: `RuleEngine/CellMotionDetector/Motion`."""
    at: datetime | None
    """UtcTime, the camera's clock."""
    operation: str
    """`Initialized`, `Changed`, `Deleted`; `Changed` where the camera leaves it out."""
    source: Mapping[str, str]
    data: Mapping[str, str]
    raw: bytes = field(default=b"", repr=False, compare=False)
    """As it came."""


def notifications_of(answer: bytes) -> tuple[Notification | Refusal, ...]:
    """The notifications in an answer, in order; a `Refusal` in the place of each that can't be read.

    Raises `Refusal` where the whole answer is no PullMessagesResponse.
    """
    if len(answer) > MAX_ANSWER_BYTES:
        raise Refusal("too_large", f"answer of {len(answer)} bytes is over {MAX_ANSWER_BYTES}", answer)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(answer, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Refusal("not_xml", f"answer is not XML: {error}", answer) from error
    if not any(_name(element) == "PullMessagesResponse" for element in _within(root)):
        raise Refusal("wrong_type", f"answer is no PullMessagesResponse but {_name(root)[:40]}", answer)
    return tuple(_one(element) for element in _within(root) if _name(element) == "NotificationMessage")


def _one(element: etree._Element) -> Notification | Refusal:
    topic = message = None
    for part in _within(element):
        if _name(part) == "Topic":
            topic = "".join(part.itertext())
        elif _name(part) == "Message" and part.get("UtcTime") is not None:
            message = part
    if not topic or message is None:
        return Refusal("missing_key", "notification without Topic or UtcTime", etree.tostring(element))
    return Notification(
        topic=_path(topic),
        at=_instant(message.get("UtcTime")),
        operation=message.get("PropertyOperation") or "Changed",
        source=_items(message, "Source"),
        data=_items(message, "Data"),
        raw=etree.tostring(element),
    )


def enveloped(raw: bytes) -> bytes:
    """An answer that holds a notification kept by itself; a whole answer stays what it is."""
    if b"PullMessagesResponse" in raw:
        return raw
    return b"<PullMessagesResponse>" + raw + b"</PullMessagesResponse>"


def _path(topic: str) -> str:
    return "/".join(level.strip().rpartition(":")[2] for level in topic.strip().split("/"))


def _items(message: etree._Element, part: str) -> dict[str, str]:
    found = {}
    for group in _within(message):
        if _name(group) in (part, "Key" if part == "Source" else part):
            for item in _within(group):
                if _name(item) == "SimpleItem" and item.get("Name"):
                    found[item.get("Name")[:MAX_ITEM]] = (item.get("Value") or "").strip()[:MAX_ITEM]
    return found


def _instant(text: str) -> datetime | None:
    """An xs:dateTime; without a zone it is UTC, as the attribute's name says. None where it is none."""
    try:
        instant = datetime.fromisoformat(text.strip())
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _within(element: etree._Element) -> Iterator[etree._Element]:
    return (part for part in element.iter() if isinstance(part.tag, str))


def _name(element: etree._Element) -> str:
    return str(etree.QName(element).localname)
