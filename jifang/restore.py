"""`jifang restore`: an archive into an empty store of either kind, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.domain.entry import Draft, EntryKind
from hub.store import log as stored_log
from hub.store import registers
from hub.store.archive import Manifest, Reader, fingerprint
from hub.store.canonical import GENESIS, canonical_body, chained
from hub.store.database import SchemaTooNew, StoreUnavailable, open_database
from hub.store.dumping import load
from hub.store.migrate import knows, upgrade_within
from hub.store.snapshot import REVISIONS, as_reader, shown, tables_of
from hub.store.tables import load_all
from hub.store.tables.log import entries
from jifang.steps import Steps
from jifang.verify import Fault, Verified, prove_archive, verify_store


class RestoreRefused(RuntimeError):
    """It can't be restored there; says why and what to do. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """What is restored, and where to."""

    file: Path
    store_url: str
    data: Path
    """The hub's data folder: pictures and key."""
    despite_break: bool = False
    """Takes an archive whose log was broken already when it was made."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and the proof of what stands there now."""

    manifest: Manifest
    verified: Verified
    key: str
    """`restored`, `present` (the one there fits), `absent`, `other` (the one there doesn't fit), `none`."""


def restore(options: RestoreOptions, now: datetime, steps: Steps) -> Restored:
    """Restores. Raises `RestoreRefused`, `ArchiveError`, `OSError`; then the store is as empty as before."""
    with Reader(options.file) as reader:
        manifest = reader.manifest
        _check_archive(reader, options, steps)
        key = _check_key(reader, options.data)
        with _sole_writer(options.store_url):
            _fill(reader, options, now, steps)
    return Restored(manifest, verify_store(options.store_url, options.data, steps), key)


# Before anything is changed


def _check_archive(reader: Reader, options: RestoreOptions, steps: Steps) -> None:
    schema = reader.manifest.schema
    if not knows(schema):
        raise RestoreRefused(f"{options.file}: schema {schema} is of a newer Jifang; use that one")
    found = Verified(str(options.file))
    prove_archive(reader, found, steps)
    broken = [one for one in found.faults if one.where in ("log", "audit")]
    if broken and not options.despite_break:
        raise RestoreRefused(f"{options.file}: its {_told(broken[0])}; --despite-break restores it as it is")


def _told(fault: Fault) -> str:
    return f"{fault.where} was broken at {fault.at} when it was made ({fault.reason})"


def _check_key(reader: Reader, data: Path) -> str:
    path, facts = data / "seal.key", reader.manifest.key
    there = fingerprint(path.read_bytes()) if path.exists() else ""
    if facts.included:
        if there and there != facts.fingerprint:
            raise RestoreRefused(f"{path}: another key is there; move it away, the archive brings its own")
        return "present" if there else "restored"
    if not facts.fingerprint:
        return "none"
    if not there:
        return "absent"
    return "present" if there == facts.fingerprint else "other"


@contextmanager
def _sole_writer(url: str) -> Iterator[None]:
    """No hub runs on this store while it is restored."""
    try:
        database = open_database(url)
    except ValueError as error:
        raise RestoreRefused(str(error)) from error
    try:
        database.claim(patience_s=2.0)
        yield
    except SchemaTooNew as error:
        raise RestoreRefused(str(error)) from error
    except StoreUnavailable as error:
        raise RestoreRefused(f"{shown(url)}: {error}; stop the hub first") from error
    finally:
        database.close()


# The restoring itself


def _fill(reader: Reader, options: RestoreOptions, now: datetime, steps: Steps) -> None:
    """Pictures first, then everything else in one transaction: what names them never stands without them."""
    made: list[Path] = []
    engine = _engine(options.store_url)
    try:
        with engine.connect() as connection, connection.begin():
            _empty(connection, options.store_url)
            _stills(reader, options.data / "stills", made, steps)
            _tables(reader, connection, steps)
            _tell(connection, reader.manifest, now)
            _key(reader, options.data / "seal.key", made)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    finally:
        engine.dispose()


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool, hide_parameters=True
        )
    engine = sa.create_engine(parsed, poolclass=sa.NullPool, hide_parameters=True)
    as_reader(engine, ("busy_timeout=10000", "journal_mode=wal", "synchronous=full"), "begin immediate")
    return engine


def _empty(connection: sa.Connection, url: str) -> None:
    """Makes way for the archive's schema. Raises `RestoreRefused` where anything is kept there."""
    there = set(sa.inspect(connection).get_table_names())
    strange = there - set(load_all().tables) - {REVISIONS}
    if strange:
        raise RestoreRefused(
            f"{shown(url)}: holds table {min(strange)}, which is not ours: use another database"
        )
    ours = tables_of(connection)
    for name, table in ours.items():
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise RestoreRefused(f"{shown(url)}: isn't empty, table {name} has rows: restore into a new one")
    for table in ours.values():
        table.drop(connection)
    if REVISIONS in there:
        connection.exec_driver_sql(f"drop table {REVISIONS}")


def _stills(reader: Reader, folder: Path, made: list[Path], steps: Steps) -> None:
    member = reader.manifest.member("stills.tar")
    beat = steps.step("pictures", member.rows if member else None)
    folder.mkdir(parents=True, exist_ok=True)
    for digest, content in reader.stills():
        path = folder / digest[:2] / digest
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(content)
            part.rename(path)
            made.append(path)
        beat(1)
    os.sync()


def _tables(reader: Reader, connection: sa.Connection, steps: Steps) -> None:
    upgrade_within(connection, reader.manifest.schema)
    tables = tables_of(connection)
    for name in reader.manifest.tables():
        if name not in tables:
            raise RestoreRefused(f"tables/{name}.jsonl: schema {reader.manifest.schema} has no such table")
        member = reader.manifest.member(f"tables/{name}.jsonl")
        load(connection, tables[name], reader, steps.step(name, member.rows if member else None))
    upgrade_within(connection, "heads")


def _tell(connection: sa.Connection, manifest: Manifest, now: datetime) -> None:
    """The log says that it was restored. From here on its identity is another: a console whose cursor is
    of what came after the archive was made must not go on in what comes now."""
    body: dict[str, Any] = {
        "act": "restored",
        "archive": manifest.digest,
        "made_at": manifest.made_at,
        "machine": manifest.machine,
        "head": manifest.log.head,
        "hash": manifest.log.hash,
        "identity": manifest.log.identity,
    }
    last = connection.execute(
        sa.select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1)
    ).first()
    seq, previous = (int(last.seq) + 1, str(last.hash)) if last else (1, GENESIS)
    draft = Draft(
        kind=EntryKind.KEEPING,
        subject=stored_log.RESTORED,
        place=registers.root(connection),
        body=body,
    )
    text = canonical_body(body)
    connection.execute(
        entries.insert().values(
            seq=seq,
            at=now,
            kind=draft.kind.value,
            subject=draft.subject,
            place=draft.place,
            actor="",
            cause=None,
            late=False,
            body=text.decode(),
            hash=chained(previous, draft, seq, now, text),
        )
    )


def _key(reader: Reader, path: Path, made: list[Path]) -> None:
    key = reader.key()
    if key is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    made.append(path)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
