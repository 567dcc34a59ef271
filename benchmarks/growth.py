"""What a log of ten million entries costs, beside the same hub with a hundred thousand.

Each log is filled in bulk (`benchmarks.grown`); then the real hub is opened over each in turn, round after
round, and does the same work: starts, takes in a backlog, feeds a console that resumes from an hour ago, and
answers what the desk's pages ask. A ratio is time at the largest over time at the smallest, the median of
rounds. Everything is warm (read once before) but for the figures that say cold.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from benchmarks import grown, stores
from benchmarks.backlog import CITY, SENDER, backlog, district
from benchmarks.grown import Built
from hub.app import FieldSide, HubSettings, follow_log, open_hub, start_feed
from hub.domain.entry import EntryKind
from hub.feed import LogReader
from hub.intake import MAX_BATCH, understood
from hub.registers import Registers
from hub.sitefile import parse
from hub.store import audit as audit_rows
from hub.store import cases, fixes, quarantine, stills
from hub.store import log as stored_log
from hub.store.engine import Store
from hub.store.tables.accounts import stills as stills_table
from hub.tail import Encoded, Sight
from hub.web.context import Hub
from wire import codec, topics
from wire.bus import Broker, Message

TARGET = 1.3
RESUMED = grown.PER_HOUR - 500
"""Entries of the last hour that a console is told: the same number at every length."""
TIMES = 15
"""Each question is asked so often in a round; the median counts."""


@dataclass(slots=True)
class Grown:
    """A log of one length, and what was measured over it."""

    name: str
    url: str
    folder: Path
    built: Built
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, took_s: float) -> None:
        """One measurement."""
        self.seconds.setdefault(what, []).append(took_s)

    def median(self, what: str) -> float:
        """Seconds, over the rounds."""
        return median(self.seconds[what])


def prepared(name: str, url: str, folder: Path, length: int, now: datetime) -> Grown:
    """A database with its register and a log of that length."""
    folder.mkdir(parents=True, exist_ok=True)
    start = grown.beginning(length, now)
    store = Store.open(url, clock=lambda: start)
    try:
        registers = Registers.load(store, folder / "seal.key")
        site = parse(json.dumps(district(CITY)).encode())
        store.enqueue(lambda tx: registers.import_site(tx, site, "benchmark")).result()
        last = store.query(lambda connection: stored_log.numbered(connection, [store.head]))[0]
    finally:
        store.close()
    return Grown(name, url, folder, grown.build(url, length, now, last.seq, last.hash))


@contextmanager
def opened(one: Grown) -> Iterator[tuple[Hub, FieldSide]]:
    """The hub over that log, started as a process starts it; what that took is noted."""
    gc.collect()
    settings = HubSettings(
        data=one.folder,
        store_url=one.url,
        broker=Broker(host="127.0.0.1", port=1),
        http_host="127.0.0.1",
        http_port=0,
    )
    began = time.perf_counter()
    hub, field_side = open_hub(settings)
    follow_log(hub)
    one.note("start", time.perf_counter() - began)
    try:
        yield hub, field_side
    finally:
        hub.store.close()


def take_in(one: Grown, hub: Hub, field_side: FieldSide, count: int, seed: int) -> None:
    """A backlog through intake, decoded before."""
    told = backlog(count, seed, CITY)
    topic = topics.OBSERVATIONS.format(sender=SENDER)
    batches = []
    for start in range(0, count, MAX_BATCH):
        payload = codec.joined([codec.encode(envelope) for envelope in told[start : start + MAX_BATCH]])
        batches.append(understood(Message(topic, payload, False, False, 0, _nothing)))
    head = hub.store.head
    began = time.perf_counter()
    for batch in batches:
        field_side.intake._take(batch)
    one.note("intake", time.perf_counter() - began)
    assert hub.store.head > head


def _nothing() -> None:
    """No broker waits for an acknowledgement."""


class _Console:
    """A pipe to nowhere that is always ready, and counts what it is told."""

    ready = True

    def __init__(self) -> None:
        self.events = 0

    def write(self, events: bytes) -> None:
        """Takes it."""
        self.events += events.count(b"event: entry\n")


class _UpTo:
    """The log as it was at one entry: the same number of entries, whatever rounds have added since."""

    def __init__(self, log: LogReader, last: int) -> None:
        self._log = log
        self.head = last

    def page(self, after: int, up_to: int, limit: int) -> Awaitable[list[Encoded]]:
        """As the log's own."""
        return self._log.page(after, up_to, limit)


def resumed(one: Grown, hub: Hub) -> float:
    """A console comes back after an hour and is told everything since; seconds."""
    return asyncio.run(_resume(one, hub))


async def _resume(one: Grown, hub: Hub) -> float:
    after = one.built.an_hour_ago
    hub.feed._reader = _UpTo(hub.feed._reader, after + RESUMED)
    await start_feed(hub)
    console = _Console()
    began = time.perf_counter()
    sight = Sight(frozenset(EntryKind), "", units=False)
    subscriber = hub.feed.subscribe(sight, console, after, log_id=hub.feed.log)
    subscriber.begin()
    while hub.feed.is_behind(subscriber):
        console.write(await hub.feed.burst(subscriber))
    took = time.perf_counter() - began
    hub.feed.leave(subscriber)
    await hub.feed.stop()
    assert console.events == RESUMED, f"{console.events} of {RESUMED}"
    return took


def questions(one: Grown, hub: Hub) -> dict[str, Callable[[], object]]:
    """What the desk's pages ask of a hub, by name."""
    old, new = one.built.closed[0], one.built.closed[-1]
    ask = hub.store.query
    still = ask(lambda connection: connection.execute(sa.select(stills_table.c.hash).limit(1)).scalar_one())
    last_kept = one.built.entries - 300

    def timeline(identity: str) -> Callable[[], object]:
        incident = ask(lambda connection: cases.incident(connection, identity))
        assert incident is not None
        return lambda: ask(
            lambda connection: stored_log.timeline(connection, identity, incident.conditions, [])
        )

    return {
        "snapshot": hub.desk.snapshot,
        "open_incidents": lambda: ask(cases.open_incidents),
        "closed_incidents": lambda: ask(lambda connection: cases.closed_incidents(connection, limit=200)),
        "closed_incident": lambda: ask(lambda connection: cases.incident(connection, old)),
        "timeline_of_the_oldest": timeline(old),
        "timeline_of_the_latest": timeline(new),
        "about_a_camera": lambda: ask(
            lambda connection: stored_log.about(connection, ["camera:c-07"], limit=50)
        ),
        "log_page": lambda: ask(
            lambda connection: stored_log.looked_through(
                connection, last_kept, limit=100, kinds=tuple(EntryKind)
            )
        ),
        "log_page_of_a_rare_kind": lambda: ask(
            lambda connection: stored_log.looked_through(
                connection, 2_000, limit=100, kinds=(EntryKind.ORDER,)
            )
        ),
        "audit_page": lambda: ask(lambda connection: audit_rows.page(connection, before=None, limit=100)),
        "quarantine": lambda: ask(lambda connection: quarantine.listed(connection, limit=100)),
        "picture": lambda: ask(lambda connection: stills.shown_at(connection, still)),
        "latest_fixes": lambda: ask(fixes.latest),
    }


def asked(one: Grown, hub: Hub) -> None:
    """Every question, often."""
    for name, question in questions(one, hub).items():
        took = []
        for _ in range(TIMES):
            began = time.perf_counter()
            question()
            took.append(time.perf_counter() - began)
        one.note(f"query_{name}", median(took))


def measured(one: Grown, seed: int, count: int) -> None:
    """One round over one log."""
    with opened(one) as (hub, field_side):
        asked(one, hub)
        one.note("resume", resumed(one, hub))
        take_in(one, hub, field_side, count, seed)


def start_cold(one: Grown) -> float:
    """Seconds for a start with none of the database's files in the page cache (SQLite only)."""
    database = sa.make_url(one.url).database
    for path in (database, f"{database}-wal"):
        if path and Path(path).exists():
            with Path(path).open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with opened(one):
        return one.seconds["start"].pop()


def sizes_for(largest: int, smallest: int) -> list[int]:
    """Smallest, one between, largest."""
    between = round((largest * smallest) ** 0.5)
    return sorted({smallest, between, largest} if largest >= 16 * smallest else {smallest, largest})


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Builds the logs, measures in turns, and says what grew."""
    now = datetime.now(UTC)
    load = round(os.getloadavg()[0], 1)
    with stores.databases(given.store, folder) as fresh:
        logs = [
            prepared(f"n{size}", fresh(f"n{size}"), folder / f"n{size}", size, now)
            for size in sizes_for(given.entries, given.smallest)
        ]
        for number in range(given.rounds + 1):
            for one in logs if number % 2 else logs[::-1]:  # in turns, and neither always after the other
                measured(one, number, given.count)
            if number == 0:
                for one in logs:
                    one.seconds.clear()  # the first round warms
            _tell(f"round {number} of {given.rounds}: {_words(logs)}")
        cold = [start_cold(one) for one in logs] if given.store == stores.SQLITE else []
        sizes = [_bytes_of(one) for one in logs] if given.store == stores.SQLITE else []
    return _result(given, logs, load, cold, sizes)


def _words(logs: Sequence[Grown]) -> str:
    small, large = logs[0], logs[-1]
    if not small.seconds:
        return "warmed"
    return ", ".join(f"{what} {_ratio(small, large, what)}" for what in ("start", "intake", "resume"))


def _ratio(small: Grown, large: Grown, what: str) -> float:
    """Of the rounds' pairs, which ran right after each other."""
    pairs = zip(large.seconds[what], small.seconds[what], strict=True)
    return round(median(grown_s / small_s for grown_s, small_s in pairs), 3)


def _result(
    given: argparse.Namespace, logs: Sequence[Grown], load: float, cold: Sequence[float], sizes: Sequence[int]
) -> dict[str, Any]:
    small, large = logs[0], logs[-1]
    queries = {
        name.removeprefix("query_"): _ratio(small, large, name)
        for name in small.seconds
        if name.startswith("query_")
    }
    worst = max(queries, key=lambda name: queries[name])
    figures: dict[str, Any] = {
        "intake_ratio": _ratio(small, large, "intake"),
        "resume_ratio": _ratio(small, large, "resume"),
        "queue_ratio": queries[worst],
        "queue_worst": worst,
        "start_ratio": _ratio(small, large, "start"),
        "intake_per_s": [round(given.count / one.median("intake")) for one in logs],
        "resume_entries_per_s": [round(RESUMED / one.median("resume")) for one in logs],
        "start_ms": [round(one.median("start") * 1000, 1) for one in logs],
        "queries": queries,
        "query_ms": {name: round(large.median(f"query_{name}") * 1000, 3) for name in queries},
    }
    if cold:
        figures["start_cold_ms"] = [round(one * 1000, 1) for one in cold]
    return {
        "name": "growth" if given.store == stores.SQLITE else f"growth_{given.store}",
        "figures": figures,
        "baseline": {"entries": [one.built.entries for one in logs], "target": TARGET},
        "ratio": max(figures[f"{what}_ratio"] for what in ("intake", "resume", "queue", "start")),
        "conditions": {
            "store": stores.described(given.store),
            "largest": {key: value for key, value in asdict(large.built).items() if key != "closed"},
            "bytes": list(sizes),
            "mix": grown.MIX,
            "intake_observations": given.count,
            "resumed_entries": RESUMED,
            "rounds": given.rounds,
            "page_cache": "warm: one round before those that count",
            "cores": os.cpu_count(),
            "load_1m_before": load,
            "python": platform.python_version(),
        },
    }


def _bytes_of(one: Grown) -> int:
    return Path(str(sa.make_url(one.url).database)).stat().st_size


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Prints progress, and the result as one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=stores.KINDS, default=stores.SQLITE)
    parser.add_argument("--entries", type=int, default=10_000_000, help="in the largest log")
    parser.add_argument("--smallest", type=int, default=100_000, help="entries in the smallest log")
    parser.add_argument("--count", type=int, default=4_000, help="observations taken in, each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, default=None, help="for the data; a temporary one if not given"
    )
    parser.add_argument("--keep", action="store_true", help="leave the data there")
    parser.add_argument("--short", action="store_true", help="runs in seconds; proves it runs, not a figure")
    given = parser.parse_args()
    if given.short:
        given.entries, given.smallest, given.count, given.rounds = 60_000, 30_000, 500, 1
    folder = given.folder or Path(tempfile.mkdtemp(prefix="jifang-growth-"))
    try:
        print(json.dumps(measure(given, folder), ensure_ascii=False))
    finally:
        if given.keep:
            _tell(f"data left in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
