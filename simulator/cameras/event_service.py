"""ONVIF Event service (ver10): pull points, with renewal, and what is pulled from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from simulator.cameras.device import Device
from simulator.cameras.media_service import SOURCE_CONFIGURATION, SOURCE_TOKEN
from simulator.cameras.pullpoint import Message, PullPoint, Topic
from simulator.cameras.soap import NAMESPACES, SoapFault, child_text, duration_s

SUBSCRIPTION_PATH = "/onvif/subscription/"
LONGEST_PULL_S = 60.0
MOST_MESSAGES = 100

_CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
_CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"


def iso(instant: datetime) -> str:
    """An xs:dateTime in UTC with milliseconds."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def deadline(text: str, field: str) -> timedelta | datetime | None:
    """An AbsoluteOrRelativeTimeType; None where none was given. Raises SoapFault naming the field."""
    if not text:
        return None
    if text.startswith("P"):
        return timedelta(seconds=duration_s(text, field))
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SoapFault.sender("InvalidArgVal", f"{field}: {text[:40]!r} is no time") from error


def create_pull_point_subscription(device: Device, body: Element) -> str:
    """A new subscription at an address of its own."""
    _check_filter(body)
    wanted = deadline(child_text(body, "tev:InitialTerminationTime"), "InitialTerminationTime")
    point = device.events.subscribe(wanted)
    return (
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
        f"<wsa:Address>{device.service(SUBSCRIPTION_PATH + point.key)}</wsa:Address>"
        f"</tev:SubscriptionReference>{_times(device, point, 'wsnt')}"
        "</tev:CreatePullPointSubscriptionResponse>"
    )


def _check_filter(body: Element) -> None:
    """Filters are not supported by these cameras, as by many: said, not silently ignored."""
    wanted = body.find("tev:Filter", NAMESPACES)
    if wanted is not None and len(wanted):
        raise SoapFault("Sender", ("wsnt:InvalidFilterFault",), "filters are not supported")


def _times(device: Device, point: PullPoint, prefix: str) -> str:
    return (
        f"<{prefix}:CurrentTime>{iso(device.now())}</{prefix}:CurrentTime>"
        f"<{prefix}:TerminationTime>{iso(point.expires)}</{prefix}:TerminationTime>"
    )


def renew(device: Device, point: PullPoint, body: Element) -> str:
    """A new time to live."""
    device.events.renew(point, deadline(child_text(body, "wsnt:TerminationTime"), "TerminationTime"))
    return (
        f"<wsnt:RenewResponse><wsnt:TerminationTime>{iso(point.expires)}</wsnt:TerminationTime>"
        f"<wsnt:CurrentTime>{iso(device.now())}</wsnt:CurrentTime></wsnt:RenewResponse>"
    )


def unsubscribe(device: Device, point: PullPoint, _body: Element) -> str:
    """The end of a subscription."""
    device.events.unsubscribe(point)
    return "<wsnt:UnsubscribeResponse/>"


def set_synchronization_point(device: Device, point: PullPoint, _body: Element) -> str:
    """Every property is told again."""
    device.events.synchronise(point)
    return "<tev:SetSynchronizationPointResponse/>"


def pull_limits(body: Element) -> tuple[float, int]:
    """(timeout in s, most messages) of a PullMessages. Raises SoapFault naming the field at fault."""
    timeout_s = duration_s(child_text(body, "tev:Timeout"), "Timeout")
    text = child_text(body, "tev:MessageLimit")
    if not text.isdecimal() or int(text) < 1:
        raise SoapFault.sender("InvalidArgVal", f"MessageLimit: {text[:20]!r} is not a positive number")
    return min(timeout_s, LONGEST_PULL_S), min(int(text), MOST_MESSAGES)


def pulled(device: Device, point: PullPoint, messages: list[Message]) -> str:
    """The answer to PullMessages."""
    parts = "".join(_notification(message) for message in messages)
    return f"<tev:PullMessagesResponse>{_times(device, point, 'tev')}{parts}</tev:PullMessagesResponse>"


def _notification(message: Message) -> str:
    happening = message.happening
    value = "true" if happening.active else "false"
    source, data = _ITEMS[happening.topic]
    items = "".join(f'<tt:SimpleItem Name="{name}" Value="{token}"/>' for name, token in source)
    return (
        f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{_CONCRETE_SET}">{happening.topic}</wsnt:Topic>'
        f'<wsnt:Message><tt:Message UtcTime="{iso(happening.device_at)}" '
        f'PropertyOperation="{message.operation}"><tt:Source>{items}</tt:Source>'
        f'<tt:Data><tt:SimpleItem Name="{data}" Value="{value}"/></tt:Data></tt:Message></wsnt:Message>'
        "</wsnt:NotificationMessage>"
    )


_RULE_SOURCE = (
    ("VideoSourceConfigurationToken", SOURCE_CONFIGURATION),
    ("VideoAnalyticsConfigurationToken", "analytics_1"),
)
_ITEMS: dict[Topic, tuple[tuple[tuple[str, str], ...], str]] = {
    Topic.MOTION: ((*_RULE_SOURCE, ("Rule", "MotionRule")), "IsMotion"),
    Topic.TAMPER_DETECTOR: ((*_RULE_SOURCE, ("Rule", "TamperRule")), "IsTamper"),
    Topic.SCENE_CHANGE: ((("Source", SOURCE_TOKEN),), "State"),
}


def get_event_properties(device: Device, _body: Element) -> str:
    """The topics the camera has, with their items."""
    topics = "".join(_described(topic) for topic in device.events.topics)
    return (
        "<tev:GetEventPropertiesResponse>"
        "<tev:TopicNamespaceLocation>http://www.onvif.org/onvif/ver10/topics/topicns.xml</tev:TopicNamespaceLocation>"
        f"<wsnt:FixedTopicSet>true</wsnt:FixedTopicSet><wstop:TopicSet>{topics}</wstop:TopicSet>"
        f"<wsnt:TopicExpressionDialect>{_CONCRETE_SET}</wsnt:TopicExpressionDialect>"
        f"<wsnt:TopicExpressionDialect>{_CONCRETE}</wsnt:TopicExpressionDialect>"
        "<tev:MessageContentFilterDialect>http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
        "</tev:MessageContentFilterDialect>"
        "<tev:MessageContentSchemaLocation>http://www.onvif.org/onvif/ver10/schema/onvif.xsd"
        "</tev:MessageContentSchemaLocation></tev:GetEventPropertiesResponse>"
    )


def _described(topic: Topic) -> str:
    """One topic as a branch of the topic tree, its description at the leaf."""
    first, *rest = topic.value.split("/")
    source, data = _ITEMS[topic]
    kind = "tt:ReferenceToken"
    items = "".join(
        f'<tt:SimpleItemDescription Name="{name}" Type="{"xs:string" if name == "Rule" else kind}"/>'
        for name, _ in source
    )
    branch = (
        f'<tt:MessageDescription IsProperty="true"><tt:Source>{items}</tt:Source><tt:Data>'
        f'<tt:SimpleItemDescription Name="{data}" Type="xs:boolean"/></tt:Data></tt:MessageDescription>'
    )
    attribute = ' wstop:topic="true"'
    for name in reversed([first, *rest]):
        branch = f"<{name}{attribute}>{branch}</{name}>"
        attribute = ""
    return branch


def get_service_capabilities(_device: Device, _body: Element) -> str:
    """Pull points only."""
    return (
        '<tev:GetServiceCapabilitiesResponse><tev:Capabilities WSSubscriptionPolicySupport="false" '
        'WSPullPointSupport="true" MaxPullPoints="10"/></tev:GetServiceCapabilitiesResponse>'
    )


OPERATIONS: dict[str, Callable[[Device, Element], str]] = {
    "CreatePullPointSubscription": create_pull_point_subscription,
    "GetEventProperties": get_event_properties,
    "GetServiceCapabilities": get_service_capabilities,
}
SUBSCRIPTION_OPERATIONS: dict[tuple[str, str], Callable[[Device, PullPoint, Element], str]] = {
    (NAMESPACES["wsnt"], "Renew"): renew,
    (NAMESPACES["wsnt"], "Unsubscribe"): unsubscribe,
    (NAMESPACES["tev"], "SetSynchronizationPoint"): set_synchronization_point,
}
PULL = (NAMESPACES["tev"], "PullMessages")


def gone() -> SoapFault:
    """The subscription isn't there (any more): ended, run out, or the camera was without power."""
    return SoapFault.sender("InvalidArgVal", "no such subscription", "InvalidSubscription")
