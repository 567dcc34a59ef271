"""ONVIF Media service (ver10): two profiles, main and sub, their streams and their stills."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from simulator.cameras import ptz_service
from simulator.cameras.device import Device
from simulator.cameras.soap import SoapFault, child_text, escape
from simulator.scenes.reel import Reel

STREAMS = ("main", "sub")
SOURCE_TOKEN, SOURCE_CONFIGURATION = "source_1", "source_config_1"


def profile_token(stream: str) -> str:
    """The token of a stream's profile."""
    return f"profile_{stream}"


def stream_of(device: Device, token: str, field: str = "ProfileToken") -> tuple[str, Reel]:
    """The stream behind a profile's token. Raises SoapFault where there is none or it isn't ready."""
    for stream in STREAMS:
        if token == profile_token(stream):
            return stream, _reel(device, stream)
    raise SoapFault.sender("InvalidArgVal", f"{field}: no profile {token[:40]!r}", "NoProfile")


def _reel(device: Device, stream: str) -> Reel:
    if device.material is None:
        raise SoapFault("Receiver", ("ter:Action",), "the camera is still starting", 500)
    return device.material.streams()[stream][0]


def _resolution(reel: Reel) -> str:
    return f"<tt:Width>{reel.width_px}</tt:Width><tt:Height>{reel.height_px}</tt:Height>"


def _source_configuration(device: Device, tag: str) -> str:
    reel = _reel(device, "main")
    return (
        f'<{tag} token="{SOURCE_CONFIGURATION}"><tt:Name>Source</tt:Name><tt:UseCount>2</tt:UseCount>'
        f"<tt:SourceToken>{SOURCE_TOKEN}</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="{reel.width_px}" height="{reel.height_px}"/></{tag}>'
    )


def _kbit_s(reel: Reel) -> int:
    """The stream's own mean rate over its rendered material."""
    shown_s = max(sum(end - begin for begin, end, _ in reel.clips_us) / 1e6, 1.0)
    return max(1, round(sum(unit[1] for unit in reel.units) * 8 / shown_s / 1000))


def _encoder_configuration(device: Device, stream: str, tag: str) -> str:
    reel = _reel(device, stream)
    return (
        f'<{tag} token="encoder_{stream}"><tt:Name>{stream}</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>H264</tt:Encoding><tt:Resolution>{_resolution(reel)}</tt:Resolution>"
        "<tt:Quality>4</tt:Quality><tt:RateControl>"
        f"<tt:FrameRateLimit>{reel.fps}</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{_kbit_s(reel)}</tt:BitrateLimit></tt:RateControl>"
        f"<tt:H264><tt:GovLength>{reel.fps * 2}</tt:GovLength>"
        "<tt:H264Profile>Baseline</tt:H264Profile></tt:H264>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>0</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        f"<tt:SessionTimeout>PT60S</tt:SessionTimeout></{tag}>"
    )


def _profile(device: Device, stream: str, tag: str) -> str:
    ptz = ptz_service.configuration("tt:PTZConfiguration") if device.spec.ptz else ""
    return (
        f'<{tag} token="{profile_token(stream)}" fixed="true"><tt:Name>{stream}</tt:Name>'
        + _source_configuration(device, "tt:VideoSourceConfiguration")
        + _encoder_configuration(device, stream, "tt:VideoEncoderConfiguration")
        + f"{ptz}</{tag}>"
    )


def get_profiles(device: Device, _body: Element) -> str:
    """Both profiles."""
    parts = "".join(_profile(device, stream, "trt:Profiles") for stream in STREAMS)
    return f"<trt:GetProfilesResponse>{parts}</trt:GetProfilesResponse>"


def get_profile(device: Device, body: Element) -> str:
    """One profile."""
    stream, _ = stream_of(device, child_text(body, "trt:ProfileToken"))
    return f"<trt:GetProfileResponse>{_profile(device, stream, 'trt:Profile')}</trt:GetProfileResponse>"


def get_video_sources(device: Device, _body: Element) -> str:
    """The one sensor."""
    reel = _reel(device, "main")
    return (
        f'<trt:GetVideoSourcesResponse><trt:VideoSources token="{SOURCE_TOKEN}">'
        f"<tt:Framerate>{reel.fps}</tt:Framerate><tt:Resolution>{_resolution(reel)}</tt:Resolution>"
        "</trt:VideoSources></trt:GetVideoSourcesResponse>"
    )


def get_video_source_configurations(device: Device, _body: Element) -> str:
    """The one way the sensor is used."""
    part = _source_configuration(device, "trt:Configurations")
    return f"<trt:GetVideoSourceConfigurationsResponse>{part}</trt:GetVideoSourceConfigurationsResponse>"


def get_video_encoder_configurations(device: Device, _body: Element) -> str:
    """How main and sub are encoded."""
    parts = "".join(_encoder_configuration(device, stream, "trt:Configurations") for stream in STREAMS)
    return f"<trt:GetVideoEncoderConfigurationsResponse>{parts}</trt:GetVideoEncoderConfigurationsResponse>"


def get_video_encoder_configuration(device: Device, body: Element) -> str:
    """How one of them is encoded."""
    token = child_text(body, "trt:ConfigurationToken")
    if token not in {f"encoder_{stream}" for stream in STREAMS}:
        raise SoapFault.sender("InvalidArgVal", f"ConfigurationToken: no {token[:40]!r}", "NoConfig")
    part = _encoder_configuration(device, token.removeprefix("encoder_"), "trt:Configuration")
    return f"<trt:GetVideoEncoderConfigurationResponse>{part}</trt:GetVideoEncoderConfigurationResponse>"


def get_video_encoder_configuration_options(device: Device, body: Element) -> str:
    """What may be set: just what is. The streams were encoded once and are only looped."""
    token = child_text(body, "trt:ConfigurationToken") or child_text(body, "trt:ProfileToken")
    stream = token.removeprefix("encoder_").removeprefix("profile_")
    if stream and stream not in STREAMS:
        raise SoapFault.sender("InvalidArgVal", f"ConfigurationToken: no {token[:40]!r}", "NoConfig")
    reel = _reel(device, stream or "main")
    return (
        "<trt:GetVideoEncoderConfigurationOptionsResponse><trt:Options>"
        f"<tt:QualityRange>{_only(4)}</tt:QualityRange>"
        f"<tt:H264><tt:ResolutionsAvailable>{_resolution(reel)}</tt:ResolutionsAvailable>"
        f"<tt:GovLengthRange>{_only(reel.fps * 2)}</tt:GovLengthRange>"
        f"<tt:FrameRateRange>{_only(reel.fps)}</tt:FrameRateRange>"
        f"<tt:EncodingIntervalRange>{_only(1)}</tt:EncodingIntervalRange>"
        "<tt:H264ProfilesSupported>Baseline</tt:H264ProfilesSupported></tt:H264>"
        "</trt:Options></trt:GetVideoEncoderConfigurationOptionsResponse>"
    )


def _only(value: int) -> str:
    return f"<tt:Min>{value}</tt:Min><tt:Max>{value}</tt:Max>"


def _media_uri(tag: str, uri: str) -> str:
    return (
        f"<trt:{tag}><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
        f"<tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:{tag}>"
    )


def get_stream_uri(device: Device, body: Element) -> str:
    """The RTSP address of a profile; only unicast is served."""
    stream, _ = stream_of(device, child_text(body, "trt:ProfileToken"))
    if child_text(body, "trt:StreamSetup/tt:Stream") == "RTP-Multicast":
        raise SoapFault.sender("InvalidArgVal", "StreamSetup: multicast is not served", "InvalidStreamSetup")
    uri = device.address.rtsp_main if stream == "main" else device.address.rtsp_sub
    return _media_uri("GetStreamUriResponse", uri)


def get_snapshot_uri(device: Device, body: Element) -> str:
    """The HTTP address of a JPEG of a profile."""
    stream, _ = stream_of(device, child_text(body, "trt:ProfileToken"))
    return _media_uri("GetSnapshotUriResponse", device.service(f"/snapshot/{stream}.jpg"))


def get_service_capabilities(_device: Device, _body: Element) -> str:
    """Stills are served; RTSP over TCP and UDP."""
    return (
        '<trt:GetServiceCapabilitiesResponse><trt:Capabilities SnapshotUri="true" Rotation="false">'
        '<trt:ProfileCapabilities MaximumNumberOfProfiles="2"/>'
        '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="false" RTP_RTSP_TCP="true"/>'
        "</trt:Capabilities></trt:GetServiceCapabilitiesResponse>"
    )


OPERATIONS: dict[str, Callable[[Device, Element], str]] = {
    "GetProfiles": get_profiles,
    "GetProfile": get_profile,
    "GetVideoSources": get_video_sources,
    "GetVideoSourceConfigurations": get_video_source_configurations,
    "GetVideoEncoderConfigurations": get_video_encoder_configurations,
    "GetVideoEncoderConfiguration": get_video_encoder_configuration,
    "GetVideoEncoderConfigurationOptions": get_video_encoder_configuration_options,
    "GetStreamUri": get_stream_uri,
    "GetSnapshotUri": get_snapshot_uri,
    "GetServiceCapabilities": get_service_capabilities,
}
