"""One camera's properties over time: changes become observations, lost ones unknown, endless ones end.

Pure: time is an argument. What is on survives a restart in `adapters.knowledge`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.knowledge import Knowledge, News
from adapters.onvif.events import Notification
from adapters.onvif.topics import Meaning, meaning_of, row_of
from wire.observations import Body, Condition, Lateness, Motion, Observation, PointState

BEHIND = timedelta(seconds=60)
MOTION = "motion:"
POINT = "point:"
RESTART_HELD_S = 60.0
"""How long motion that was on before a restart may stay on unheard."""


class Watch:
    """The properties of one camera. `source` is `camera:{id}`."""

    def __init__(self, source: str, knowledge: Knowledge, now: datetime) -> None:
        self.source = source
        self._knowledge = knowledge
        self._until: dict[str, datetime] = {}
        for name, value in knowledge.of(source).items():
            if (name.startswith(MOTION) and value) or (value == "True" and _has_an_end(name)):
                self._until[name] = now + timedelta(seconds=RESTART_HELD_S)

    def take(self, notification: Notification, now: datetime, skew: timedelta) -> list[Observation]:
        """A notification heard at `now`; `skew` is how far the camera's clock is ahead. Raises `Refusal`."""
        meaning = meaning_of(notification)
        if meaning is None:
            return []
        late = notification.operation == "Changed" and notification.at is not None
        old = late and notification.at is not None and now - (notification.at - skew) > BEHIND
        lateness = Lateness.BUFFERED if old else Lateness.LIVE
        bodies = (
            self._motion(meaning, notification, now)
            if meaning.condition is None
            else self._point(meaning, now)
        )
        return [self._observed(body, now, notification.at, lateness) for body in bodies]

    def expire(self, now: datetime) -> list[Observation]:
        """Ends what has been on for longer than it may without an off."""
        bodies: list[Body] = []
        for name in [name for name, until in self._until.items() if until <= now]:
            del self._until[name]
            bodies += self._over(name)
        return [self._observed(body, now) for body in bodies]

    def lost(self, now: datetime) -> list[Observation]:
        """The subscription is gone: motion ends, states are not known any more."""
        bodies: list[Body] = []
        for name, value in self._knowledge.of(self.source).items():
            if name.startswith(MOTION) and value:
                bodies += self._over(name)
            elif name.startswith(POINT) and "|" not in name and value != "None":
                bodies += self._set(name, None, self._forget_parts(name))
        self._until.clear()
        return [self._observed(body, now) for body in bodies]

    def _motion(self, meaning: Meaning, notification: Notification, now: datetime) -> list[Body]:
        name = MOTION + meaning.key
        if not meaning.active:
            self._until.pop(name, None)
            return self._over(name)
        self._hold(name, meaning, now)
        if self._knowledge.get(self.source, name):
            return []
        event = f"{meaning.key}@{int((notification.at or now).timestamp() * 1000)}"
        self._knowledge.learn(self.source, name, event, rest="")
        return [Motion(active=True, event=event, by="camera")]

    def _over(self, name: str) -> list[Body]:
        if name.startswith(POINT):
            return self._part(name, False)
        event = self._knowledge.get(self.source, name)
        if not event:
            return []
        self._knowledge.learn(self.source, name, "", rest="")
        return [Motion(active=False, event=event, by="camera")]

    def _point(self, meaning: Meaning, now: datetime) -> list[Body]:
        name = f"{POINT}{meaning.point}/{meaning.condition}|{meaning.key}"
        if meaning.active:
            self._hold(name, meaning, now)
        else:
            self._until.pop(name, None)
        return self._part(name, meaning.active)

    def _part(self, name: str, active: bool | None) -> list[Body]:
        """Several properties may stand for one condition of a point: it is active while any of them is."""
        self._knowledge.learn(self.source, name, str(active), rest="")
        whole = name.partition("|")[0]
        parts = [v for n, v in self._knowledge.of(self.source).items() if n.startswith(whole + "|")]
        known = [part for part in parts if part != "None"]
        return self._set(whole, "True" in known if known else None, _topic_of(name))

    def _set(self, whole: str, active: bool | None, code: str) -> list[Body]:
        if self._knowledge.learn(self.source, whole, str(active), rest=str(False)) is not News.CHANGED:
            return []
        point, _, condition = whole.removeprefix(POINT).rpartition("/")
        return [PointState(point=point, condition=Condition(condition), active=active, code=code, armed=True)]

    def _forget_parts(self, whole: str) -> str:
        """Gives the topic of one of them."""
        parts = [name for name in self._knowledge.of(self.source) if name.startswith(whole + "|")]
        for name in parts:
            self._knowledge.learn(self.source, name, "None", rest="")
        return _topic_of(parts[0]) if parts else ""

    def _hold(self, name: str, meaning: Meaning, now: datetime) -> None:
        if meaning.held_s is not None:
            self._until[name] = now + timedelta(seconds=meaning.held_s)

    def _observed(
        self,
        body: Body,
        now: datetime,
        device_at: datetime | None = None,
        lateness: Lateness = Lateness.LIVE,
    ) -> Observation:
        return Observation(
            source=self.source, body=body, heard_at=now, device_at=device_at, lateness=lateness
        )


def _topic_of(name: str) -> str:
    return name.partition("|")[2].partition(":")[0]


def _has_an_end(name: str) -> bool:
    row = row_of(_topic_of(name))
    return row is not None and row.held_s is not None
