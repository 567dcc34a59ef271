"""Evidence pictures on disk, each under the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A folder of immutable files. What `put` returned a hash for is on disk, whatever happens after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Stores `content` durably; returns its hash, hex. Raises `OSError` where it can't."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if path.exists():
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
