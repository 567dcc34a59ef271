"""A camera's addresses: what the installer gave, what the camera says of itself, and what to believe."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from adapters.refusal import Refusal

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The device service, as the installer gave it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The address again."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}{self.path}"


def endpoint_of(url: str) -> Endpoint:
    """Takes a device service address apart. Raises `Refusal` where it is none."""
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise Refusal("bad_address", f"{url[:80]!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refusal("bad_address", f"{url[:80]!r} is no HTTP address")
    path = parts.path if parts.path not in ("", "/") else "/onvif/device_service"
    return Endpoint(parts.scheme, parts.hostname, port or PORTS[parts.scheme], path)


def service_at(said: str, endpoint: Endpoint) -> str:
    """A service address as the camera says it, at the host we reach the camera by.

    A camera behind NAT names its inner address: then scheme, host and port are those that work for us.
    """
    parts = _split(said)
    if parts is None:
        return said
    if parts.hostname == endpoint.host:
        return said
    ours = urlsplit(endpoint.url)
    return urlunsplit((ours.scheme, ours.netloc, parts.path, parts.query, ""))


def stream_at(said: str, endpoint: Endpoint) -> str:
    """A stream address at the host we reach the camera by, its own port kept, without credentials."""
    parts = _split(said.strip())
    if parts is None or parts.scheme not in ("rtsp", "rtsps"):
        return ""
    port = _port(parts)
    place = _bracketed(endpoint.host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, place, parts.path, parts.query, ""))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.hostname else None
    except ValueError:
        return None


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
