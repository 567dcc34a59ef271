"""What a person may enter of a new device: checked field by field, before anything is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from hub.domain.register import Area, Duty
from wire.observations import Condition

MAX_NAME = 120
MAX_ADDRESS = 512
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS_FORMS = {
    "owntracks": (re.compile(r"[^/\s]+/[^/\s]+"), "user/device", "“用户/设备”"),
    "jt808": (
        re.compile(r"[1-9][0-9]{0,19}"),
        "the terminal's phone number, without leading zeros",
        "终端手机号，不带前面的零",
    ),
}


class RegisterError(ValueError):
    """An entry that can't be taken into the register: names the field and the reason, in both languages."""

    def __init__(self, field: str, reason: str, reason_zh: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.reason_zh = reason_zh


class NotRegistered(RegisterError):
    """There is no such thing in the register."""


class AlreadyRegistered(RegisterError):
    """The id or address is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraNew:
    """A camera to add: an RTSP address, an ONVIF address, or both. Credentials may stand in the address."""

    name: str
    id: str = ""
    """Empty: one is given."""
    name_en: str = ""
    site: str = ""
    position: str = ""
    checkpoint: str = ""
    lat: float | None = None
    lon: float | None = None
    bearing_deg: float | None = None
    fov_deg: float | None = None
    range_m: float | None = None
    onvif: str = ""
    """Device service, `http://address/onvif/device_service`."""
    rtsp_main: str = ""
    rtsp_sub: str = ""
    user: str = ""
    password: str = ""
    public_side: bool = False

    def __repr__(self) -> str:
        return f"CameraNew(id={self.id!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneNew:
    """A zone of a panel to add."""

    key: str
    """The zone's name in the convention's topics."""
    name: str = ""
    name_en: str = ""
    condition: str = Condition.INTRUSION.value
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelNew:
    """An alarm panel to add."""

    name: str
    convention: str
    """`homeassistant` or `paradox`."""
    topic: str
    """HA: discovery node id. PAI: base topic."""
    id: str = ""
    name_en: str = ""
    site: str = ""
    interval_s: float = 60.0
    lat: float | None = None
    lon: float | None = None
    public_side: bool = False
    zones: tuple[ZoneNew, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNew:
    """A dispatchable unit to add."""

    name: str
    id: str = ""
    name_en: str = ""
    place: str = ""
    """Empty: the root place."""
    area: str = Area.URBAN.value
    duty: str = Duty.OTHER.value
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerNew:
    """A terminal or phone to add. Without `unit`, a unit of the same id and name is added with it."""

    protocol: str
    """A GPS decoder's name: `owntracks`, `jt808`."""
    address: str
    id: str = ""
    unit: str = ""
    name: str = ""
    place: str = ""
    interval_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What was tested on site, seen at the desk: the evidence for rung L2."""

    video_seen: bool = False
    """The camera's video was seen at 110."""
    alarm_tested: bool = False
    """A walk test of the alarm arrived at 110."""
    position_seen: bool = False
    """The terminal's position was seen at 110."""
    note: str = ""


def check_camera(new: CameraNew) -> None:
    """Raises `RegisterError` for the first field that is wrong."""
    check_names(new.id, new.name, new.name_en)
    check_point(new.lat, new.lon)
    _within("bearing_deg", new.bearing_deg, 0, 360)
    _within("fov_deg", new.fov_deg, 1, 360)
    _within("range_m", new.range_m, 1, 20_000)
    if not new.rtsp_main and not new.onvif:
        raise RegisterError(
            "rtsp_main",
            "give an RTSP address, or an ONVIF address to ask for one",
            "请填 RTSP 地址，或填 ONVIF 地址由系统询问",
        )
    for field, address in (("rtsp_main", new.rtsp_main), ("rtsp_sub", new.rtsp_sub)):
        check_url(field, address, ("rtsp", "rtsps"))
    check_url("onvif", new.onvif, ("http", "https"))
    for field, text in (("user", new.user), ("password", new.password)):
        _text(field, text, 256)


def check_panel(new: PanelNew) -> None:
    """Raises `RegisterError` for the first field that is wrong."""
    check_names(new.id, new.name, new.name_en)
    check_point(new.lat, new.lon)
    if not _WORD.fullmatch(new.convention):
        raise RegisterError(
            "convention",
            "is a convention's name, such as homeassistant or paradox",
            "填约定的名称，如 homeassistant 或 paradox",
        )
    _topic("topic", new.topic)
    _within("interval_s", new.interval_s, 1, 86_400)
    seen: set[str] = set()
    for index, zone in enumerate(new.zones):
        _check_zone(f"zones[{index}]", zone, seen)


def _check_zone(where: str, zone: ZoneNew, seen: set[str]) -> None:
    if not zone.key or _CONTROL.search(zone.key) or len(zone.key) > MAX_NAME or set(zone.key) & set("+#"):
        raise RegisterError(
            f"{where}.key",
            "is the zone's name in the panel's topics, without + and #",
            "填主机主题里的防区名，不含 + 和 #",
        )
    if zone.key in seen:
        raise RegisterError(f"{where}.key", f"zone {zone.key} is there twice", f"防区 {zone.key} 重复")
    seen.add(zone.key)
    if zone.condition not in set(Condition):
        known = ", ".join(Condition)
        raise RegisterError(
            f"{where}.condition",
            f"{zone.condition!r} is none of: {known}",
            f"{zone.condition!r} 不在其中：{known}",
        )
    _text(f"{where}.name", zone.name, MAX_NAME)
    _text(f"{where}.name_en", zone.name_en, MAX_NAME)


def check_unit(new: UnitNew) -> None:
    """Raises `RegisterError` for the first field that is wrong."""
    check_names(new.id, new.name, new.name_en)
    check_choice("area", new.area, tuple(Area))
    check_choice("duty", new.duty, tuple(Duty))


def check_tracker(new: TrackerNew) -> None:
    """Raises `RegisterError` for the first field that is wrong."""
    if new.id:
        check_id("id", new.id)
    if not new.unit and not new.name:
        raise RegisterError("name", "is needed where no existing unit is named", "没有指定警力单元时须填名称")
    _text("name", new.name, MAX_NAME)
    if not _WORD.fullmatch(new.protocol):
        raise RegisterError(
            "protocol",
            "is a tracker protocol's name, such as owntracks or jt808",
            "填定位协议的名称，如 owntracks 或 jt808",
        )
    _text("address", new.address, MAX_NAME)
    if not new.address or set(new.address) & set("+#"):
        raise RegisterError("address", "is needed, without + and #", "必填，不含 + 和 #")
    form = _ADDRESS_FORMS.get(new.protocol)
    if form and not form[0].fullmatch(new.address):
        raise RegisterError(
            "address", f"for {new.protocol} is {form[1]}", f"{new.protocol} 的地址应为{form[2]}"
        )
    _within("interval_s", new.interval_s, 1, 86_400)


def check_names(identity: str, name: str, name_en: str) -> None:
    """Id (where given) and names."""
    if identity:
        check_id("id", identity)
    if not name.strip():
        raise RegisterError("name", "is needed", "必填")
    _text("name", name, MAX_NAME)
    _text("name_en", name_en, MAX_NAME)


def check_id(field: str, identity: str) -> None:
    """Ids travel in topics and addresses: letters, digits, `_ . -`, at most 64."""
    if not _ID.fullmatch(identity):
        raise RegisterError(
            field,
            "is made of A-Z a-z 0-9 _ . - and has at most 64 characters",
            "只用字母、数字、_ . -，最多 64 个字符",
        )


def check_point(lat: float | None, lon: float | None) -> None:
    """Both or neither, in WGS-84 degrees."""
    if (lat is None) != (lon is None):
        raise RegisterError(
            "lat" if lat is None else "lon",
            "is needed where the other coordinate is given",
            "经度和纬度要么都填，要么都不填",
        )
    _within("lat", lat, -90, 90)
    _within("lon", lon, -180, 180)


def check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    """Raises unless `value` is one of `known`."""
    if value not in known:
        raise RegisterError(
            field, f"{value!r} is none of: {', '.join(known)}", f"{value!r} 不在其中：{'、'.join(known)}"
        )


def check_url(field: str, address: str, schemes: tuple[str, ...]) -> None:
    """An absolute address of one of `schemes`, or nothing. The reason never quotes the address."""
    if not address:
        return
    _text(field, address, MAX_ADDRESS)
    parts = _split(field, address)
    if parts.scheme.lower() not in schemes:
        begins = [f"{scheme}://" for scheme in schemes]
        raise RegisterError(
            field, f"must begin with {' or '.join(begins)}", f"应以 {' 或 '.join(begins)} 开头"
        )
    if not parts.hostname:
        raise RegisterError(field, "names no host", "缺少主机地址")


def _split(field: str, address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise RegisterError(
            field, "is no address: its host or port can't be read", "地址读不懂：主机或端口有误"
        ) from error
    return parts


def without_credentials(address: str) -> tuple[str, str, str]:
    """An address without its `user:password@`, and the two, decoded. The address has passed `check_url`."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address, "", ""
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=host))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")


def shown(address: str) -> str:
    """An address as a screen or log may show it: no credentials, and no query or path that may hold some."""
    if not address:
        return ""
    parts = urlsplit(without_credentials(address)[0])
    path = parts.path if "=" not in parts.path and "@" not in parts.path else "/…"
    return urlunsplit((parts.scheme, parts.netloc, path, "…" if parts.query else "", ""))


def _text(field: str, text: str, most: int) -> None:
    if len(text) > most:
        raise RegisterError(
            field,
            f"has {len(text)} characters, at most {most} are allowed",
            f"有 {len(text)} 个字符，最多 {most} 个",
        )
    if _CONTROL.search(text):
        raise RegisterError(field, "holds control characters", "含有控制字符")


def _topic(field: str, topic: str) -> None:
    _text(field, topic, 256)
    if not topic or set(topic) & set("+#") or topic[0] in "/$" or topic[-1] == "/":
        raise RegisterError(
            field, "is a topic without + and #, without / at either end", "填主题，不含 + 和 #，两端没有 /"
        )
    if topic.split("/", maxsplit=1)[0] == "jifang":
        raise RegisterError(
            field,
            "jifang/ is our own, field devices can't publish there",
            "jifang/ 由系统自用，现场设备不能发布",
        )


def _within(field: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise RegisterError(
            field,
            f"is {value:g}, must lie between {least:g} and {most:g}",
            f"是 {value:g}，应在 {least:g} 到 {most:g} 之间",
        )
