"""`jifang backup`: the whole store as one file, beside a hub that goes on (docs/reference/backup.md)."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.store import log as stored_log
from hub.store.archive import KeyFacts, LogFacts, Manifest, Writer, fingerprint, new_file
from hub.store.chain import LogWalk, raw_row
from hub.store.dumping import LEFT_OUT, count_of, head_of, rows_of
from hub.store.pruned import runs
from hub.store.snapshot import backend, revision, snapshot, tables_of
from jifang.steps import Steps


class BackupRefused(RuntimeError):
    """It can't be made so; says why and what to do."""


@dataclass(slots=True)
class _Pictures:
    """Pictures on disk, and those that should be there and aren't."""

    folder: Path
    missing: list[str] = field(default_factory=list)

    def read(self, hashes: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each by its hash."""
        for digest in hashes:
            try:
                yield digest, (self.folder / digest[:2] / digest).read_bytes()
            except FileNotFoundError:
                self.missing.append(digest)

    def there(self) -> set[str]:
        """Hashes of all files."""
        return {path.name for path in self.folder.glob("??/*") if len(path.name) == 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions:
    """What is backed up, and where to."""

    store_url: str
    data: Path
    """The hub's data folder: pictures and key."""
    file: Path
    with_key: bool = False
    force: bool = False
    """Replaces a file that is there."""


def backup(options: BackupOptions, now: datetime, steps: Steps) -> Manifest:
    """Makes the archive; returns what it holds. Raises `BackupRefused`, `NoStore`, `OSError`.

    Whatever goes wrong, there is no half archive under the final name.
    """
    if options.file.exists() and not options.force:
        raise BackupRefused(f"{options.file} is there already; --force replaces it")
    if not options.file.parent.is_dir():
        raise BackupRefused(f"{options.file.parent}: there is no such folder")
    key = _key(options)
    with new_file(options.file) as file:
        writer = Writer(file)
        try:
            manifest = _write(writer, options, key, now, steps)
        except BaseException:
            writer.abandon()
            raise
    return manifest


def _key(options: BackupOptions) -> bytes | None:
    path = options.data / "seal.key"
    if not path.exists():
        if options.with_key:
            raise BackupRefused(f"{path}: there is no such file to include")
        return None
    return path.read_bytes()


def _write(
    writer: Writer, options: BackupOptions, key: bytes | None, now: datetime, steps: Steps
) -> Manifest:
    pictures = _Pictures(options.data / "stills")
    with snapshot(options.store_url) as connection:
        tables = tables_of(connection)
        for name in LEFT_OUT:
            tables.pop(name, None)
        log = _tables(writer, connection, tables, steps)
        named = set(connection.execute(sa.select(tables["stills"].c.hash)).scalars())
        schema = revision(connection)
    # A picture is on disk before the entry that names it is committed: so all of the snapshot's are there.
    wanted = sorted(named | pictures.there())
    writer.stills(pictures.read(wanted), steps.step("pictures", len(wanted)))
    if key is not None and options.with_key:
        writer.key(key)
    return writer.finish(
        Manifest(
            made_at=now.isoformat(),
            machine=platform.node(),
            software=version("jifang"),
            database=backend(options.store_url),
            schema=schema,
            log=log,
            key=KeyFacts(included=options.with_key, fingerprint=fingerprint(key) if key else ""),
            members=(),
            missing_stills=tuple(pictures.missing),
            without=LEFT_OUT,
        )
    )


def _tables(writer: Writer, connection: sa.Connection, tables: dict[str, sa.Table], steps: Steps) -> LogFacts:
    pruned = runs(connection) if "pruned" in tables else None
    walk = LogWalk(pruned or ())
    for name, table in tables.items():
        beat = steps.step(name, count_of(connection, table))
        if name == "entries":
            writer.table(head_of(table), _proved(walk, table, rows_of(connection, table)), beat)
        else:
            writer.table(head_of(table), rows_of(connection, table), beat)
    broken = walk.end()
    if pruned is not None:
        pruned.close()
    return LogFacts(
        head=walk.count.head if broken is None else stored_log.head(connection),
        hash=walk.count.hash,
        identity=stored_log.identity(connection),
        entries=_rows(writer, "entries"),
        pruned=walk.count.pruned_entries,
        broken_at=broken.seq if broken else None,
        broken_reason=broken.reason if broken else "",
    )


def _rows(writer: Writer, table: str) -> int:
    """How many rows of a table were written."""
    return next(one.rows for one in writer.members if one.name == f"tables/{table}.jsonl")


def _proved(walk: LogWalk, table: sa.Table, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Passes rows on and proves the chain on the way; a log that is broken is backed up all the same."""
    names, going = list(table.columns.keys()), True
    for row in rows:
        going = going and walk.take(raw_row(names, row))
        yield row
