"""What each condition asks of the desk: its priority, and whether and when it opens an incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from wire.observations import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One row of the table below."""

    priority: int
    """1 (highest) to 4."""
    at_checkpoint: int = 0
    """Priority where the camera or panel watches a checkpoint; 0: the same."""
    on_delay: timedelta = timedelta(0)
    """The condition stands on the desk at once, but opens an incident only if it lasts so long."""
    highly_managed: bool = False
    """Never grouped into an incident of a lower priority (DISPATCH.md section 2, machine A)."""


_C = Condition
_LINE_ON_DELAY = timedelta(seconds=20)

RESPONSES: Mapping[Condition, Response] = MappingProxyType(
    {
        _C.HOLD_UP: Response(priority=1, highly_managed=True),
        _C.DURESS: Response(priority=1, highly_managed=True),
        _C.SOS: Response(priority=1, highly_managed=True),
        _C.FIRE: Response(priority=1, highly_managed=True),
        _C.INTRUSION: Response(priority=2),
        _C.TAMPER: Response(priority=2),
        _C.PICTURE_COVERED: Response(priority=3, at_checkpoint=2),
        _C.VIDEO_TAMPER: Response(priority=3, at_checkpoint=2),
        _C.PICTURE_LOST: Response(priority=3, at_checkpoint=2, on_delay=_LINE_ON_DELAY),
        _C.PICTURE_FROZEN: Response(priority=3, at_checkpoint=2),
        _C.COMMS_LOST: Response(priority=3, at_checkpoint=2, on_delay=_LINE_ON_DELAY),
        _C.DEVICE_FAULT: Response(priority=3),
        _C.MAINS_FAULT: Response(priority=4),
        _C.BATTERY_LOW: Response(priority=4),
        _C.STORAGE_FAULT: Response(priority=4),
    }
)
"""A condition that isn't here needs no response: it is in the log and on its device's view, no more."""

ONVIF_POINT = "onvif"
"""The point of a camera's event subscription: its loss says nothing of the picture."""


def response_to(condition: Condition, *, armed: bool | None) -> Response | None:
    """The row for `condition`; None where nobody needs to act. An unset zone that sees people is no alarm."""
    if condition is Condition.INTRUSION and armed is False:
        return None
    return RESPONSES.get(condition)


def priority_of(condition: str, *, checkpoint: bool) -> int:
    """1 to 4."""
    row = RESPONSES[Condition(condition)]
    return row.at_checkpoint if checkpoint and row.at_checkpoint else row.priority


def opens_incident(source: str, point: str, condition: str) -> bool:
    """Whether somebody has to be sent: a car out of coverage is shown, and no incident."""
    if condition != Condition.COMMS_LOST:
        return True
    return not source.startswith("tracker:") and point != ONVIF_POINT
