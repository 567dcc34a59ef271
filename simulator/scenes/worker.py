"""A rendering process: `python -m simulator.scenes.worker CACHE JOB`; says `done of` in frames as it goes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from simulator.scenes.jobs import from_text

NICENESS = 2
SAY_EVERY = 25


def _say(done: int, total: int) -> None:
    if done % SAY_EVERY == 0 or done == total:
        sys.stdout.write(f"{done} {total}\n")
        sys.stdout.flush()


def main() -> int:
    """0 when the reels lie in the cache; 1, with the reason on stderr, when the material can't be read."""
    os.nice(NICENESS)
    folder, text = Path(sys.argv[1]), sys.argv[2]
    try:
        from_text(text).run(folder, _say)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
