"""Raw HTTP for what a well-behaved ONVIF client wouldn't send."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import datetime

import httpx

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
TOKEN_PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"


def security(user: str, password: str, created: datetime) -> str:
    """A WS-Security header, computed here by the profile's formula."""
    nonce, stamp = os.urandom(16), created.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = base64.b64encode(hashlib.sha1(nonce + stamp.encode() + password.encode()).digest()).decode()  # noqa: S324
    return (
        f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}"><w:UsernameToken><w:Username>{user}</w:Username>'
        f'<w:Password Type="{TOKEN_PROFILE}#PasswordDigest">{digest}</w:Password>'
        f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce><u:Created>{stamp}</u:Created>"
        "</w:UsernameToken></w:Security>"
    )


def envelope(body: str, header: str = "") -> bytes:
    parts = f"<e:Header>{header}</e:Header><e:Body>{body}</e:Body>"
    return f'<e:Envelope xmlns:e="{SOAP}">{parts}</e:Envelope>'.encode()


def post(port: int, data: bytes, path: str = "/onvif/device_service") -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}{path}", content=data, timeout=10, trust_env=False)
