"""The one place that turns the library's many errors into one of ours: what went wrong, and whose fault."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from lxml import etree  # type: ignore[import-untyped]
from onvif.exceptions import ONVIFError
from onvif.util import is_auth_error, stringify_onvif_error
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault, TransportError

REQUEST_S = 10.0
MAX_REASON = 200

UNREACHABLE = (aiohttp.ClientConnectionError, ConnectionError, TimeoutError, OSError)
NONSENSE = (
    ONVIFError,
    ZeepError,
    aiohttp.ClientError,
    etree.LxmlError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


class CameraFault(RuntimeError):
    """A camera didn't do what was asked: `cause` is unreachable, unauthorized, refused or nonsense."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(f"{cause}: {reason}")
        self.cause = cause
        self.reason = reason


@asynccontextmanager
async def asking(what: str, timeout_s: float = REQUEST_S) -> AsyncIterator[None]:
    """Whatever goes wrong inside is a `CameraFault` that names `what`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except UNREACHABLE as error:
        reason = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else _short(error)
        raise CameraFault("unreachable", f"{what}: {reason}") from error
    except NONSENSE as error:
        raise CameraFault(_cause(error), f"{what}: {_short(error)}") from error


def _cause(error: Exception) -> str:
    if isinstance(error, TransportError) and error.status_code in (401, 403):
        return "unauthorized"
    if isinstance(error, Fault):
        return "unauthorized" if is_auth_error(error) else "refused"
    return "nonsense"


def _short(error: Exception) -> str:
    """A reason fit for a log line: bounded, printable, without what stands between `//` and `@`."""
    text = stringify_onvif_error(error) if isinstance(error, Fault) else str(error)
    text = re.sub(r"//[^/@\s]*@", "//", f"{type(error).__name__}: {text}")
    return " ".join(text.split())[:MAX_REASON]
