"""WS-Discovery for all simulated cameras: Probe answered with one ProbeMatches a camera, Hello, Bye."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import cast
from xml.etree import ElementTree as ET

from simulator.cameras import device_service
from simulator.cameras.device import Device
from simulator.cameras.soap import SoapFault, escape, parse

GROUP, PORT = "239.255.255.250", 3702
MAX_PROBE = 8192
PROBES_A_SECOND = 20

_WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_NETWORK = "http://www.onvif.org/ver10/network/wsdl"
_ANONYMOUS = f"{_WSA}/role/anonymous"
_TO_ALL = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
_TYPES = {"NetworkVideoTransmitter", "Device"}


def envelope(action: str, to: str, body: str, relates_to: str = "") -> bytes:
    """A WS-Discovery message (the 2005/04 version, as ONVIF Core section 7 asks for)."""
    relates = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{_SOAP}" xmlns:a="{_WSA}" '
        f'xmlns:d="{_WSD}" xmlns:dn="{_NETWORK}"><s:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>'
        f"{relates}<a:To>{to}</a:To><a:Action>{_WSD}/{action}</a:Action></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _described(device: Device) -> str:
    scopes = escape(" ".join(device_service.scopes(device)))
    return (
        f"<a:EndpointReference><a:Address>{device.spec.endpoint}</a:Address></a:EndpointReference>"
        f"<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}</d:Scopes>"
        f"<d:XAddrs>{escape(device.address.onvif)}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
    )


def answers(data: bytes, devices: Sequence[Device]) -> list[bytes]:
    """What the cameras reply to a datagram: nothing unless it is a Probe that asks for such as them."""
    if len(data) > MAX_PROBE:
        return []
    try:
        call = parse(data)
    except SoapFault:
        return []
    if (call.namespace, call.operation) != (_WSD, "Probe") or not _wants_cameras(call.body):
        return []
    message_id = "" if call.header is None else call.header.findtext(f"{{{_WSA}}}MessageID", "")
    wanted = _wanted_scopes(call.body)
    return [
        envelope(
            "ProbeMatches",
            _ANONYMOUS,
            f"<d:ProbeMatches><d:ProbeMatch>{_described(device)}</d:ProbeMatch></d:ProbeMatches>",
            message_id.strip(),
        )
        for device in devices
        if "cut" not in device.states and _in_scope(device, wanted)
    ]


def _wants_cameras(probe: ET.Element) -> bool:
    """Whether the probe's types, their prefixes aside, are among ours; no types means everything."""
    types = (probe.findtext(f"{{{_WSD}}}Types") or "").split()
    return {name.rpartition(":")[2] for name in types} <= _TYPES


def _wanted_scopes(probe: ET.Element) -> list[str]:
    return (probe.findtext(f"{{{_WSD}}}Scopes") or "").split()


def _in_scope(device: Device, wanted: Sequence[str]) -> bool:
    """Each wanted scope must be one of the camera's, or a parent of it (RFC 2396 matching)."""
    own = device_service.scopes(device)
    return all(any(f"{have}/".startswith(want.rstrip("/") + "/") for have in own) for want in wanted)


class Responder(asyncio.DatagramProtocol):
    """Listens on the WS-Discovery group; does without where the port can't be had."""

    def __init__(self, devices: Callable[[], Sequence[Device]], host: str) -> None:
        self._devices, self._host = devices, host
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()
        self._tokens, self._filled_s = float(PROBES_A_SECOND), time.monotonic()

    async def start(self) -> None:
        """Joins the group, says Hello for every camera."""
        try:
            listening = _listen(self._host)
        except OSError as error:
            sys.stderr.write(f"WS-Discovery is off: {GROUP}:{PORT} can't be had ({error})\n")
            return
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=listening)
        self._tell("Hello")

    async def stop(self) -> None:
        """Says Bye and leaves."""
        if self._transport is not None:
            self._tell("Bye")
            self._transport.close()
            self._transport = None
            await self._closed.wait()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is None or not self._allowed():
            return
        for answer in answers(data, self._devices()):
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """An earlier answer didn't reach its asker; nothing hangs on it."""

    def _allowed(self) -> bool:
        """A probe from anywhere costs a dozen answers: no more than so many a second."""
        now = time.monotonic()
        self._tokens = min(PROBES_A_SECOND, self._tokens + (now - self._filled_s) * PROBES_A_SECOND)
        self._filled_s = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _tell(self, action: str) -> None:
        if self._transport is None:
            return
        for device in self._devices():
            body = f"<d:{action}>{_described(device)}</d:{action}>"
            try:
                self._transport.sendto(envelope(action, _TO_ALL, body), (GROUP, PORT))
            except OSError:
                return


def _listen(host: str) -> socket.socket:
    """A socket on the group's port, shared with whoever else listens there. Raises OSError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("", PORT))
        # Both on the cameras' own address and on the default way out: a machine may lack either.
        joined = [_join(listening, interface) for interface in (host, "0.0.0.0")]
        if not any(joined):
            raise OSError("no interface can join the group")
        own = socket.inet_aton(host)
        listening.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _join(listening: socket.socket, interface: str) -> bool:
    request = struct.pack("=4s4s", socket.inet_aton(GROUP), socket.inet_aton(interface))
    try:
        listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError:
        return False
    return True
