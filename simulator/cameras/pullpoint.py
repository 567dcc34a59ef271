"""A camera's events: what it says, the properties behind it, and the queues that clients pull from."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

QUEUE_LIMIT = 256
SUBSCRIPTION_LIMIT = 10
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(hours=1)


class Topic(StrEnum):
    """Topics of the ONVIF topic namespace that the simulated cameras use."""

    MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
    TAMPER_DETECTOR = "tns1:RuleEngine/TamperDetector/Tamper"
    SCENE_CHANGE = "tns1:VideoSource/GlobalSceneChange/ImagingService"


@dataclass(frozen=True)
class Happening:
    """A property of the camera took a value."""

    number: int
    topic: Topic
    active: bool
    device_at: datetime
    """By the camera's own clock."""
    at: datetime
    story: str = ""


@dataclass(frozen=True)
class Message:
    """A happening as one subscriber gets it."""

    happening: Happening
    operation: Literal["Initialized", "Changed"]


class PullPoint:
    """One subscription: a bounded queue with a time to live."""

    def __init__(self, key: str, expires: datetime) -> None:
        self.key, self.expires = key, expires
        self.dropped = 0
        self._queue: deque[Message] = deque()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> None:
        """Queues a message; the oldest goes where the queue is full."""
        if len(self._queue) == QUEUE_LIMIT:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(message)
        self._filled.set()

    async def pull(self, timeout_s: float, limit: int) -> list[Message]:
        """Waits until there is something or the time is over; at most `limit` messages."""
        if not self._queue:
            self._filled.clear()
            try:
                await asyncio.wait_for(self._filled.wait(), timeout_s)
            except TimeoutError:
                return []
        return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    def put_back(self, messages: list[Message]) -> None:
        """What could not be delivered, first in line again."""
        self._queue.extendleft(reversed(messages))
        if self._queue:
            self._filled.set()

    def wake(self) -> None:
        """Ends a pull that waits: the subscription is over."""
        self._filled.set()


@dataclass
class EventSource:
    """The properties of one camera and everyone who listens. `clock` gives the true time in UTC."""

    clock: Callable[[], datetime]
    skew: timedelta
    topics: tuple[Topic, ...]
    _state: dict[Topic, Happening] = field(default_factory=dict)
    _points: dict[str, PullPoint] = field(default_factory=dict)
    _count: int = 0

    def camera_now(self) -> datetime:
        """The camera's own clock, in UTC."""
        return self.clock() + self.skew

    def set(self, topic: Topic, active: bool, story: str = "") -> None:
        """The property takes a value; listeners hear of it when that is new."""
        if topic not in self.topics or self.state(topic).active == active:
            return
        happening = self._happening(topic, active, story)
        self._state[topic] = happening
        for point in self._live():
            point.put(Message(happening, "Changed"))

    def state(self, topic: Topic) -> Happening:
        """The property's present value; never yet set means not active."""
        if topic not in self._state:
            self._state[topic] = self._happening(topic, False, "")
        return self._state[topic]

    def subscribe(self, wanted: timedelta | datetime | None) -> PullPoint:
        """A new subscription that begins with the present value of every property."""
        live = sorted(self._live(), key=lambda point: point.expires)
        if len(live) >= SUBSCRIPTION_LIMIT:
            self.unsubscribe(live[0])
        point = PullPoint(secrets.token_hex(8), self._deadline(wanted))
        self._points[point.key] = point
        self.synchronise(point)
        return point

    def renew(self, point: PullPoint, wanted: timedelta | datetime | None) -> None:
        """A new time to live."""
        point.expires = self._deadline(wanted)

    def find(self, key: str) -> PullPoint | None:
        """The subscription of that key, if it is still alive."""
        return next((point for point in self._live() if point.key == key), None)

    def synchronise(self, point: PullPoint) -> None:
        """Queues the present value of every property for one subscriber."""
        for topic in self.topics:
            point.put(Message(self.state(topic), "Initialized"))

    def unsubscribe(self, point: PullPoint) -> None:
        """Ends the subscription and any pull that waits on it."""
        self._points.pop(point.key, None)
        point.wake()

    def forget_all(self) -> None:
        """The camera lost its power: no subscription outlives that."""
        for point in list(self._points.values()):
            self.unsubscribe(point)

    def _happening(self, topic: Topic, active: bool, story: str) -> Happening:
        self._count += 1
        now = self.clock()
        return Happening(self._count, topic, active, now + self.skew, now, story)

    def _deadline(self, wanted: timedelta | datetime | None) -> datetime:
        now = self.camera_now()
        if isinstance(wanted, datetime):
            wanted = wanted.replace(tzinfo=wanted.tzinfo or UTC) - now
        span = timedelta(minutes=1) if wanted is None else wanted
        return now + min(max(span, SHORTEST), LONGEST)

    def _live(self) -> Iterator[PullPoint]:
        """Those whose time isn't over; the others are dropped on the way."""
        now = self.camera_now()
        for point in list(self._points.values()):
            if point.expires > now:
                yield point
            else:
                self.unsubscribe(point)
