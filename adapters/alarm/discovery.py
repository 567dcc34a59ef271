"""Home Assistant's MQTT discovery documents: abbreviations, `~`, availability, value templates.

Source: Home Assistant documentation, "MQTT Discovery" (2024.12: device documents with `components`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal

LONG_NAMES = {
    "avty": "availability",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "p": "platform",
    "pl_arm_away": "payload_arm_away",
    "pl_arm_home": "payload_arm_home",
    "pl_arm_nite": "payload_arm_night",
    "pl_avail": "payload_available",
    "pl_disarm": "payload_disarm",
    "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "val_tpl": "value_template",
}
DEVICE_LONG_NAMES = {
    "ids": "identifiers",
    "mdl": "model",
    "mf": "manufacturer",
    "sn": "serial_number",
    "sw": "sw_version",
}
MAX_TOPIC = 512
REPORTING = ("alarm_control_panel", "binary_sensor")
"""Components for which Home Assistant's MQTT integration requires a `state_topic`."""
MAX_NAME = 128

Document: TypeAlias = dict[str, Any]
Reader: TypeAlias = Callable[[Heard], str]
"""Payload to the text that is compared with `payload_on` and the like. Raises `Refusal`."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Where and how a device says that it is there."""

    topic: str
    online: str
    offline: str
    read: Reader


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of a discovery document, in long names."""

    node: str
    object_id: str
    component: str
    unique_id: str
    name: str
    device_class: str
    state_topic: str
    read: Reader
    availability: tuple[Availability, ...]
    settings: Mapping[str, str]
    """Payloads and the command topic, by long name."""
    device: Mapping[str, str]
    identifiers: tuple[str, ...]


def entities_of(heard: Heard) -> tuple[Entity, ...]:
    """The entities a discovery message describes; none where the payload is empty (the device was removed).

    Raises `Refusal` naming the key at fault.
    """
    if not heard.payload.strip():
        return ()
    where = heard.topic.split("/")
    component, node, object_id = where[1], where[2] if len(where) == 5 else "", where[-2]
    document = _document(heard)
    if component == "device":
        return tuple(_components(document, node, object_id, heard))
    return (_entity(document, component, node, object_id, heard),)


def _document(heard: Heard) -> Document:
    try:
        found = msgspec.json.decode(heard.text.encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("not_json", f"{heard.topic}: {error}", heard.payload) from error
    if not isinstance(found, dict):
        raise Refusal("wrong_type", f"{heard.topic}: discovery is not a JSON object", heard.payload)
    return _in_long_names(found)


def _in_long_names(document: Document) -> Document:
    longer = {LONG_NAMES.get(key, key): value for key, value in document.items()}
    base = longer.get("~")
    if isinstance(base, str):
        longer = {key: _with_base(key, value, base) for key, value in longer.items()}
    if isinstance(longer.get("device"), dict):
        longer["device"] = {DEVICE_LONG_NAMES.get(k, k): v for k, v in longer["device"].items()}
    return longer


def _with_base(key: str, value: object, base: str) -> object:
    if isinstance(value, list):
        return [_with_base("topic", entry, base) for entry in value]
    if isinstance(value, dict) and key == "topic":
        return {k: _with_base("topic" if k in ("t", "topic") else k, v, base) for k, v in value.items()}
    if not isinstance(value, str) or not key.endswith("topic"):
        return value
    if value.startswith("~"):
        return base + value[1:]
    return value[:-1] + base if value.endswith("~") else value


def _components(document: Document, node: str, object_id: str, heard: Heard) -> Iterator[Entity]:
    components = document.get("components")
    if not isinstance(components, dict):
        raise Refusal("wrong_type", f"{heard.topic}: $.components is not an object", heard.payload)
    shared = {key: value for key, value in document.items() if key != "components"}
    for key, part in components.items():
        if isinstance(part, dict) and len(part) > 1:  # a lone `platform` removes the component
            whole = {**shared, **_in_long_names({"~": document.get("~"), **part})}
            yield _entity(whole, str(whole.get("platform", "")), node or object_id, str(key), heard)


def _entity(document: Document, component: str, node: str, object_id: str, heard: Heard) -> Entity:
    device = document.get("device")
    device = device if isinstance(device, dict) else {}
    identifiers = device.get("identifiers", [])
    identifiers = identifiers if isinstance(identifiers, list) else [identifiers]
    known = tuple(str(one)[:MAX_NAME] for one in identifiers if isinstance(one, str | int))
    return Entity(
        node=(node or (known[0] if known else object_id))[:MAX_NAME],
        object_id=object_id[:MAX_NAME],
        component=component,
        unique_id=_text(document, "unique_id", heard)[:MAX_NAME],
        name=_text(document, "name", heard)[:MAX_NAME],
        device_class=_text(document, "device_class", heard),
        state_topic=_state_topic(document, component, heard),
        read=reader(_text(document, "value_template", heard), heard),
        availability=_availabilities(document, heard),
        settings={
            "command_topic": _topic(document, "command_topic", heard),
            **{key: _word(value) for key, value in document.items() if key.startswith("payload_")},
        },
        device={
            key: str(value)[:MAX_NAME]
            for key, value in device.items()
            if isinstance(value, str | int | float)
        },
        identifiers=known,
    )


def _text(document: Document, key: str, heard: Heard) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal("wrong_type", f"{heard.topic}: $.{key} is not a string", heard.payload)
    return value


def _topic(document: Document, key: str, heard: Heard) -> str:
    topic = _text(document, key, heard)
    if len(topic) > MAX_TOPIC or any(mark in topic for mark in "+#\0"):
        raise Refusal("bad_topic", f"{heard.topic}: $.{key} is no topic: {topic[:80]!r}", heard.payload)
    if topic.startswith(("jifang/", "$")):
        # Our own bus lies there: a device may neither have us listen to it nor write orders into it.
        raise Refusal("forbidden_topic", f"{heard.topic}: $.{key} may not be {topic[:80]!r}", heard.payload)
    return topic


def _state_topic(document: Document, component: str, heard: Heard) -> str:
    topic = _topic(document, "state_topic", heard)
    if component in REPORTING and not topic:
        raise Refusal("missing_key", f"{heard.topic}: $.state_topic is missing", heard.payload)
    return topic


def _availabilities(document: Document, heard: Heard) -> tuple[Availability, ...]:
    listed = document.get("availability")
    entries = listed if isinstance(listed, list) else []
    if document.get("availability_topic"):
        single = {
            "topic": document["availability_topic"],
            "value_template": document.get("availability_template"),
            "payload_available": document.get("payload_available"),
            "payload_not_available": document.get("payload_not_available"),
        }
        entries = [*entries, single]
    return tuple(_availability(_in_long_names(one), heard) for one in entries if isinstance(one, dict))


def _availability(entry: Document, heard: Heard) -> Availability:
    return Availability(
        topic=_topic(entry, "topic", heard),
        online=_word(entry.get("payload_available"), "online"),
        offline=_word(entry.get("payload_not_available"), "offline"),
        read=reader(_text(entry, "value_template", heard), heard),
    )


def _word(value: object, default: str = "") -> str:
    """A JSON value as a template would render it (`True`, not `true`)."""
    return default if value is None else str(value)


_EXPRESSION = re.compile(
    r"\{\{-?\s*(value|value_json(?P<path>(?:\.\w+|\[[^\]]+\])*))\s*(?P<filters>(?:\|[^}]*)?)-?\}\}"
)
_STEP = re.compile(r"\.(\w+)|\[\s*(?:'([^']*)'|\"([^\"]*)\"|(\d+))\s*\]")
_FILTERS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "string": str,
    "int": lambda text: str(int(float(text))),
}


def reader(template: str, heard: Heard) -> Reader:
    """Makes a reader of a value template: `{{ value }}`, `{{ value_json.a['b'][0] | upper }}`, or none.

    Templates that compute need Jinja, which is a programming language we don't run for strangers: `Refusal`.
    """
    if not template.strip():
        return lambda message: message.text.strip()
    match = _EXPRESSION.fullmatch(template.strip())
    filters = [word.strip() for word in match["filters"].split("|") if word.strip()] if match else []
    if match is None or any(word not in _FILTERS for word in filters):
        raise Refusal("template", f"{heard.topic}: template not supported: {template[:120]!r}", heard.payload)
    path = None if match[1] == "value" else _steps(match["path"])
    return lambda message: _rendered(message, path, filters)


def _steps(path: str) -> list[str | int]:
    return [int(step[3]) if step[3] else step[0] or step[1] or step[2] for step in _STEP.findall(path)]


def _rendered(message: Heard, path: list[str | int] | None, filters: list[str]) -> str:
    text = message.text
    if path is not None:
        text = _word(_at(message, path), "None")
    try:
        for name in filters:
            text = _FILTERS[name](text)
    except (ValueError, OverflowError) as error:
        raise Refusal("wrong_type", f"{message.topic}: {error}", message.payload) from error
    return text.strip()


def _at(message: Heard, path: list[str | int]) -> object:
    try:
        value: Any = msgspec.json.decode(message.text.encode())
        for step in path:
            value = value[step]
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("not_json", f"{message.topic}: {error}", message.payload) from error
    except (KeyError, IndexError, TypeError) as error:
        raise Refusal("missing_key", f"{message.topic}: no {path} in the payload", message.payload) from error
    return value
