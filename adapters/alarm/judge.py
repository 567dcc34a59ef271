"""What a panel's statement comes to: an observation if it is a change, else a heartbeat or nothing.

The panel decides what is an alarm, not we: a zone that opens carries whether its panel was armed then, and
a partition that goes to `triggered` while none of its zones tells why is an alarm of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from adapters.alarm.convention import Statement
from adapters.knowledge import Knowledge, News
from wire.observations import (
    Arming,
    ArmState,
    Body,
    Condition,
    Heartbeat,
    Lateness,
    Link,
    Observation,
    PointState,
)

ARMED = {ArmState.ARMED_AWAY, ArmState.ARMED_HOME, ArmState.ARMED_NIGHT, ArmState.TRIGGERED, ArmState.PENDING}
GUARDED_WHEN_ARMED = {Condition.INTRUSION, Condition.LINE_CROSSING, Condition.DIGITAL_INPUT}
"""All other conditions are watched at every hour."""
ALARMS = GUARDED_WHEN_ARMED | {Condition.HOLD_UP, Condition.DURESS, Condition.FIRE, Condition.SOS}
SHORTEST_HEARTBEAT = timedelta(seconds=10)


class Judge:
    """Judges statements one after the other; what it learns goes to `knowledge`."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._beats: dict[str, datetime] = {}
        self._intervals: Mapping[str, float] = {}
        self._followed = False
        """Of the message in hand."""

    def expect(self, intervals: Mapping[str, float]) -> None:
        """The supervision interval in seconds of each registered panel."""
        self._intervals = intervals

    def judge(
        self, statements: Sequence[Statement], now: datetime, *, retained: bool, followed: bool = False
    ) -> list[Observation]:
        """Observations of one message, heard at `now`. `followed`: see `Heard`."""
        self._followed = followed
        found: list[Observation] = []
        for statement in sorted(statements, key=_order):
            found += self._said(statement.panel, statement.body, now, retained)
        if not retained:
            for panel in {statement.panel for statement in statements}:
                found += self._alive(panel, found, now)
        return found

    def state_of(self, panel: str, partition: str) -> str | None:
        """The arming state last known."""
        return self.knowledge.get(panel, f"arm:{partition}")

    def _said(self, panel: str, body: Body, now: datetime, retained: bool) -> Iterator[Observation]:
        if isinstance(body, PointState):
            yield from self._point(panel, body, now, retained)
        elif isinstance(body, Arming):
            yield from self._arming(panel, body, now, retained)
        elif isinstance(body, Link):
            state, rest = ("up", "up") if body.up else ("down", "")
            if (
                self.knowledge.learn(
                    panel, "link", state, rest=rest, live=not retained, followed=self._followed
                )
                is not News.SAME
            ):
                yield _observed(panel, body, now, retained)
        elif not isinstance(body, Heartbeat):
            yield _observed(panel, body, now, retained)

    def _alive(self, panel: str, found: Sequence[Observation], now: datetime) -> Iterator[Observation]:
        """A live message shows that the panel lives, whatever it says."""
        if any(observation.source == f"panel:{panel}" for observation in found):
            self._beats[panel] = now
            return
        interval_s = self._intervals.get(panel)
        pause = min(timedelta(seconds=(interval_s or 60.0) / 4), SHORTEST_HEARTBEAT)
        last = self._beats.get(panel)
        if last is None or not timedelta(0) <= now - last < pause:
            self._beats[panel] = now
            yield _observed(panel, Heartbeat(interval_s=interval_s), now, False)

    def _point(self, panel: str, body: PointState, now: datetime, retained: bool) -> Iterator[Observation]:
        if body.active is None:
            value = "?"
        elif not body.active:
            value = "0"
        else:
            body = _with_armed(body, self._armed(panel, body))
            if body.point.startswith("partition:") and self._some_zone_tells(panel):
                return
            value = "1a" if body.armed else "1"
        name = f"{body.point}|{body.condition}"
        before = self.knowledge.get(panel, name)
        if before in ("1", "1a") and value in ("1", "1a") and not _newly_an_alarm(before, body):
            value = before
        news = self.knowledge.learn(panel, name, value, rest="0", live=not retained, followed=self._followed)
        if news is News.BASELINE:
            # The first word on a point at rest is no event; it must not pass as one.
            yield _observed(panel, body, now, True)
        elif news is News.CHANGED:
            yield _observed(panel, body, now, retained)

    def _arming(self, panel: str, body: Arming, now: datetime, retained: bool) -> Iterator[Observation]:
        name = f"arm:{body.partition}"
        before = self.knowledge.get(panel, name)
        rest = "" if body.state == ArmState.TRIGGERED else body.state
        if (
            self.knowledge.learn(
                panel, name, body.state, rest=rest, live=not retained, followed=self._followed
            )
            is News.SAME
        ):
            return
        yield _observed(panel, body, now, retained)
        if ArmState.TRIGGERED in (body.state, before):
            alarm = PointState(
                point=f"partition:{body.partition}",
                condition=Condition.INTRUSION,
                active=body.state == ArmState.TRIGGERED,
                code="triggered",
                armed=True if body.state == ArmState.TRIGGERED else None,
            )
            if alarm.active or self.knowledge.get(panel, f"{alarm.point}|{alarm.condition}"):
                yield from self._point(panel, alarm, now, retained)

    def _armed(self, panel: str, body: PointState) -> bool | None:
        if body.armed is not None:
            return body.armed
        if body.condition not in GUARDED_WHEN_ARMED:
            return True
        known = self.knowledge.of(panel)
        states = [
            value for name, value in known.items() if name.startswith("arm:") and value != ArmState.UNKNOWN
        ]
        return any(state in ARMED for state in states) if states else None

    def _some_zone_tells(self, panel: str) -> bool:
        alarms = {
            name
            for name, value in self.knowledge.of(panel).items()
            if name.startswith("zone:") and value == "1a"
        }
        return any(name.rpartition("|")[2] in ALARMS for name in alarms)


def _order(statement: Statement) -> int:
    """Of what one message says at once: whether it is armed, then its zones, then that it has triggered."""
    if not isinstance(statement.body, Arming):
        return 1
    return 2 if statement.body.state == ArmState.TRIGGERED else 0


def _with_armed(body: PointState, armed: bool | None) -> PointState:
    return PointState(
        point=body.point,
        condition=body.condition,
        active=body.active,
        label=body.label,
        code=body.code,
        armed=armed,
    )


def _newly_an_alarm(before: str, body: PointState) -> bool:
    """The panel itself calls it an alarm, where it was no more than an open zone."""
    return before == "1" and body.code == "alarm"


def _observed(panel: str, body: Body, now: datetime, retained: bool) -> Observation:
    lateness = Lateness.RETAINED if retained else Lateness.LIVE
    return Observation(source=f"panel:{panel}", body=body, heard_at=now, lateness=lateness)
