"""Who may speak to a camera: WS-Security UsernameToken digest for SOAP, HTTP digest for the still. No I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from simulator.cameras.soap import SoapFault, child_text

_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"

CLOCK_WINDOW = timedelta(minutes=5)
"""How far `Created` may lie from the camera's own clock (UsernameToken Profile 1.1, section 3.1)."""


def password_digest(nonce: bytes, created: str, password: str) -> str:
    """Base64(SHA-1(nonce + created + password)), UsernameToken Profile 1.1 section 3.1."""
    blend = nonce + created.encode() + password.encode()
    return base64.b64encode(hashlib.sha1(blend, usedforsecurity=False).digest()).decode()


def check_token(header: ET.Element | None, user: str, password: str, camera_now: datetime) -> None:
    """Raises SoapFault `NotAuthorized` unless the header bears this user's valid, timely digest."""
    token = None if header is None else header.find(f"{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken")
    if token is None:
        raise _refused("no UsernameToken")
    element = token.find(f"{{{_WSSE}}}Password")
    if element is None or element.get("Type") != _DIGEST:
        raise _refused("the password must be a digest")
    created = child_text(token, f"{{{_WSU}}}Created")
    _check_clock(created, camera_now)
    wanted = password_digest(_nonce(child_text(token, f"{{{_WSSE}}}Nonce")), created, password)
    name = child_text(token, f"{{{_WSSE}}}Username")
    if not (_same(name, user) & _same((element.text or "").strip(), wanted)):
        raise _refused("unknown user or wrong password")


def _nonce(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("the nonce is not base64") from error


def _check_clock(created: str, camera_now: datetime) -> None:
    try:
        instant = datetime.fromisoformat(created)
    except ValueError as error:
        raise _refused("Created is not a time") from error
    instant = instant.replace(tzinfo=instant.tzinfo or UTC)
    if abs(instant - camera_now) > CLOCK_WINDOW:
        raise _refused("Created lies outside the camera's clock window")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refused(reason: str) -> SoapFault:
    return SoapFault.sender("NotAuthorized", f"Sender not authorized: {reason}")


_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


def challenge(nonce: str) -> str:
    """The WWW-Authenticate header of a still (RFC 7616; MD5, as cameras have it)."""
    return f'Digest realm="camera", qop="auth", algorithm=MD5, nonce="{nonce}"'


def http_digest_ok(header: str, method: str, user: str, password: str, nonce: str) -> bool:
    """Whether an Authorization header answers the challenge with that nonce."""
    if not header.startswith("Digest "):
        return False
    given = {name: quoted or bare for name, quoted, bare in _FIELD.findall(header[7:])}
    if given.get("nonce") != nonce or given.get("qop") != "auth":
        return False
    secret = _md5(f"{user}:camera:{password}")
    middle = ":".join(given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    wanted = _md5(f"{secret}:{middle}:{_md5(f'{method}:' + given.get('uri', ''))}")
    return _same(given.get("username", ""), user) & _same(given.get("response", ""), wanted)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
