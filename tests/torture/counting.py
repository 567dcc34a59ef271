"""Counted at the end: ledgers against the store, the chain, the marks, the pictures, the desk, the consoles.

What is promised stands in docs/design/log.md and feed.md: an observation that an outbox has taken is in the
store once, under its identity; a device's change that was acknowledged to it is in the log once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.access import Right, decide, kinds_for
from hub.domain.entry import EntryKind
from hub.rebuild import rebuild
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store, Transaction
from hub.store.tables.cases import conditions, incidents, views
from hub.store.tables.fixes import heartbeats, positions
from hub.store.tables.log import entries
from jifang.logged import flatten
from jifang.reckoning import reckon
from tests.torture import consoles
from tests.torture.consoles import FOLLOWERS, Follower
from tests.torture.district import lies_within
from tests.torture.ledger import content_of, read
from wire.observations import Heartbeat, Observation, Position
from wire.outbox import Outbox

MOVING = ("heard_at", "lat", "lon", "speed_kmh", "course_deg", "fix_at")
"""What positions and heartbeats alone change on the desk: they make no entry."""


@dataclass
class Taken:
    """What ledgers say that outboxes took."""

    ids: set[str] = field(default_factory=set)
    says: dict[str, str] = field(default_factory=dict)
    """Identity → content."""
    last: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Highest number by sender and epoch."""

    def add(self, path: Path) -> None:
        """Adds a ledger."""
        for line in read(path):
            self.ids.update(line["ids"])
            self.says.update(zip(line["ids"], line["says"], strict=True))
            key = (line["sender"], line["epoch"])
            self.last[key] = max(self.last[key], line["last"])


@dataclass
class Stored:
    """What the store holds of observations."""

    ids: Counter[str] = field(default_factory=Counter)
    says: Counter[str] = field(default_factory=Counter)
    content: dict[str, str] = field(default_factory=dict)
    flat: list[dict[str, Any]] = field(default_factory=list)
    """As `jifang.reckoning` takes them."""
    stills: set[str] = field(default_factory=set)

    def put(self, identity: str, says: str) -> None:
        """Notes one."""
        self.ids[identity] += 1
        self.says[says] += 1
        self.content[identity] = says


@dataclass(frozen=True)
class Count:
    """What a comparison came to."""

    acknowledged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    altered: tuple[str, ...]


def stored_in(url: str) -> Stored:
    """Everything in the store."""
    engine = sa.create_engine(url)
    found = Stored()
    try:
        with engine.connect() as connection:
            _read_log(connection, found)
            _read_fixes(connection, found)
    finally:
        engine.dispose()
    return found


def _read_log(connection: sa.Connection, found: Stored) -> None:
    query = sa.select(entries.c.body).where(entries.c.kind == EntryKind.OBSERVATION.value)
    for (text,) in connection.execute(query.execution_options(yield_per=1000)):
        body = msgspec.json.decode(text)
        found.flat.append(flatten(body))
        if still := body["body"].pop("still", ""):
            found.stills.add(still)
        observation = msgspec.convert(body, Observation)
        found.put(observation.id, content_of(observation))


def _read_fixes(connection: sa.Connection, found: Stored) -> None:
    for row in connection.execute(sa.select(positions).execution_options(yield_per=1000)):
        body = Position(lat=row.lat, lon=row.lon)
        found.put(row.id, content_of(Observation(source=row.source, body=body, heard_at=row.heard_at)))
        if row.device_at is not None:
            found.flat.append(
                {
                    "kind": "position",
                    "source": row.source,
                    "device_at": row.device_at.isoformat(),
                    "lateness": row.lateness,
                }
            )
    for row in connection.execute(sa.select(heartbeats).execution_options(yield_per=1000)):
        beat = Observation(source=row.source, body=Heartbeat(), heard_at=row.heard_at)
        found.put(row.id, content_of(beat))


def compare(taken: Taken, stored: Stored) -> Count:
    """Outboxes against the store."""
    lost = sorted(taken.ids - stored.ids.keys())
    twice = {one for one in taken.ids if stored.ids[one] > 1}
    meant = Counter(taken.says.values())
    twice |= {says for says, times in meant.items() if stored.says[says] > times}
    altered = sorted(
        one for one, says in taken.says.items() if one in stored.content and stored.content[one] != says
    )
    return Count(len(taken.ids), tuple(lost), tuple(sorted(twice)), tuple(altered))


def compare_devices(ledger: Path, stored: Stored) -> Count:
    """Foreign devices against the log. Equal changes are counted, as `jifang.reckoning` does."""
    counted = reckon(read(ledger), stored.flat)
    lost = [" ".join(key) for key in counted.missing]
    twice = [" ".join(key) for key in counted.twice]
    return Count(counted.acknowledged, _as_many(lost, counted.lost), _as_many(twice, counted.doubled), ())


def _as_many(named: Sequence[str], number: int) -> tuple[str, ...]:
    """The names that are known, filled up to the number that there are."""
    return (*named, *("…" for _ in range(number - len(named))))[:number]


@dataclass(frozen=True)
class Followed:
    """What a console should have had, and had."""

    name: str
    visible: int
    received: int
    announced: int
    """Gap messages."""
    unannounced: int
    """Entries it may see that neither came nor were announced as missing; and what came out of order."""
    unseen: int
    """Entries it was sent that it may not see."""
    connections: int


def follow(url: str, folder: Path) -> list[Followed]:
    """Every console's record against the log."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            query = sa.select(entries.c.seq, entries.c.kind, entries.c.place).order_by(entries.c.seq)
            rows = [(int(row.seq), EntryKind(row.kind), str(row.place)) for row in connection.execute(query)]
    finally:
        engine.dispose()
    return [_followed(one, rows, folder) for one in FOLLOWERS]


def _followed(one: Follower, rows: Sequence[tuple[int, EntryKind, str]], folder: Path) -> Followed:
    record = consoles.read(folder / f"{one.name}.txt")
    sees = _sight(one)
    visible = {seq for seq, kind, place in rows if sees(kind, place)}
    # Its record was read after the log: what was committed between them isn't judged.
    head = rows[-1][0] if rows else 0
    received = {seq for seq, _ in record.entries if seq <= head}
    announced = {seq for seq in visible - received if any(a <= seq <= b for a, b in record.gaps)}
    missing = visible - received - announced
    return Followed(
        name=one.name,
        visible=len(visible),
        received=len(received),
        announced=len(record.gaps),
        unannounced=len(missing) + record.out_of_order,
        unseen=len(received - visible),
        connections=record.connections,
    )


def _sight(one: Follower) -> Callable[[EntryKind, str], bool]:
    """As `hub.web.stream.sees_entry`, from the same decision point."""
    kinds = kinds_for(one.person)

    def sees(kind: EntryKind, place: str) -> bool:
        if kind not in kinds:
            return False
        if kind is EntryKind.HUB:
            return True
        return decide(one.person, Right.SELF, place=place, contains=lies_within).allowed

    return sees


@dataclass(frozen=True)
class Whole:
    """What holds of the store as a whole."""

    entries: int
    faults: tuple[str, ...]


def examine(
    url: str, stored: Stored, taken: Taken, blobs: Path, outboxes: Iterable[tuple[Path, str]]
) -> Whole:
    """The chain, the marks, the pictures, and the desk against one made anew from the log."""
    store = Store.open(url)
    try:
        faults = [
            *_chain_faults(store),
            *_mark_faults(store, taken, outboxes),
            *_picture_faults(stored, blobs),
            *_desk_faults(store),
        ]
        return Whole(store.head, tuple(faults))
    finally:
        store.close()


def _chain_faults(store: Store) -> Iterator[str]:
    held, broken = store.query(stored_log.verify)
    if broken is not None:
        yield f"chain: {broken.seq}: {broken.reason}"
    elif held != store.head:
        yield f"chain: {held} entries hold, the head is {store.head}"


def _mark_faults(store: Store, taken: Taken, outboxes: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """A mark says that all up to it is stored: it may not lie beyond what the sender ever gave, nor behind
    what the sender was told."""
    marks = store.query(stored_log.marks)
    for path, sender in outboxes:
        if not path.exists():
            continue
        outbox = Outbox(path, sender)
        try:
            mark = marks.get((sender, outbox.epoch), 0)
            if not outbox.stored <= mark <= outbox.last:
                yield (f"mark: {sender} {outbox.epoch}: {mark}, told {outbox.stored}, given {outbox.last}")
        finally:
            outbox.close()
    for (sender, epoch), last in taken.last.items():
        if marks.get((sender, epoch), 0) < last:
            yield f"mark: {sender} {epoch}: {marks.get((sender, epoch), 0)}, but {last} is stored"


def _picture_faults(stored: Stored, folder: Path) -> Iterator[str]:
    blobs = Blobs(folder)
    missing = sum(blobs.get(digest) is None for digest in stored.stills)
    if missing:
        yield f"pictures: {missing} of {len(stored.stills)} that the log names are missing"


class _Compared(Exception):
    """Undoes the rebuild when it has been looked at."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__()
        self.differences = differences


def _desk_faults(store: Store) -> list[str]:
    def job(tx: Transaction) -> None:
        before = _desk(tx.connection)
        rebuild(tx)
        after = _desk(tx.connection)
        raise _Compared(
            [f"desk: {key}" for key in before.keys() | after if before.get(key) != after.get(key)]
        )

    try:
        store.enqueue(job).result(300)
    except _Compared as compared:
        return compared.differences
    raise RuntimeError("the rebuild was not compared")


def _desk(connection: sa.Connection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in (conditions, incidents, views):
        key = next(iter(table.primary_key.columns))
        for row in connection.execute(sa.select(table)):
            told = row._asdict()
            told["body"] = {
                name: value for name, value in msgspec.json.decode(row.body).items() if name not in MOVING
            }
            found[f"{table.name} {told[key.name]}"] = told
    return found
