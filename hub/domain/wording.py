"""The words an order to a crew is made of. Terminals show Chinese text only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hub.domain.incident import Incident
from wire.observations import Condition

_C = Condition

CONDITION_NAMES: Mapping[str, str] = MappingProxyType(
    {
        _C.HOLD_UP: "紧急按钮报警",
        _C.DURESS: "胁迫报警",
        _C.SOS: "求救报警",
        _C.FIRE: "火警",
        _C.INTRUSION: "入侵报警",
        _C.TAMPER: "防拆报警",
        _C.PICTURE_COVERED: "摄像机被遮挡",
        _C.VIDEO_TAMPER: "摄像机被破坏",
        _C.PICTURE_LOST: "图像丢失",
        _C.PICTURE_FROZEN: "图像静止",
        _C.COMMS_LOST: "设备失联",
        _C.DEVICE_FAULT: "设备故障",
        _C.MAINS_FAULT: "主电故障",
        _C.BATTERY_LOW: "电池欠压",
        _C.STORAGE_FAULT: "存储故障",
    }
)


def order_text(incident: Incident) -> str:
    """What the crew reads: number, place, what happened. No names of persons."""
    where = " ".join(part for part in (incident.site_name, incident.point_label) if part)
    what = CONDITION_NAMES.get(incident.condition, incident.condition)
    return f"出警指令 {incident.id}:{where} {what},请立即前往处置并回复。"
