"""The backup archive: one ZIP file with a manifest, every table as lines of JSON, and the pictures
(docs/reference/backup.md).

Each member is written and read as a stream; its SHA-256, of what it holds uncompressed, stands in the
manifest, and the manifest holds its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import msgspec
from msgspec import Struct

FORMAT = "jifang-archive"
VERSION = 1
MANIFEST = "manifest.json"
STILLS = "stills.tar"
KEY = "seal.key"
_MOST_MANIFEST_BYTES = 64 * 1024 * 1024
_LEVEL = 3
_CHUNK_BYTES = 1024 * 1024

Row: TypeAlias = Sequence[Any]
Beat: TypeAlias = Callable[[int], None]
"""Told how many rows or files have gone by since it was last told."""


class ArchiveError(ValueError):
    """The file is no archive of ours, or not the one that was written: says which member and why."""


class Column(Struct, frozen=True):
    """A column as archived; `kind` is `text`, `integer`, `float`, `boolean` or `bytes` (base64)."""

    name: str
    kind: str


class TableHead(Struct, frozen=True):
    """The first line of a table's member."""

    table: str
    columns: tuple[Column, ...]


class Member(Struct, frozen=True, kw_only=True):
    """A member of the archive. `rows` counts rows or files."""

    name: str
    rows: int
    bytes: int
    sha256: str


class LogFacts(Struct, frozen=True, kw_only=True):
    """How the log stood."""

    head: int
    hash: str
    identity: str
    entries: int
    pruned: int
    broken_at: int | None = None
    """The chain was broken there already when the archive was made."""
    broken_reason: str = ""


class KeyFacts(Struct, frozen=True, kw_only=True):
    """The key that the cameras' credentials are sealed with; the fingerprint tells whether one fits."""

    included: bool
    fingerprint: str = ""


class Manifest(Struct, frozen=True, kw_only=True):
    """What the archive holds."""

    format: str = FORMAT
    version: int = VERSION
    made_at: str
    machine: str
    software: str
    database: str
    """`sqlite` or `postgresql`: where it came from; it can be restored into either."""
    schema: str
    """Alembic revision."""
    log: LogFacts
    key: KeyFacts
    members: tuple[Member, ...]
    missing_stills: tuple[str, ...] = ()
    """Pictures that the log names and that weren't there."""
    without: tuple[str, ...] = ()
    """Tables that are left out on purpose."""
    digest: str = ""
    """SHA-256 of this manifest as canonical JSON with an empty digest."""

    def sealed(self) -> Manifest:
        """With its digest."""
        return msgspec.structs.replace(self, digest=_digest(self))

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(one.rows for one in self.members if one.name.startswith("tables/"))

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((one for one in self.members if one.name == name), None)

    def tables(self) -> list[str]:
        """Names of the tables it holds."""
        names = (one.name for one in self.members)
        return [name[7:-6] for name in names if name.startswith("tables/") and name.endswith(".jsonl")]


def _digest(manifest: Manifest) -> str:
    bare = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def table_member(table: str) -> str:
    """The member's name."""
    return f"tables/{table}.jsonl"


def fingerprint(key: bytes) -> str:
    """Tells keys apart without telling the key."""
    return hashlib.sha256(b"jifang seal.key\0" + key).hexdigest()[:16]


# Writing


@dataclass(slots=True)
class _Counted:
    """A stream that counts and hashes what is written to it."""

    into: IO[bytes]
    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        """As a file's."""
        self.size += len(data)
        self.sha256.update(data)
        return self.into.write(data)

    def tell(self) -> int:
        """How much has been written."""
        return self.size


class Writer:
    """Writes an archive into an open file. Members first, the manifest last."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self.members: list[Member] = []

    def table(self, head: TableHead, rows: Iterable[Row], beat: Beat) -> int:
        """Writes a table, row by row; how many rows it has."""
        encoder = msgspec.json.Encoder()
        count = 0
        with self._member(table_member(head.table)) as out:
            out.write(encoder.encode(head) + b"\n")
            for row in rows:
                out.write(encoder.encode(row) + b"\n")
                count += 1
                if count % 1000 == 0:
                    beat(1000)
        beat(count % 1000)
        self._done(table_member(head.table), count, out)
        return count

    def stills(self, files: Iterable[tuple[str, bytes]], beat: Beat) -> int:
        """Writes pictures, each named by its hash; how many there were."""
        count = 0
        with (
            self._member(STILLS, zipfile.ZIP_STORED) as out,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar,  # type: ignore[call-overload]
        ):
            for digest, content in files:
                info = tarfile.TarInfo(f"stills/{digest[:2]}/{digest}")
                info.size, info.mode = len(content), 0o640
                tar.addfile(info, io.BytesIO(content))
                _forget(tar)
                count += 1
                beat(1)
        self._done(STILLS, count, out)
        return count

    def key(self, key: bytes) -> None:
        """Writes the key itself."""
        with self._member(KEY, zipfile.ZIP_STORED) as out:
            out.write(key)
        self._done(KEY, 1, out)

    def finish(self, manifest: Manifest) -> Manifest:
        """Writes the manifest, sealed, and the end of the file."""
        sealed = msgspec.structs.replace(manifest, members=tuple(self.members)).sealed()
        text = msgspec.json.format(msgspec.json.encode(sealed, order="sorted"), indent=1)
        self._zip.writestr(zipfile.ZipInfo(MANIFEST, _WHEN), text + b"\n")
        self._zip.close()
        return sealed

    def abandon(self) -> None:
        """Lets go of the file without an end: what there is of it is no archive."""
        self._zip.fp = None

    @contextmanager
    def _member(self, name: str, compression: int = zipfile.ZIP_DEFLATED) -> Iterator[_Counted]:
        info = zipfile.ZipInfo(name, _WHEN)
        info.compress_type = compression
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as into:
            yield _Counted(into)

    def _done(self, name: str, rows: int, out: _Counted) -> None:
        self.members.append(Member(name=name, rows=rows, bytes=out.size, sha256=out.sha256.hexdigest()))


_WHEN = (1980, 1, 1, 0, 0, 0)
"""ZIP's own times say nothing: the manifest does."""


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file (mode 0600) that has the name `path` only once it is whole and on disk; else there is none."""
    _tidy(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _tidy(path: Path) -> None:
    """Takes away what processes that were killed left of the same archive."""
    for stale in path.parent.glob(f".{path.name}.*.part"):
        process = stale.suffixes[-2].removeprefix(".")
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            stale.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Reading


class _Checked(io.RawIOBase):
    """A member being read: at its end its length and hash must be what the manifest says."""

    def __init__(self, stream: IO[bytes], member: Member) -> None:
        self._stream = stream
        self._member = member
        self._size = 0
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises `ArchiveError` where the member isn't what was written."""
        try:
            data = self._stream.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise ArchiveError(f"{self._member.name}: damaged: {error}") from error
        buffer[: len(data)] = data
        self._size += len(data)
        self._sha256.update(data)
        if not data and len(buffer):
            self._check()
        return len(data)

    def _check(self) -> None:
        if self._size != self._member.bytes or self._sha256.hexdigest() != self._member.sha256:
            raise ArchiveError(f"{self._member.name}: is not what was written: its SHA-256 differs")


class Reader:
    """Reads an archive. Whatever is read to its end without an error is what was written."""

    def __init__(self, path: Path) -> None:
        """Raises `ArchiveError`, `OSError`."""
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ArchiveError(f"{path}: is no archive, or not whole: {error}") from error
        try:
            self.manifest = self._read_manifest(path)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Reader:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Closes the file."""
        self._zip.close()

    def _read_manifest(self, path: Path) -> Manifest:
        try:
            info = self._zip.getinfo(MANIFEST)
            if info.file_size > _MOST_MANIFEST_BYTES:
                raise ArchiveError(f"{MANIFEST}: {info.file_size} bytes is too large")
            manifest = msgspec.json.decode(self._zip.read(info), type=Manifest)
        except KeyError as error:
            raise ArchiveError(f"{path}: has no {MANIFEST}: not an archive of ours") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, msgspec.DecodeError) as error:
            raise ArchiveError(f"{MANIFEST}: damaged: {error}") from error
        if manifest.format != FORMAT:
            raise ArchiveError(f"{MANIFEST}: format {manifest.format!r} is not {FORMAT!r}")
        if manifest.version != VERSION:
            raise ArchiveError(f"{MANIFEST}: archive version {manifest.version}; this Jifang reads {VERSION}")
        if manifest.digest != _digest(manifest):
            raise ArchiveError(f"{MANIFEST}: is not what was written: its SHA-256 differs")
        held, named = set(self._zip.namelist()), {one.name for one in manifest.members} | {MANIFEST}
        if held != named:
            odd = sorted(held ^ named)[0]
            raise ArchiveError(f"{odd}: {'is missing' if odd in named else 'does not belong here'}")
        return manifest

    def rows(self, table: str) -> Iterator[list[Any]]:
        """A table's rows in the order of `head(table)`; raises `ArchiveError` at the latest at its end."""
        member = self._named(table_member(table))
        count = 0
        for count, line in enumerate(self._lines(member)):
            if count:
                yield self._decoded(member, line, list[Any])
        if count != member.rows:
            raise ArchiveError(f"{member.name}: has {count} rows where {member.rows} were written")

    def head(self, table: str) -> TableHead:
        """Its columns."""
        member = self._named(table_member(table))
        with self._open(member) as stream:
            head: TableHead = self._decoded(member, stream.readline(), TableHead)
        return head

    def stills(self) -> Iterator[tuple[str, bytes]]:
        """Pictures by hash; each is what its name says."""
        member = self._named(STILLS)
        with self._open(member) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    for info in tar:
                        _forget(tar)
                        file = tar.extractfile(info)
                        content = file.read() if file else b""
                        digest = info.name.rsplit("/", 1)[-1]
                        if hashlib.sha256(content).hexdigest() != digest:
                            raise ArchiveError(f"{info.name}: its content is another's")
                        yield digest, content
            except tarfile.TarError as error:
                raise ArchiveError(f"{STILLS}: damaged: {error}") from error
            while stream.read(_CHUNK_BYTES):
                """To the end, where its hash is checked."""

    def key(self) -> bytes | None:
        """The key, where it is in there."""
        member = self.manifest.member(KEY)
        if member is None:
            return None
        with self._open(member) as stream:
            return stream.read()

    def _named(self, name: str) -> Member:
        member = self.manifest.member(name)
        if member is None:
            raise ArchiveError(f"{name}: is missing")
        return member

    @contextmanager
    def _open(self, member: Member) -> Iterator[IO[bytes]]:
        try:
            stream = self._zip.open(member.name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ArchiveError(f"{member.name}: damaged: {error}") from error
        with stream, io.BufferedReader(_Checked(stream, member), _CHUNK_BYTES) as buffered:
            yield cast(IO[bytes], buffered)

    def _lines(self, member: Member) -> Iterator[bytes]:
        with self._open(member) as stream:
            yield from stream

    @staticmethod
    def _decoded(member: Member, line: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{member.name}: damaged: {error}") from error


def _forget(tar: tarfile.TarFile) -> None:
    """A tar file keeps a list of all it has seen, which nobody needs of millions of pictures."""
    tar.members.clear()  # type: ignore[attr-defined]


def as_bytes(value: str) -> bytes:
    """A value of kind `bytes`. Raises `ValueError`."""
    return base64.b64decode(value, validate=True)
