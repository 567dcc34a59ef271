"""The key file: made once, for the owner's eyes only, and never half right."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.sealing import KeyFileError, SealBroken, Sealer


def test_what_was_sealed_opens_with_the_same_key_only(tmp_path: Path) -> None:
    sealer = Sealer.open(tmp_path / "key")
    sealed = sealer.seal(b"secret", "camera:c-1")
    assert b"secret" not in sealed
    assert Sealer.open(tmp_path / "key").unseal(sealed, "camera:c-1") == b"secret"
    with pytest.raises(SealBroken):
        Sealer.open(tmp_path / "other").unseal(sealed, "camera:c-1")
    with pytest.raises(SealBroken):
        sealer.unseal(sealed, "camera:c-2")


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_flipped_bit_is_noticed(tmp_path: Path, at: int) -> None:
    sealer = Sealer.open(tmp_path / "key")
    sealed = bytearray(sealer.seal(b"secret", "x"))
    sealed[at] ^= 1
    with pytest.raises(SealBroken):
        sealer.unseal(bytes(sealed), "x")


def test_nothing_and_too_little_are_no_seals(tmp_path: Path) -> None:
    sealer = Sealer.open(tmp_path / "key")
    for broken in (b"", b"short"):
        with pytest.raises(SealBroken):
            sealer.unseal(broken, "x")


def test_the_key_file_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    Sealer.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Sealer.open(path)
    path.chmod(0o600)
    path.write_bytes(b"too short")
    with pytest.raises(KeyFileError, match="9 bytes"):
        Sealer.open(path)
