"""Consoles as a process: real HTTP, server-sent events, resumed by `Last-Event-ID`, written down.

A record has a line for each event: `e seq prev`, `g from to reason`, `b head`, `r after`, and `c cursor` at
each connection. `python -m tests.torture.consoles` runs until it is ended.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hub.access import Person, Role

PASSWORD = "torture-console-password"
PAUSE_S = 0.3
PATIENCE_S = 12.0
"""Beats come every 5 s; a feed that is silent for longer is dead."""
_NUMBERS = re.compile(rb'"seq":(\d+),"prev":(\d+)')


@dataclass(frozen=True)
class Follower:
    """One console: who signs in."""

    name: str
    roles: tuple[Role, ...]
    place: str

    @property
    def person(self) -> Person:
        """As the decision point sees them."""
        return Person(
            name=self.name, display_name=self.name, roles=self.roles, place=self.place, place_name=""
        )


FOLLOWERS = (
    Follower("everything", tuple(Role), ""),
    Follower("yunlong", (Role.OPERATOR,), "xz-yunlong"),
    Follower("devices", (Role.INSTALLER,), ""),
    Follower("gulou", (Role.OPERATOR, Role.INSPECTOR), "xz-gulou"),
)


@dataclass
class Record:
    """What a console was sent, read back."""

    entries: list[tuple[int, int]] = field(default_factory=list)
    """Number and `prev`, as they came."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Announced: from, to."""
    last: int = 0
    connections: int = 0
    out_of_order: int = 0
    """Entries that came again, too early, or with a `prev` that isn't what the console had."""


def read(path: Path) -> Record:
    """A console's record."""
    record = Record()
    for line in path.read_text().splitlines() if path.exists() else ():
        what, *numbers = line.split()
        if what == "c":
            record.connections += 1
        elif what == "g":
            first, last = int(numbers[0]), int(numbers[1])
            record.gaps.append((first, last))
            record.last = last
        elif what == "e":
            seq, prev = int(numbers[0]), int(numbers[1])
            record.out_of_order += seq <= record.last or prev != record.last
            record.entries.append((seq, prev))
            record.last = seq
    return record


class _Console:
    """One follower, for ever."""

    def __init__(self, follower: Follower, port: int, path: Path) -> None:
        self._follower = follower
        self._port = port
        self._file = path.open("a", buffering=1)
        self._cookie = ""
        self._cursor = read(path).last

    def live(self) -> None:
        while True:
            with suppress(OSError, http.client.HTTPException):
                self._follow()
            time.sleep(PAUSE_S)

    def _follow(self) -> None:
        if not self._cookie and not self._sign_in():
            return
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            told = {"Cookie": self._cookie, "Last-Event-ID": str(self._cursor)}
            line.request("GET", "/api/v1/feed?after=0", headers=told)
            answer = line.getresponse()
            if answer.status == 401:
                self._cookie = ""
            if answer.status != 200:
                return
            self._write(f"c {self._cursor}")
            for event, data in _events(answer):
                if not self._take(event, data):
                    return
        finally:
            line.close()

    def _sign_in(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            body = json.dumps({"name": self._follower.name, "password": PASSWORD})
            line.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
            cookie = answer.getheader("Set-Cookie") or ""
            self._cookie = cookie.split(";")[0] if answer.status == 200 else ""
            return bool(self._cookie)
        finally:
            line.close()

    def _take(self, event: bytes, data: bytes) -> bool:
        """False: connect anew."""
        if event == b"entry":
            found = _NUMBERS.search(data)
            if found is None:
                raise http.client.HTTPException(f"an entry without numbers: {data[:80]!r}")
            self._cursor = int(found[1])
            self._write(f"e {self._cursor} {int(found[2])}")
        elif event == b"gap":
            gap = json.loads(data)
            self._cursor = int(gap["to"])
            self._write(f"g {gap['from']} {gap['to']} {gap['reason']}")
        elif event == b"beat":
            self._write(f"b {json.loads(data)['head']}")
        elif event == b"resume":
            self._write(f"r {json.loads(data)['after']}")
            return False
        return True

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[bytes, bytes]]:
    event, data = b"message", b""
    while line := answer.readline():
        line = line.rstrip(b"\r\n")
        if line.startswith(b"event:"):
            event = line[6:].strip()
        elif line.startswith(b"data:"):
            data += line[5:].strip()
        elif not line and data:
            yield event, data
            event, data = b"message", b""


def main() -> None:
    """Runs until it is ended."""
    given = argparse.ArgumentParser()
    given.add_argument("--port", type=int, required=True)
    given.add_argument("--folder", type=Path, required=True)
    told = given.parse_args()
    consoles = [_Console(one, told.port, told.folder / f"{one.name}.txt") for one in FOLLOWERS]
    threads = [threading.Thread(target=one.live, daemon=True) for one in consoles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
