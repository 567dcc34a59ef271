"""Secrets at rest: sealed with a key that lies in a file of its own, outside the database.

AES-256-GCM; each seal is bound to the name of what it belongs to, so that one row's seal can't be put in
another's. Whoever holds only the database, or a backup of it, reads nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealBroken(ValueError):
    """A seal that this key doesn't open: another key, another owner, or damaged bytes."""


class KeyFileError(RuntimeError):
    """The key file can't be used; says why and what to do."""


class Sealer:
    """Seals and unseals with one key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    @classmethod
    def open(cls, path: Path) -> Sealer:
        """The key in `path`, made anew (mode 0600) where there is none. Raises `KeyFileError`."""
        if not path.exists():
            _make_key(path)
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyFileError(f"{path}: others may read the key (mode {mode:o}); run: chmod 600 {path}")
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise KeyFileError(
                f"{path}: holds {len(key)} bytes, a key has {_KEY_BYTES}; restore it from a backup"
            )
        return cls(key)

    def seal(self, plain: bytes, owner: str) -> bytes:
        """`plain`, readable again only with this key and for `owner`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, owner.encode())

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """What was sealed for `owner`. Raises `SealBroken`."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"{owner}: the seal doesn't open with this key") from error


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "wb") as file:
        file.write(AESGCM.generate_key(_KEY_BYTES * 8))
        file.flush()
        os.fsync(file.fileno())
