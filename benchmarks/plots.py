"""One picture a benchmark: what we need beside the floor and the alternatives of the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")

OURS, FLOOR, OTHER = "#0072B2", "#9AA5B1", "#E69F00"
"""Okabe-Ito's blue and orange, and grey: told apart in any eye and in print."""


def draw(result: Mapping[str, Any], folder: Path) -> Path | None:
    """Writes `folder/{name}.png`; None where there is no picture for this benchmark."""
    painter = PAINTERS.get(result["name"])
    if painter is None:
        return None
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    painter(figure, result)
    path = folder / f"{result['name']}.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def motion(figure: Figure, result: Mapping[str, Any]) -> None:
    """Cost of a stream-second, and quality over all scenes beside other detectors on the same frames."""
    cost, quality = figure.subplots(1, 2)
    base, ours = result["baseline"], result["figures"]
    _bars(
        cost,
        "CPU ms a stream-second, 360p at 5/s (log)",
        {
            "demux + decode (floor)": (base["floor_ms_per_stream_s"], FLOOR),
            "packets to boxes": (base["ours_ms_per_stream_s"], OURS),
            "decode + MOG2": (base["mog2_ms_per_stream_s"], OTHER),
            "decode 1080p main": (base["main_decode_ms_per_stream_s"], OTHER),
        },
    )
    cost.set_xscale("log")
    rows = {"ours": (ours["f1"], OURS)}
    rows |= {name: (base[name]["f1"], OTHER) for name in ("differencing", "mog2", "knn")}
    _bars(quality, "frame F1 over all scenes", rows)
    quality.set_xlim(0, 1)


def intake(figure: Figure, result: Mapping[str, Any]) -> None:
    """Observations a second: the store alone, and drained through the broker."""
    ours, base = result["figures"], result["baseline"]
    _bars(
        figure.subplots(),
        "observations a second into the log (SQLite WAL, FULL)",
        {
            "group commit, no MQTT (floor)": (base["group_commit_per_s"], FLOOR),
            "drained through Mosquitto": (ours["observations_per_s"], OURS),
            "one observation a message": (ours["one_a_message_per_s"], OTHER),
        },
    )


def _bars(axes: Axes, title: str, rows: Mapping[str, tuple[float, str]]) -> None:
    names = list(rows)[::-1]
    bars = axes.barh(names, [rows[name][0] for name in names], color=[rows[name][1] for name in names])
    axes.bar_label(bars, fmt="%.4g", padding=3)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


PAINTERS: Mapping[str, Callable[[Figure, Mapping[str, Any]], None]] = {"motion": motion, "intake": intake}
