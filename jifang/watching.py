"""`jifang edge watch`: the edge's watch loop over recorded films, to measure it on any footage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.watch import UnreadableFile, watch_file


def watch_files(files: Sequence[Path]) -> bool:
    """Prints one JSON object a file; whether all could be read."""
    well = True
    for file in files:
        try:
            print(msgspec.json.encode(watch_file(file)).decode(), flush=True)
        except (UnreadableFile, OSError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            well = False
    return well
