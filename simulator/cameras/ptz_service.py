"""ONVIF PTZ service (ver20): a mount that really takes its time. The looped picture doesn't follow it."""

from __future__ import annotations

from collections.abc import Callable, Container
from xml.etree.ElementTree import Element

from simulator.cameras.device import Device
from simulator.cameras.mount import MAX_PRESETS, Vector
from simulator.cameras.soap import NAMESPACES, SoapFault, child_text, duration_s, escape, quoteattr

NODE, CONFIGURATION = "ptz_node_1", "ptz_config_1"
DEFAULT_TIMEOUT_S = 10.0
_SPACES = "http://www.onvif.org/ver10/tptz"
_RANGE_2D = (
    "<tt:XRange><tt:Min>-1</tt:Min><tt:Max>1</tt:Max></tt:XRange>"
    "<tt:YRange><tt:Min>-1</tt:Min><tt:Max>1</tt:Max></tt:YRange>"
)


def configuration(tag: str) -> str:
    """The one PTZ configuration."""
    return (
        f'<{tag} token="{CONFIGURATION}"><tt:Name>PTZ</tt:Name><tt:UseCount>2</tt:UseCount>'
        f"<tt:NodeToken>{NODE}</tt:NodeToken>"
        "<tt:DefaultAbsolutePantTiltPositionSpace>"
        f"{_SPACES}/PanTiltSpaces/PositionGenericSpace</tt:DefaultAbsolutePantTiltPositionSpace>"
        "<tt:DefaultAbsoluteZoomPositionSpace>"
        f"{_SPACES}/ZoomSpaces/PositionGenericSpace</tt:DefaultAbsoluteZoomPositionSpace>"
        "<tt:DefaultContinuousPanTiltVelocitySpace>"
        f"{_SPACES}/PanTiltSpaces/VelocityGenericSpace</tt:DefaultContinuousPanTiltVelocitySpace>"
        "<tt:DefaultContinuousZoomVelocitySpace>"
        f"{_SPACES}/ZoomSpaces/VelocityGenericSpace</tt:DefaultContinuousZoomVelocitySpace>"
        f"<tt:DefaultPTZTimeout>PT{DEFAULT_TIMEOUT_S:.0f}S</tt:DefaultPTZTimeout></{tag}>"
    )


def _space(tag: str, uri: str, ranges: str) -> str:
    return f"<tt:{tag}><tt:URI>{_SPACES}/{uri}</tt:URI>{ranges}</tt:{tag}>"


def _node(tag: str) -> str:
    zoom = "<tt:XRange><tt:Min>{}</tt:Min><tt:Max>1</tt:Max></tt:XRange>"
    spaces = (
        _space("AbsolutePanTiltPositionSpace", "PanTiltSpaces/PositionGenericSpace", _RANGE_2D)
        + _space("AbsoluteZoomPositionSpace", "ZoomSpaces/PositionGenericSpace", zoom.format(0))
        + _space("ContinuousPanTiltVelocitySpace", "PanTiltSpaces/VelocityGenericSpace", _RANGE_2D)
        + _space("ContinuousZoomVelocitySpace", "ZoomSpaces/VelocityGenericSpace", zoom.format(-1))
    )
    return (
        f'<{tag} token="{NODE}" FixedHomePosition="false"><tt:Name>PTZ</tt:Name>'
        f"<tt:SupportedPTZSpaces>{spaces}</tt:SupportedPTZSpaces>"
        f"<tt:MaximumNumberOfPresets>{MAX_PRESETS}</tt:MaximumNumberOfPresets>"
        f"<tt:HomeSupported>false</tt:HomeSupported></{tag}>"
    )


def get_nodes(_device: Device, _body: Element) -> str:
    """The one node."""
    return f"<tptz:GetNodesResponse>{_node('tptz:PTZNode')}</tptz:GetNodesResponse>"


def get_node(_device: Device, body: Element) -> str:
    """The node by its token."""
    _known(child_text(body, "tptz:NodeToken"), {NODE}, "NodeToken", "NoEntity")
    return f"<tptz:GetNodeResponse>{_node('tptz:PTZNode')}</tptz:GetNodeResponse>"


def get_configurations(_device: Device, _body: Element) -> str:
    """The one configuration."""
    part = configuration("tptz:PTZConfiguration")
    return f"<tptz:GetConfigurationsResponse>{part}</tptz:GetConfigurationsResponse>"


def get_configuration(_device: Device, body: Element) -> str:
    """The configuration by its token."""
    _known(
        child_text(body, "tptz:PTZConfigurationToken"), {CONFIGURATION}, "PTZConfigurationToken", "NoConfig"
    )
    part = configuration("tptz:PTZConfiguration")
    return f"<tptz:GetConfigurationResponse>{part}</tptz:GetConfigurationResponse>"


def continuous_move(device: Device, body: Element) -> str:
    """Moves at a speed until stopped or until the timeout."""
    _profile(body)
    speed = _vector(body, "tptz:Velocity", (0.0, 0.0, 0.0))
    if any(abs(part) > 1 for part in speed):
        raise SoapFault.sender("InvalidArgVal", "Velocity: outside -1 to 1", "InvalidVelocity")
    text = child_text(body, "tptz:Timeout")
    for_s = duration_s(text, "Timeout") if text else DEFAULT_TIMEOUT_S
    device.mount.drive(speed, device.steady_s(), for_s)
    return "<tptz:ContinuousMoveResponse/>"


def absolute_move(device: Device, body: Element) -> str:
    """Moves to a position."""
    _profile(body)
    now = device.steady_s()
    try:
        device.mount.go_to(_vector(body, "tptz:Position", device.mount.at(now)), now)
    except ValueError as error:
        raise SoapFault.sender("InvalidArgVal", f"Position: {error}", "InvalidPosition") from error
    return "<tptz:AbsoluteMoveResponse/>"


def stop(device: Device, body: Element) -> str:
    """Stands still."""
    _profile(body)
    device.mount.stop(device.steady_s())
    return "<tptz:StopResponse/>"


def get_status(device: Device, body: Element) -> str:
    """Where the mount stands now and whether it moves."""
    _profile(body)
    now = device.steady_s()
    said = "MOVING" if device.mount.moving(now) else "IDLE"
    return (
        f"<tptz:GetStatusResponse><tptz:PTZStatus><tt:Position>{_position(device.mount.at(now))}</tt:Position>"
        f"<tt:MoveStatus><tt:PanTilt>{said}</tt:PanTilt><tt:Zoom>{said}</tt:Zoom></tt:MoveStatus>"
        f"<tt:UtcTime>{device.now():%Y-%m-%dT%H:%M:%SZ}</tt:UtcTime></tptz:PTZStatus></tptz:GetStatusResponse>"
    )


def get_presets(device: Device, body: Element) -> str:
    """Everything that was set."""
    _profile(body)
    parts = "".join(
        f"<tptz:Preset token={quoteattr(token)}><tt:Name>{escape(name)}</tt:Name>"
        f"<tt:PTZPosition>{_position(place)}</tt:PTZPosition></tptz:Preset>"
        for token, (name, place) in device.mount.presets.items()
    )
    return f"<tptz:GetPresetsResponse>{parts}</tptz:GetPresetsResponse>"


def goto_preset(device: Device, body: Element) -> str:
    """Moves to a preset."""
    _profile(body)
    token = child_text(body, "tptz:PresetToken")
    _known(token, device.mount.presets.keys(), "PresetToken", "NoToken")
    device.mount.go_to(device.mount.presets[token][1], device.steady_s())
    return "<tptz:GotoPresetResponse/>"


def set_preset(device: Device, body: Element) -> str:
    """Keeps the present position under a name; over an old one where its token is given."""
    _profile(body)
    token, name = child_text(body, "tptz:PresetToken"), child_text(body, "tptz:PresetName")
    presets = device.mount.presets
    if token:
        _known(token, presets.keys(), "PresetToken", "NoToken")
    elif len(presets) >= MAX_PRESETS:
        raise SoapFault("Receiver", ("ter:Action", "ter:TooManyPresets"), "no room for another preset", 500)
    else:
        token = next(str(number) for number in range(1, MAX_PRESETS + 1) if str(number) not in presets)
    presets[token] = (name[:64] or token, device.mount.at(device.steady_s()))
    said = f"<tptz:PresetToken>{escape(token)}</tptz:PresetToken>"
    return f"<tptz:SetPresetResponse>{said}</tptz:SetPresetResponse>"


def get_service_capabilities(_device: Device, _body: Element) -> str:
    """It knows its position and whether it moves."""
    return (
        '<tptz:GetServiceCapabilitiesResponse><tptz:Capabilities EFlip="false" Reverse="false" '
        'MoveStatus="true" StatusPosition="true"/></tptz:GetServiceCapabilitiesResponse>'
    )


def _known(token: str, tokens: Container[str], field: str, subcode: str) -> None:
    if token not in tokens:
        raise SoapFault.sender("InvalidArgVal", f"{field}: no {token[:40]!r}", subcode)


def _profile(body: Element) -> None:
    _known(
        child_text(body, "tptz:ProfileToken"), {"profile_main", "profile_sub"}, "ProfileToken", "NoProfile"
    )


def _vector(body: Element, path: str, default: Vector) -> Vector:
    """A PTZVector or PTZSpeed; axes that are left out keep their default."""
    pan_tilt = body.find(f"{path}/tt:PanTilt", NAMESPACES)
    zoom = body.find(f"{path}/tt:Zoom", NAMESPACES)
    pan, tilt, closer = default
    try:
        if pan_tilt is not None:
            pan, tilt = float(pan_tilt.get("x", "")), float(pan_tilt.get("y", ""))
        if zoom is not None:
            closer = float(zoom.get("x", ""))
    except ValueError as error:
        raise SoapFault.sender("InvalidArgVal", f"{path.removeprefix('tptz:')}: {error}") from error
    return pan, tilt, closer


def _position(place: Vector) -> str:
    pan, tilt, zoom = place
    return (
        f'<tt:PanTilt x="{pan:.4f}" y="{tilt:.4f}" space="{_SPACES}/PanTiltSpaces/PositionGenericSpace"/>'
        f'<tt:Zoom x="{zoom:.4f}" space="{_SPACES}/ZoomSpaces/PositionGenericSpace"/>'
    )


OPERATIONS: dict[str, Callable[[Device, Element], str]] = {
    "GetNodes": get_nodes,
    "GetNode": get_node,
    "GetConfigurations": get_configurations,
    "GetConfiguration": get_configuration,
    "ContinuousMove": continuous_move,
    "AbsoluteMove": absolute_move,
    "Stop": stop,
    "GetStatus": get_status,
    "GetPresets": get_presets,
    "GotoPreset": goto_preset,
    "SetPreset": set_preset,
    "GetServiceCapabilities": get_service_capabilities,
}
