"""Evidence pictures on disk, each under the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from datetime import datetime
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A folder of immutable files. What `put` returned a hash for is on disk, whatever happens after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aging = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Stores `content` durably; returns its hash, hex. Raises `OSError` where it can't."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if self._renewed(path):
            return digest
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        _sync_folder(path.parent)
        return digest

    def _renewed(self, path: Path) -> bool:
        """Whether it is there already; then it counts as new, so that nobody takes it away as old."""
        with self._aging:
            try:
                os.utime(path)
            except FileNotFoundError:
                return False
            return True

    def remove(self, digest: str, older_than: datetime) -> bool:
        """Deletes what nobody has put since `older_than`; whether it is gone now."""
        if not _HASH.fullmatch(digest):
            return True
        path = self._path(digest)
        with self._aging:
            try:
                if path.stat().st_mtime >= older_than.timestamp():
                    return False
                path.unlink()
            except FileNotFoundError:
                return True
            return True

    def get(self, digest: str) -> bytes | None:
        """The content under `digest`; None where there is none or `digest` is no hash."""
        if not _HASH.fullmatch(digest):
            return None
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
