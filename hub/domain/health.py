"""A device's health from its link and the conditions active on it."""

from __future__ import annotations

from collections.abc import Collection

from hub.domain.device import Health
from wire.observations import Condition

_LOST = (Condition.COMMS_LOST, Condition.PICTURE_LOST)
_FAULTY = (
    Condition.PICTURE_COVERED,
    Condition.PICTURE_FROZEN,
    Condition.VIDEO_TAMPER,
    Condition.TAMPER,
    Condition.DEVICE_FAULT,
    Condition.STORAGE_FAULT,
    Condition.MAINS_FAULT,
    Condition.BATTERY_LOW,
)


def health_of(link_up: bool | None, link_reason: str, active: Collection[str]) -> tuple[Health, str]:
    """Health and what explains it. `link_up` None: never heard. `active`: conditions on the device itself."""
    for condition in _LOST:
        if condition in active:
            return Health.LOST, condition.value
    if link_up is False:
        return Health.LOST, link_reason
    for condition in _FAULTY:
        if condition in active:
            return Health.FAULTY, condition.value
    return (Health.UNKNOWN, "") if link_up is None else (Health.ONLINE, "")
