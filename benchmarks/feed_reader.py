"""Consoles for the feed's benchmark: many sockets in one lean process, which counts more than it parses.

Every socket: the chain of `prev`, and how many of the sender's observations came. Every fifth: the time of
each. It says `ready` when all are heard of, and its counts as one JSON line when its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import sys
import time
from array import array
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvloop

MARK = b'"code":"t'
"""Before the time (monotonic, ns) that the sender wrote into an observation that counts."""
_CHAIN = re.compile(rb'\nid: (\d+)\ndata: \{"seq":\d+,"prev":(\d+)')
_TIMES = re.compile(MARK + rb"(\d+)")
TIMED = 5
"""Every so many sockets the times are read."""


@dataclass
class Heard:
    """What all sockets heard."""

    beats: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    broken: int = 0
    """Entries whose `prev` is not the one before, or whose number doesn't rise."""
    gaps: int = 0
    delays_ns: array[int] = field(default_factory=lambda: array("q"))


class Console(asyncio.Protocol):
    """One socket."""

    def __init__(self, heard: Heard, number: int, request: bytes, ready: asyncio.Semaphore) -> None:
        self._heard, self._number, self._request, self._ready = heard, number, request, ready
        self._left = b""
        self._cursor = 0
        self._begun = False

    def connection_made(self, transport: Any) -> None:
        """Asks for the feed."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Whole events are looked at, the rest waits for more."""
        now = time.monotonic_ns()
        whole, ends, left = (self._left + data).rpartition(b"\n\n")
        self._left = left
        if not ends:
            return
        if not self._begun and b"event: beat" in whole:
            self._begun = True
            self._heard.beats += 1
            self._ready.release()
        if b"event: gap" in whole or b"event: resume" in whole:
            self._heard.gaps += 1
        self._count(whole, now)

    def _count(self, whole: bytes, now: int) -> None:
        heard = self._heard
        heard.counts[self._number] = heard.counts.get(self._number, 0) + whole.count(MARK)
        for seq, prev in _CHAIN.findall(whole):
            if self._cursor and (int(prev) != self._cursor or int(seq) <= self._cursor):
                heard.broken += 1
            self._cursor = int(seq)
        if self._number % TIMED == 0:
            heard.delays_ns.extend(now - int(sent) for sent in _TIMES.findall(whole))


async def listen(port: int, cookies: list[str], count: int) -> None:
    """Opens the sockets, tells when they are heard of, and reports at the end."""
    loop = asyncio.get_running_loop()
    heard, ready = Heard(), asyncio.Semaphore(0)
    transports = []
    for number in range(count):
        cookie = cookies[number % len(cookies)]
        request = f"GET /api/v1/feed HTTP/1.1\r\nHost: x\r\nCookie: jifang={cookie}\r\n\r\n".encode()
        console = Console(heard, number, request, ready)
        made = await loop.create_connection(partial(_same, console), "127.0.0.1", port)
        transports.append(made[0])
    for _ in range(count):
        await ready.acquire()
    print("ready", flush=True)
    before = _cpu_s()
    await asyncio.to_thread(sys.stdin.readline)
    print(
        json.dumps(
            {
                "counts": [heard.counts.get(number, 0) for number in range(count)],
                "broken": heard.broken,
                "gaps": heard.gaps,
                "delays_ms": sorted(round(one / 1e6, 3) for one in heard.delays_ns),
                "cpu_s": _cpu_s() - before,
            }
        ),
        flush=True,
    )
    for transport in transports:
        transport.close()


def _same(console: Console) -> Console:
    return console


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """The consoles as a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--consoles", type=int, required=True)
    parser.add_argument("--cookies", required=True, help="comma-separated")
    given = parser.parse_args()
    uvloop.run(listen(given.port, given.cookies.split(","), given.consoles))


if __name__ == "__main__":
    main()
