"""A disk that can be filled: a tmpfs of its own for a folder, and a file that takes what is left of it."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path

_STEP_BYTES = 4 * 1024 * 1024


class Disk:
    """A folder on a tmpfs of `size_mb`. Where it can't be mounted `mounted` is False; `reason` says why."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "jifang-torture", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        self.mounted = done.returncode == 0
        self.reason = done.stderr.strip()
        self._ballast = folder / "ballast"

    def fill(self) -> int:
        """Takes every byte that is left; tells how many."""
        handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        size = os.fstat(handle).st_size
        before, step = size, _STEP_BYTES
        try:
            while step >= 1:
                try:
                    os.posix_fallocate(handle, size, step)
                    size += step
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2
        finally:
            os.close(handle)
        return size - before

    def free(self) -> None:
        """Gives it back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmounts, even where something still holds it open."""
        if self.mounted:
            with suppress(OSError):
                subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)
            self.mounted = False
