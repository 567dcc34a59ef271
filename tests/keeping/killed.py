"""A retention run in a process of its own that can be killed: says each commit and waits to be told to go on.

`python -m tests.keeping.killed URL DATA NOW`: NOW is the hub's clock, ISO 8601.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hub.domain.entry import Entry
from hub.domain.retention import Terms
from hub.retention import Pace, Retention
from hub.store.blobs import Blobs
from hub.store.engine import Store


def main(url: str, data: str, now: str) -> None:
    """Runs retention; a line for each commit, and on a line of input it goes on."""
    at = datetime.fromisoformat(now)
    store = Store.open(url, clock=lambda: at)

    def committed(entries: Sequence[Entry]) -> None:
        sys.stdout.write(f"{entries[-1].body.get('act')}\n")
        sys.stdout.flush()
        sys.stdin.readline()

    store.on_commit(committed)
    Retention(
        store, Blobs(Path(data) / "stills"), lambda: at, Terms(), pace=Pace(size=4, most=4, rest=0)
    ).run()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
