"""Structured logs of every process: one JSON object a line on standard error, secrets taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "***"
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|cookie|authorization|credential|sealed|^key$|sdp", re.I
)
_SECRET_TEXT = (
    # user:password@ in any address
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{HIDDEN}@"),
    # the session cookie, and headers that carry credentials
    (re.compile(r"(\bjifang=)[^;,\s\"']+"), rf"\1{HIDDEN}"),
    (
        re.compile(r"(?i)(\b(?:authorization|cookie|set-cookie)\b[\"']?\s*[:=]\s*[\"']?)[^\n\"']+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)(\bpassw(?:or)?d\b[\"']?\s*[:=]\s*[\"']?)[^\s,;&\"'}]+"), rf"\1{HIDDEN}"),
    # argon2's own strings
    (re.compile(r"\$argon2\w*\$\S+"), HIDDEN),
)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: hides what stands under a secret's name, and what looks like one in any text."""
    for name, value in list(event.items()):
        event[name] = _clean(name, value)
    return event


def _clean(name: str, value: Any) -> Any:
    if _SECRET_KEY.search(name) and value not in (None, "", 0, False, True):
        return HIDDEN
    if isinstance(value, bytes):
        value = value.decode(errors="backslashreplace")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", inner) for inner in value]
    if isinstance(value, int | float | None):
        return value
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """`text` without credentials."""
    for pattern, instead in _SECRET_TEXT:
        text = pattern.sub(instead, text)
    return text


def configure(process: str, *, level: int = logging.INFO) -> None:
    """Sends structlog and the standard library's logging through one chain. Once a process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"process": process, **event},
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("aioice", "aiortc", "alembic", "httpx", "libav", "onvif", "uvicorn.access", "zeep"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
