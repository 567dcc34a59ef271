"""A part that kills itself at a line, and an outbox that is overheard: the real code, from outside."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any

from tests.torture.ledger import Ledger, taken_by
from tests.torture.lines import Point, codes_at
from wire.observations import Observation
from wire.outbox import Mark, Outbox


def die_at(point: Point, nth: int) -> None:
    """Has this process SIGKILL itself when a thread is about to run the line for the `nth` time."""
    codes = codes_at(point)
    left = nth

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if event == "line" and frame.f_lineno == point.line:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def entered(frame: FrameType, _event: str, _argument: Any) -> Any:
        return local if frame.f_code in codes else None

    threading.settrace(entered)
    sys.settrace(entered)


def overhear(path: Path) -> None:
    """Writes down what any outbox of this process took, before whoever asked is told that it did."""
    ledger = Ledger(path)
    take = Outbox.append

    def append(
        outbox: Outbox, observations: Sequence[Observation], marks: Sequence[Mark] = ()
    ) -> Future[int]:
        done = take(outbox, observations, marks)
        if observations:
            done.add_done_callback(lambda taken: _note(ledger, outbox, observations, taken))
        return done

    Outbox.append = append  # type: ignore[method-assign, assignment]


def _note(ledger: Ledger, outbox: Outbox, observations: Sequence[Observation], taken: Future[int]) -> None:
    if taken.exception() is None:
        ledger.write(taken_by(outbox, observations, taken.result()))
