"""ONVIF Device service (ver10): who the camera is, what it can do, its clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element

from simulator.cameras.device import Device
from simulator.cameras.soap import NAMESPACES, SoapFault, child_text, escape

MANUFACTURER, MODEL, FIRMWARE = "Jifang Simulator", "JS-2M", "1.0.0"
PTZ_MODEL = "JS-2M-PTZ"

PRE_AUTH = frozenset(
    {"GetSystemDateAndTime", "GetServices", "GetServiceCapabilities", "GetCapabilities", "GetHostname"}
)
"""Access class PRE_AUTH of the Device service (ONVIF Core, table of access classes): open to everyone."""

SERVICES = (
    ("tds", "/onvif/device_service", (22, 6)),
    ("trt", "/onvif/media_service", (19, 6)),
    ("tev", "/onvif/event_service", (22, 6)),
    ("tptz", "/onvif/ptz_service", (20, 12)),
)


def _services(device: Device) -> list[tuple[str, str, tuple[int, int]]]:
    return [service for service in SERVICES if service[0] != "tptz" or device.spec.ptz]


def get_system_date_and_time(device: Device, _body: Element) -> str:
    """Open to everyone, so that a client can sign with the camera's clock."""
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone>"
        f"<tt:UTCDateTime>{_date_time(device.now())}</tt:UTCDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _date_time(now: datetime) -> str:
    return (
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date>"
    )


def get_device_information(device: Device, _body: Element) -> str:
    """Maker, model, firmware, serial number."""
    model = PTZ_MODEL if device.spec.ptz else MODEL
    return (
        f"<tds:GetDeviceInformationResponse><tds:Manufacturer>{MANUFACTURER}</tds:Manufacturer>"
        f"<tds:Model>{model}</tds:Model><tds:FirmwareVersion>{FIRMWARE}</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{device.spec.serial}</tds:SerialNumber><tds:HardwareId>{model}</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def get_services(device: Device, body: Element) -> str:
    """Every service with its address, and its capabilities where asked for."""
    with_capabilities = child_text(body, "tds:IncludeCapability") in ("true", "1")
    parts = []
    for prefix, path, (major, minor) in _services(device):
        capability = (
            f"<tds:Capabilities>{_CAPABILITIES[prefix]}</tds:Capabilities>" if with_capabilities else ""
        )
        parts.append(
            f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace>"
            f"<tds:XAddr>{device.service(path)}</tds:XAddr>{capability}"
            f"<tds:Version><tt:Major>{major}</tt:Major><tt:Minor>{minor}</tt:Minor></tds:Version></tds:Service>"
        )
    return f"<tds:GetServicesResponse>{''.join(parts)}</tds:GetServicesResponse>"


_DEVICE_CAPABILITIES = (
    '<tds:Capabilities><tds:Network IPFilter="false" ZeroConfiguration="false" IPVersion6="false"/>'
    '<tds:Security UsernameToken="true" HttpDigest="false" TLS1.2="false"/>'
    '<tds:System DiscoveryBye="true" DiscoveryResolve="false" RemoteDiscovery="false"/></tds:Capabilities>'
)
_CAPABILITIES = {
    "tds": _DEVICE_CAPABILITIES,
    "trt": '<trt:Capabilities SnapshotUri="true"><trt:ProfileCapabilities MaximumNumberOfProfiles="2"/>'
    '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="false" RTP_RTSP_TCP="true"/>'
    "</trt:Capabilities>",
    "tev": '<tev:Capabilities WSSubscriptionPolicySupport="false" WSPullPointSupport="true" '
    'MaxPullPoints="10"/>',
    "tptz": '<tptz:Capabilities EFlip="false" Reverse="false" MoveStatus="true" StatusPosition="true"/>',
}


def get_service_capabilities(_device: Device, _body: Element) -> str:
    """The Device service's own capabilities."""
    return f"<tds:GetServiceCapabilitiesResponse>{_DEVICE_CAPABILITIES}</tds:GetServiceCapabilitiesResponse>"


_SYSTEM = "".join(
    f"<tt:{name}>{value}</tt:{name}>"
    for name, value in (
        ("DiscoveryResolve", "false"),
        ("DiscoveryBye", "true"),
        ("RemoteDiscovery", "false"),
        ("SystemBackup", "false"),
        ("SystemLogging", "false"),
        ("FirmwareUpgrade", "false"),
        ("SupportedVersions", "<tt:Major>22</tt:Major><tt:Minor>6</tt:Minor>"),
    )
)


def _device_part(device: Device) -> str:
    return (
        f"<tt:Device><tt:XAddr>{device.service('/onvif/device_service')}</tt:XAddr>"
        f"<tt:System>{_SYSTEM}</tt:System></tt:Device>"
    )


def _events_part(device: Device) -> str:
    return (
        f"<tt:Events><tt:XAddr>{device.service('/onvif/event_service')}</tt:XAddr>"
        "<tt:WSSubscriptionPolicySupport>false</tt:WSSubscriptionPolicySupport>"
        "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
        "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
        "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
    )


def _media_part(device: Device) -> str:
    return (
        f"<tt:Media><tt:XAddr>{device.service('/onvif/media_service')}</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>false</tt:RTP_TCP>"
        "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
    )


def _ptz_part(device: Device) -> str:
    return f"<tt:PTZ><tt:XAddr>{device.service('/onvif/ptz_service')}</tt:XAddr></tt:PTZ>"


_PARTS: dict[str, Callable[[Device], str]] = {
    "Device": _device_part,
    "Events": _events_part,
    "Media": _media_part,
    "PTZ": _ptz_part,
}


def get_capabilities(device: Device, body: Element) -> str:
    """The older way to learn the services' addresses."""
    asked = {text for e in body.findall("tds:Category", NAMESPACES) if (text := (e.text or "").strip())}
    have = {name: part for name, part in _PARTS.items() if name != "PTZ" or device.spec.ptz}
    if asked and "All" not in asked:
        if not asked <= have.keys():
            raise SoapFault.sender("ActionNotSupported", "no such service", "NoSuchService")
        have = {name: part for name, part in have.items() if name in asked}
    parts = "".join(part(device) for part in have.values())
    whole = f"<tds:Capabilities>{parts}</tds:Capabilities>"
    return f"<tds:GetCapabilitiesResponse>{whole}</tds:GetCapabilitiesResponse>"


def scopes(device: Device) -> list[str]:
    """The camera's scope addresses, for GetScopes and for WS-Discovery."""
    kinds = ["video_encoder", "Network_Video_Transmitter"] + (["ptz"] if device.spec.ptz else [])
    return [
        *(f"onvif://www.onvif.org/type/{kind}" for kind in kinds),
        "onvif://www.onvif.org/Profile/Streaming",
        f"onvif://www.onvif.org/hardware/{PTZ_MODEL if device.spec.ptz else MODEL}",
        f"onvif://www.onvif.org/name/{quote(device.spec.id)}",
        f"onvif://www.onvif.org/location/{quote(device.spec.name)}",
    ]


def get_scopes(device: Device, _body: Element) -> str:
    """The camera's scopes; the name and the place may be changed in principle, the rest is fixed."""
    parts = []
    for scope in scopes(device):
        loose = "/name/" in scope or "/location/" in scope
        kind = "Configurable" if loose else "Fixed"
        parts.append(
            f"<tds:Scopes><tt:ScopeDef>{kind}</tt:ScopeDef><tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        )
    return f"<tds:GetScopesResponse>{''.join(parts)}</tds:GetScopesResponse>"


def get_hostname(device: Device, _body: Element) -> str:
    """The host name, made of the camera's id."""
    return (
        "<tds:GetHostnameResponse><tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP>"
        f"<tt:Name>{escape(device.spec.id)}</tt:Name></tds:HostnameInformation></tds:GetHostnameResponse>"
    )


def get_network_interfaces(device: Device, _body: Element) -> str:
    """One interface: a locally administered hardware address of its own, and the address it is served at."""
    tail = hashlib.sha256(device.spec.serial.encode()).digest()[:5]
    hardware = ":".join(f"{octet:02x}" for octet in (0x02, *tail))
    host = urlsplit(device.address.onvif).hostname or ""
    return (
        '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled>'
        f"<tt:Info><tt:Name>eth0</tt:Name><tt:HwAddress>{hardware}</tt:HwAddress><tt:MTU>1500</tt:MTU></tt:Info>"
        "<tt:IPv4><tt:Enabled>true</tt:Enabled><tt:Config><tt:Manual>"
        f"<tt:Address>{escape(host)}</tt:Address><tt:PrefixLength>24</tt:PrefixLength></tt:Manual>"
        "<tt:DHCP>false</tt:DHCP></tt:Config></tt:IPv4>"
        "</tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>"
    )


def get_network_default_gateway(_device: Device, _body: Element) -> str:
    """A simulated camera needs no way out of its own machine."""
    return (
        "<tds:GetNetworkDefaultGatewayResponse><tds:NetworkGateway/></tds:GetNetworkDefaultGatewayResponse>"
    )


def get_dns(_device: Device, _body: Element) -> str:
    """No name server."""
    return (
        "<tds:GetDNSResponse><tds:DNSInformation><tt:FromDHCP>false</tt:FromDHCP></tds:DNSInformation>"
        "</tds:GetDNSResponse>"
    )


def get_ntp(_device: Device, _body: Element) -> str:
    """The clock comes from the machine; no server is named."""
    return (
        "<tds:GetNTPResponse><tds:NTPInformation><tt:FromDHCP>false</tt:FromDHCP></tds:NTPInformation>"
        "</tds:GetNTPResponse>"
    )


OPERATIONS: dict[str, Callable[[Device, Element], str]] = {
    "GetNetworkDefaultGateway": get_network_default_gateway,
    "GetDNS": get_dns,
    "GetNTP": get_ntp,
    "GetSystemDateAndTime": get_system_date_and_time,
    "GetDeviceInformation": get_device_information,
    "GetServices": get_services,
    "GetServiceCapabilities": get_service_capabilities,
    "GetCapabilities": get_capabilities,
    "GetScopes": get_scopes,
    "GetHostname": get_hostname,
    "GetNetworkInterfaces": get_network_interfaces,
}
