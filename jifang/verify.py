"""`jifang verify`: the chains of a store or an archive from end to end, and the pictures by their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from hub.store import log as stored_log
from hub.store import pruned
from hub.store.archive import FORMAT, ArchiveError, Manifest, Reader, fingerprint
from hub.store.chain import AuditWalk, LogWalk
from hub.store.dumping import archived, runs_in
from hub.store.snapshot import shown, snapshot, tables_of
from hub.store.tables.accounts import audit, stills
from hub.store.tables.log import entries
from jifang.steps import Steps

_CHUNK_BYTES = 1024 * 1024
_REFERENCES = (
    ("incidents", "seq"),
    ("conditions", "seq"),
    ("views", "seq"),
    ("stills", "seq"),
    ("observation_ids", "seq"),
)
"""Columns that name entries: none may name one beyond the end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something isn't what was written."""

    where: str
    """`log`, `audit`, `stills`, `archive`"""
    at: str
    """Number of the entry or row, hash of the picture, or name of the member."""
    reason: str


@dataclass(slots=True)
class Verified:
    """What was proved, and where it ended."""

    what: str
    head: int = 0
    hash: str = ""
    entries: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    pruned_runs: int = 0
    pruned_entries: int = 0
    audit_rows: int = 0
    stills: int = 0
    """Pictures whose content is what their names say."""
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.faults

    def log(self, walk: LogWalk) -> None:
        """Takes over what a walk has come to."""
        count = walk.count
        self.head, self.hash, self.entries = count.head, count.hash, count.entries
        self.kinds = dict(sorted(count.kinds.items()))
        self.first_at, self.last_at = count.first_at, count.last_at
        self.pruned_runs, self.pruned_entries = count.pruned_runs, count.pruned_entries
        if walk.broken is not None:
            self.faults.append(Fault("log", str(walk.broken.seq), walk.broken.reason))

    def audit(self, walk: AuditWalk) -> None:
        """Takes over what a walk has come to."""
        self.audit_rows = walk.rows
        if walk.broken is not None:
            self.faults.append(Fault("audit", str(walk.broken.seq), walk.broken.reason))


# A store


def verify_store(url: str, data: Path, steps: Steps) -> Verified:
    """Proves a store beside a hub that goes on writing. Raises `NoStore`."""
    found = Verified(shown(url))
    with snapshot(url) as connection:
        tables = tables_of(connection)
        _log(connection, tables, found, steps)
        named = {
            row.hash: (row.subject, row.seq)
            for row in connection.execute(sa.select(stills.c.hash, stills.c.subject, stills.c.seq))
        }
    _pictures(url, data / "stills", named, found, steps)
    return found


def _log(connection: sa.Connection, tables: dict[str, sa.Table], found: Verified, steps: Steps) -> None:
    walk = _log_walk(connection, tables, steps)
    found.log(walk)
    rows = AuditWalk(walk.audit_cut)
    beat = steps.step(
        "audit", int(connection.execute(sa.select(sa.func.count()).select_from(audit)).scalar_one())
    )
    with closing(stored_log.raw(connection, audit)) as raw:
        for row in raw:
            if not rows.take(row):
                break
            beat(1)
    found.audit(rows)
    if walk.broken is None:
        _references(connection, tables, walk.count.head, found)


def _log_walk(connection: sa.Connection, tables: dict[str, sa.Table], steps: Steps) -> LogWalk:
    runs = pruned.runs(connection) if "pruned" in tables else None
    beat, done = steps.step("entries", stored_log.head(connection)), 0
    with closing(stored_log.raw(connection, entries)) as rows:
        walk = LogWalk(runs or ())
        for row in rows:
            if not walk.take(row):
                break
            if walk.count.head - done >= 500:
                beat(walk.count.head - done)
                done = walk.count.head
    beat(walk.count.head - done)
    walk.end()
    if runs is not None:
        runs.close()
    return walk


def _references(connection: sa.Connection, tables: dict[str, sa.Table], head: int, found: Verified) -> None:
    """An end that was cut off shows in what still speaks of it."""
    for name, column in _REFERENCES:
        if name not in tables:
            continue
        highest = connection.execute(sa.select(sa.func.max(tables[name].c[column]))).scalar_one()
        if highest is not None and int(highest) > head:
            reason = f"missing: table {name} speaks of it, and the log ends at {head}"
            found.faults.append(Fault("log", str(highest), reason))


def _pictures(
    url: str, folder: Path, named: dict[str, tuple[str, int]], found: Verified, steps: Steps
) -> None:
    beat = steps.step("pictures", len(named))
    suspects: dict[str, str] = {}
    for digest in named:
        reason = _wrong_with(folder / digest[:2] / digest, digest)
        if reason:
            suspects[digest] = reason
        else:
            found.stills += 1
        beat(1)
    for digest in _still_named(url, suspects):
        subject, seq = named[digest]
        found.faults.append(Fault("stills", digest, f"{suspects[digest]}; shown by entry {seq}, {subject}"))


def _wrong_with(path: Path, digest: str) -> str:
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if actual == digest else "its content is another's"


def _still_named(url: str, suspects: dict[str, str]) -> list[str]:
    """Those that the store still names now: what retention took meanwhile isn't missing."""
    if not suspects:
        return []
    with snapshot(url) as connection:
        named = set(connection.execute(sa.select(stills.c.hash)).scalars())
    return [digest for digest in suspects if digest in named]


# An archive


def is_archive(path: Path) -> bool:
    """Whether the file looks like one of ours."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def verify_archive(path: Path, steps: Steps) -> Verified:
    """Proves every member of an archive and the chains inside. Raises `OSError`."""
    found = Verified(str(path))
    try:
        with Reader(path) as reader:
            prove_archive(reader, found, steps)
    except ArchiveError as error:
        member, _, reason = str(error).partition(": ")
        found.faults.append(Fault("archive", member, reason))
    return found


def prove_archive(reader: Reader, found: Verified, steps: Steps) -> None:
    """As `verify_archive`, on an archive that is open. Raises `ArchiveError`."""
    manifest = reader.manifest
    walk = LogWalk(runs_in(reader))
    _member(reader, "entries", walk, steps)
    walk.end()
    found.log(walk)
    rows = AuditWalk(walk.audit_cut)
    _member(reader, "audit", rows, steps)
    found.audit(rows)
    for table in manifest.tables():
        if table not in ("entries", "audit"):
            _member(reader, table, None, steps)
    if walk.broken is None and (walk.count.head, walk.count.hash) != (manifest.log.head, manifest.log.hash):
        raise ArchiveError(f"entries: the log ends at {walk.count.head}, not at {manifest.log.head}")
    beat = steps.step("pictures", _files(manifest))
    for _digest, _content in reader.stills():
        found.stills += 1
        beat(1)
    key = reader.key()
    if (key is not None) != manifest.key.included or (
        key is not None and fingerprint(key) != manifest.key.fingerprint
    ):
        raise ArchiveError("seal.key: isn't the one the manifest speaks of")
    for digest in manifest.missing_stills:
        found.faults.append(Fault("stills", digest, "was missing when the archive was made"))


def _member(reader: Reader, table: str, walk: LogWalk | AuditWalk | None, steps: Steps) -> None:
    member = reader.manifest.member(f"tables/{table}.jsonl")
    beat = steps.step(table, member.rows if member else None)
    rows = archived(reader.head(table), reader.rows(table))
    going = walk is not None
    for number, row in enumerate(rows, start=1):
        if going and walk is not None:
            going = walk.take(row)
        if number % 500 == 0:
            beat(500)
    beat((member.rows if member else 0) % 500)


def _files(manifest: Manifest) -> int | None:
    member = manifest.member("stills.tar")
    return member.rows if member else None


# Files of any kind

Prover: TypeAlias = Callable[[Path, Steps], Verified]
PROVERS: tuple[tuple[Callable[[Path], bool], Prover], ...] = ((is_archive, verify_archive),)
"""How a kind of file is recognised and how it is proved."""


class UnknownFile(ValueError):
    """Nobody here can prove this kind of file."""


def verify_file(path: Path, steps: Steps) -> Verified:
    """Proves a file by what it is. Raises `UnknownFile`, `OSError`."""
    for recognised, prove in PROVERS:
        if recognised(path):
            return prove(path, steps)
    raise UnknownFile(f"{path}: is no {FORMAT}")
