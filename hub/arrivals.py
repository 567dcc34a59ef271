"""What was delivered and isn't taken in yet, in two queues: news goes first, history in the gaps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from wire.bus import Message

MAX_NEWS = 20_000
"""Beyond this the network thread waits, and with it the broker: unacknowledged, nothing is lost."""
MAX_HISTORY = 2_000
"""Beyond this history is let go: its sender has it still, and sends it again."""


class Arrivals:
    """Filled by the bus's thread, emptied by intake's."""

    def __init__(self, *, most_news: int = MAX_NEWS, most_history: int = MAX_HISTORY) -> None:
        self._most_news = most_news
        self._most_history = most_history
        self._news: deque[Message] = deque()
        self._history: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put_news(self, message: Message) -> None:
        """Waits while there is no room."""
        with self._changed:
            while len(self._news) >= self._most_news and not self._closed:
                self._changed.wait()
            self._news.append(message)
            self._changed.notify_all()

    def put_history(self, message: Message) -> bool:
        """Never waits. False: let go."""
        with self._changed:
            kept = len(self._history) < self._most_history
            if kept:
                self._history.append(message)
                self._changed.notify_all()
        if not kept:
            message.ack()
        return kept

    def wait(self, timeout_s: float) -> None:
        """Returns when there is something, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._history or self._closed, timeout_s)

    def take(self, most: int, share: int, size_of: Callable[[Message], int]) -> list[Message]:
        """Messages of about `most` items by `size_of`: news first, and of history as much as fits, at least
        `share` items if there is any, so that it never stands still; never more than half of `most`."""
        taken: list[Message] = []
        with self._changed:
            reserve = share if self._history else 0
            count = _move(self._news, taken, most - reserve, size_of)
            left = max(reserve, min(most - count, most // 2))
            _move(self._history, taken, left, size_of)
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Lets whoever waits go on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _move(queue: deque[Message], taken: list[Message], most: int, size_of: Callable[[Message], int]) -> int:
    count = 0
    while queue and count < most:
        message = queue.popleft()
        count += size_of(message)
        taken.append(message)
    return count
