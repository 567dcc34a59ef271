"""One picture a benchmark: what we need beside the floor and the alternatives of the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
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
    """Observations a second: each store alone, drained through the broker, and as paho would do it."""
    ours, base = result["figures"], result["baseline"]
    stores = [("", "SQLite WAL, FULL")]
    if "observations_per_s_postgresql" in ours:
        stores.append(("_postgresql", "PostgreSQL"))
    for axes, (suffix, name) in zip(np.ravel(figure.subplots(1, len(stores))), stores, strict=True):
        lost = ours[f"auto_ack_lost{suffix}"]
        _bars(
            axes,
            f"observations a second into the log, {name}",
            {
                "group commit, no MQTT (floor)": (base[f"group_commit_per_s{suffix}"], FLOOR),
                "drained through Mosquitto": (ours[f"observations_per_s{suffix}"], OURS),
                "one observation a message": (ours[f"one_a_message_per_s{suffix}"], OURS),
                f"paho's own acknowledgement\n(killed: lost {lost:,})": (
                    ours[f"auto_ack_per_s{suffix}"],
                    OTHER,
                ),
            },
        )


def growth(figure: Figure, result: Mapping[str, Any]) -> None:
    """Rates and times against the number of entries in the log."""
    told, entries = result["figures"], result["baseline"]["entries"]
    for axes, (key, title) in zip(
        figure.subplots(1, 3),
        (
            ("intake_per_s", "intake, observations a second"),
            ("resume_entries_per_s", "resume, entries a second"),
            ("start_ms", "start, ms"),
        ),
        strict=True,
    ):
        axes.plot(entries, told[key], "o-", color=OURS)
        if key == "start_ms" and told.get("start_cold_ms"):
            axes.plot(entries, told["start_cold_ms"], "o--", color=OTHER)
            axes.annotate("cold page cache", (entries[0], told["start_cold_ms"][0]), fontsize=8)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("entries in the log", fontsize=8)
        axes.margins(x=0.15, y=0.2)
        axes.spines[["top", "right"]].set_visible(False)


def foreign(figure: Figure, result: Mapping[str, Any]) -> None:
    """What devices are acknowledged a second, by the way the broker saves; and while its queue grows."""
    ours, base = result["figures"], result["baseline"]
    rates, curve = figure.subplots(1, 2)
    rows: dict[str, tuple[float, str]] = {}
    for situation in ("away", "there"):
        for way, name, colour in _WAYS:
            suffix = "" if way == "ours" else f"_{way}"
            source = ours if way == "ours" else base
            lost = source[f"{situation}_lost{suffix}"]
            rows[f"adapters {situation}, {name}: lost {lost:,}"] = (
                source[f"{situation}_per_s{suffix}"],
                colour,
            )
    _bars(rates, "messages a second acknowledged to devices", rows)
    step = result["conditions"]["messages"] // 10
    for way, name, colour in _WAYS:
        told = ours["away_queue_curve"][way]
        curve.plot([step * (n + 1) for n in range(len(told))], told, "o-", color=colour, label=name)
    curve.set_title("the same, while the queue grows (adapters away)", fontsize=10)
    curve.set_xlabel("messages waiting at the broker", fontsize=8)
    curve.set_ylim(bottom=0)
    curve.legend(fontsize=8, frameon=False)
    curve.spines[["top", "right"]].set_visible(False)


_WAYS = (
    ("ours", "saved on change", OURS),
    ("every_second", "every second", OTHER),
    ("defaults", "defaults", FLOOR),
)


def _bars(axes: Axes, title: str, rows: Mapping[str, tuple[float, str]]) -> None:
    names = list(rows)[::-1]
    bars = axes.barh(names, [rows[name][0] for name in names], color=[rows[name][1] for name in names])
    axes.bar_label(bars, fmt="%.4g", padding=3)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def feed(figure: Figure, result: Mapping[str, Any]) -> None:
    """Publish to browser socket at both rates: every store beside no store."""
    for axes, rate in zip(figure.subplots(1, 2), (100, 2000), strict=True):
        rows = {
            f"no store, {name}": (result["baseline"][f"no_store_{name}_ms_{rate}"], FLOOR)
            for name in ("p50", "p99")
        }
        for store, suffix, colour in (("SQLite", "", OURS), ("PostgreSQL", "_postgresql", OTHER)):
            for name in ("p50", "p99"):
                value = result["figures"].get(f"{name}_ms_{rate}{suffix}")
                if value is not None:
                    rows[f"{store}, {name}"] = (value, colour)
        _bars(axes, f"publish to browser socket, ms, 50 consoles at {rate}/s", rows)


PAINTERS: Mapping[str, Callable[[Figure, Mapping[str, Any]], None]] = {
    "motion": motion,
    "intake": intake,
    "feed": feed,
    "growth": growth,
    "growth_postgresql": growth,
    "foreign": foreign,
}
