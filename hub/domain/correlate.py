"""Which open incident an alarm condition belongs to: its own, its site's, or none yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.domain.condition import AlarmCondition
from hub.domain.incident import Incident, IncidentState
from hub.domain.response import RESPONSES
from wire.observations import Condition

SITE_WINDOW = timedelta(minutes=5)
"""Same site within this of its last activation: a member of the same incident (DISPATCH.md section 4)."""

JOINABLE = frozenset({IncidentState.NEW, IncidentState.TRIAGE, IncidentState.PENDING, IncidentState.ACTIVE})


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident and when one of its conditions was last activated."""

    incident: Incident
    last_activation: datetime


def home_for(
    condition: AlarmCondition, priority: int, open_incidents: Iterable[OpenIncident], now: datetime
) -> Incident | None:
    """The incident that `condition` joins; the latest where several would do."""
    fitting = [one for one in open_incidents if _fits(condition, priority, one, now)]
    if not fitting:
        return None
    return max(fitting, key=lambda one: one.last_activation).incident


def _fits(condition: AlarmCondition, priority: int, one: OpenIncident, now: datetime) -> bool:
    incident = one.incident
    if incident.state not in JOINABLE or not condition.site or incident.site != condition.site:
        return False
    if now - one.last_activation > SITE_WINDOW:
        return False
    managed = RESPONSES[Condition(condition.condition)].highly_managed
    return incident.priority <= priority if managed else True
