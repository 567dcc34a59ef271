"""Values out as JSON: one fast encoder for everything, so that dates and enums look the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` (frozen dataclass, dict, sequence of them) as an uncached JSON answer."""
    return Response(
        _encoder.encode(value),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )


def nothing() -> Response:
    """204."""
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
