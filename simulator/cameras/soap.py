"""SOAP 1.2 envelopes: requests taken apart, answers and faults put together. No I/O."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

__all__ = ["NAMESPACES", "Call", "SoapFault", "answer", "child_text", "escape", "fault", "parse", "quoteattr"]

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
NAMESPACES = {
    "s": ENVELOPE,
    "wsa": ADDRESSING,
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wstop": "http://docs.oasis-open.org/wsn/t-1",
    "wsrf-rw": "http://docs.oasis-open.org/wsrf/rw-2",
    "tns1": "http://www.onvif.org/ver10/topics",
    "xs": "http://www.w3.org/2001/XMLSchema",
}
_DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())


class SoapFault(Exception):
    """What the caller did wrong (Sender) or what failed here (Receiver), in ONVIF's subcodes."""

    def __init__(self, code: str, subcodes: tuple[str, ...], reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.code, self.subcodes, self.reason, self.status = code, subcodes, reason, status

    @classmethod
    def sender(cls, subcode: str, reason: str, detail: str = "") -> SoapFault:
        """The caller's fault; `detail` is a second, finer subcode."""
        return cls("Sender", (f"ter:{subcode}", *([f"ter:{detail}"] if detail else [])), reason)


@dataclass(frozen=True)
class Call:
    """One request: the operation's namespace and name, its element, and the header, if there is one."""

    namespace: str
    operation: str
    body: ET.Element
    header: ET.Element | None
    message_id: str
    action: str


def parse(data: bytes) -> Call:
    """Raises SoapFault where the bytes are no SOAP 1.2 request."""
    # A document type could define entities; SOAP 1.2 (part 1, section 5) forbids it anyway.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise SoapFault.sender("WellFormed", "a document type declaration is not allowed")
    try:
        root = ET.fromstring(data)  # noqa: S314
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SoapFault.sender("WellFormed", f"not well-formed XML: {error}") from error
    if root.tag != f"{{{ENVELOPE}}}Envelope":
        raise SoapFault("VersionMismatch", (), "the root element is not a SOAP 1.2 envelope")
    body = root.find("s:Body", NAMESPACES)
    if body is None or len(body) != 1:
        raise SoapFault.sender("WellFormed", "the body must hold exactly one element")
    return _call(root.find("s:Header", NAMESPACES), body[0])


def _call(header: ET.Element | None, element: ET.Element) -> Call:
    namespace, _, name = element.tag.rpartition("}")
    return Call(
        namespace.lstrip("{"),
        name,
        element,
        header,
        "" if header is None else (header.findtext("wsa:MessageID", "", NAMESPACES) or "").strip(),
        "" if header is None else (header.findtext("wsa:Action", "", NAMESPACES) or "").strip(),
    )


def child_text(element: ET.Element, path: str) -> str:
    """Text of a child by a path in the prefixes of NAMESPACES; empty where there is none."""
    return (element.findtext(path, "", NAMESPACES) or "").strip()


def answer(body: str, call: Call | None = None, action: str = "") -> bytes:
    """An envelope around the body; it refers to the call where that bore a message id."""
    header = ""
    if call is not None and call.message_id:
        said = action or f"{call.action}Response"
        relates = f"<wsa:RelatesTo>{escape(call.message_id)}</wsa:RelatesTo>"
        header = f"<s:Header><wsa:Action>{escape(said)}</wsa:Action>{relates}</s:Header>"
    text = f"<s:Envelope {_DECLARED}>{header}<s:Body>{body}</s:Body></s:Envelope>"
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


def fault(error: SoapFault, call: Call | None = None) -> bytes:
    """A SOAP 1.2 fault."""
    subcode = ""
    for name in reversed(error.subcodes):
        subcode = f"<s:Subcode><s:Value>{name}</s:Value>{subcode}</s:Subcode>"
    body = (
        f"<s:Fault><s:Code><s:Value>s:{error.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(error.reason)}</s:Text></s:Reason></s:Fault>'
    )
    return answer(body, call, action=f"{ADDRESSING}/soap/fault")


_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def duration_s(text: str, field: str) -> float:
    """Seconds of an xs:duration in days, hours, minutes and seconds. Raises SoapFault naming the field."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or text.strip() in ("P", "PT") or text.strip().endswith("T"):
        raise SoapFault.sender("InvalidArgVal", f"{field}: {text[:40]!r} is not a duration")
    parts = {name: float(value) for name, value in match.groupdict(default="0").items()}
    return parts["days"] * 86400 + parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]
