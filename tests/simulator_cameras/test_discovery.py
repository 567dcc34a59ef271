"""WS-Discovery: a probe sent to the group is answered once for each camera that it asks for."""

from __future__ import annotations

import socket
import time
import uuid
from xml.etree import ElementTree as ET

import pytest

from tests.simulator_cameras.running import EAST, NORTH, RunningFleet

GROUP = ("239.255.255.250", 3702)
WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WANTED = {EAST.endpoint, NORTH.endpoint}


def probe(types: str, scopes: str = "") -> tuple[bytes, str]:
    """A Probe and its message id, written out here as ONVIF's example has it."""
    message = f"uuid:{uuid.uuid4()}"
    text = (
        f'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="{WSA}" xmlns:d="{WSD}" '
        'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header>'
        f'<w:MessageID>{message}</w:MessageID><w:To e:mustUnderstand="true">'
        "urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
        f'<w:Action e:mustUnderstand="true">{WSD}/Probe</w:Action></e:Header>'
        f"<e:Body><d:Probe><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes></d:Probe></e:Body></e:Envelope>"
    )
    return text.encode(), message


def ask(data: bytes, relates_to: str, expected: set[str], limit_s: float) -> dict[str, str]:
    """{endpoint: service address} of those that answered; ends early when all expected have."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        asking.bind(("127.0.0.1", 0))
        asking.sendto(data, GROUP)
        end = time.monotonic() + limit_s
        while (left := end - time.monotonic()) > 0 and found.keys() != expected:
            asking.settimeout(left)
            try:
                root = ET.fromstring(asking.recv(65536))  # noqa: S314
            except TimeoutError:
                break
            if root.findtext(f".//{{{WSA}}}RelatesTo") == relates_to:
                address = root.findtext(f".//{{{WSA}}}EndpointReference/{{{WSA}}}Address") or ""
                if address in WANTED:  # another simulator may run on this machine
                    found[address] = root.findtext(f".//{{{WSD}}}XAddrs") or ""
    return found


def test_probe_is_answered_for_every_camera(fleet: RunningFleet) -> None:
    found = ask(*probe("dn:NetworkVideoTransmitter"), WANTED, 5)
    assert found == {
        EAST.endpoint: fleet.fleet.addresses("c-01").onvif,
        NORTH.endpoint: fleet.fleet.addresses("c-02").onvif,
    }


def test_probe_by_scope_finds_only_the_camera_of_that_name(fleet: RunningFleet) -> None:
    scope = "onvif://www.onvif.org/name/c-02"
    assert ask(*probe("dn:NetworkVideoTransmitter", scope), {NORTH.endpoint, ""}, 0.7).keys() == {
        NORTH.endpoint
    }


@pytest.mark.parametrize("data", [b"", b"\xff\x00garbage", b"<x/>", probe("dn:Printer")[0], b"<" * 60000])
def test_other_datagrams_are_not_answered_and_do_no_harm(fleet: RunningFleet, data: bytes) -> None:
    assert ask(data, "", {""}, 0.1) == {}
    assert ask(*probe(""), WANTED, 5).keys() == WANTED
