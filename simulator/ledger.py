"""What was sent and acknowledged, one JSON line each, written the moment the acknowledgement arrives."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

Entry: TypeAlias = dict[str, Any]


def instant(at: datetime, *, seconds: bool = False) -> str:
    """ISO 8601 in UTC with milliseconds, or in whole seconds as devices send it."""
    text = at.astimezone(UTC).isoformat(timespec="seconds" if seconds else "milliseconds")
    return text.replace("+00:00", "Z")


def now() -> str:
    """This moment, as the ledger writes it."""
    return instant(datetime.now(UTC))


class Ledger:
    """Appends lines to a file; safe from any thread. Each line reaches the file before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        self.written = 0

    def write(self, entry: Mapping[str, Any]) -> None:
        """Writes `entry`; `acked_at` is now unless it says otherwise."""
        line = json.dumps({**entry, "acked_at": entry.get("acked_at") or now()}, ensure_ascii=False)
        with self._lock:
            if self._file.closed:
                return
            self._file.write(line + "\n")
            self._file.flush()
            self.written += 1

    def close(self) -> None:
        """Ends the ledger; later writes are left out."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
