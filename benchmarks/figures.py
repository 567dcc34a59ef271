"""What each figure means: the words beside the numbers in README.md. One without words fails the tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

POSTGRESQL = "_postgresql"
"""Ends the name of a figure that was measured on PostgreSQL where SQLite's stands beside it."""

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        # motion
        "cost_over_floor": "CPU from packets to boxes, over demultiplexing and decoding alone; best round",
        "cost_over_own_decode": "the same, over decoding by our own settings",
        "cost_over_floor_median": "the same, median of rounds",
        "streams_per_core": "streams that one core watches",
        "over_mog2": "how much more decoding with MOG2 costs",
        "over_main_decode": "how much more decoding the main stream (1080p) costs",
        "recall": "true movements found, over all scenes",
        "f1": "frame F1 over all scenes",
        "false_time": "share of quiet time reported as movement",
        "delay_p90_s": "from a movement's beginning to its report",
        # intake
        "observations_per_s": "drained through Mosquitto into the log, as our couriers batch them; median",
        "ratio": "that over the same store's own group commit in the same round; target at least 0.60",
        "one_a_message_per_s": "the same with one observation a message, as a live device sends",
        "one_a_message_ratio": "that over the store's own group commit",
        "auto_ack_per_s": "drained with paho's own acknowledgement, before anything is stored",
        "auto_ack_gain": "that over ours",
        "auto_ack_one_a_message_per_s": "the same with one observation a message",
        "kills": "times the hub was killed -9 in mid-drain, acknowledging after the commit",
        "lost": "observations lost by those kills",
        "doubled": "observations that got a second entry",
        "auto_ack_kills": "times it was killed in mid-drain with paho's own acknowledgement",
        "auto_ack_lost": "observations lost by those kills",
        "rounds": "observations_per_s of each round",
        # feed
        "p50_ms_100": "publish to browser socket, 50 consoles at 100/s, ms; target at most 15",
        "p99_ms_100": "the same, 99th percentile",
        "p99_over_no_store_100": "that over the same round with no store; target at most 2",
        "p50_ms_2000": "publish to browser socket, 50 consoles at 2,000/s, ms; target at most 30",
        "p99_ms_2000": "the same, 99th percentile",
        "p99_over_no_store_2000": "that over the same round with no store; target at most 2",
        "memory_kb_per_console": "resident memory of the hub for each of 200 consoles at 500/s",
        "cpu_cores": "cores the hub uses with 200 consoles at 500/s",
        "missed": "observations that some console didn't get, and gaps and resumes, over all runs",
        "out_of_order": "entries whose number or `prev` doesn't follow, over all runs",
        "p50_ms_500": "publish to browser socket, 200 consoles at 500/s, ms",
        "p99_ms_500": "the same, 99th percentile",
        "reader_cores_500": "cores that the 200 consoles themselves use",
        # growth
        "intake_ratio": "time to take in the same backlog, largest log over smallest; target at most 1.3",
        "resume_ratio": "time to feed a console that comes back after an hour; the same number of entries",
        "queue_ratio": "time of the question that grew most, of all that the desk's pages ask",
        "queue_worst": "that question",
        "start_ratio": "time from nothing to a hub that follows its log",
        "intake_per_s": "observations a second into each log",
        "resume_entries_per_s": "entries a second to a console that resumes, from each log",
        "start_ms": "start over each log",
        "start_cold_ms": "start over each log with nothing of it in the page cache",
        "queries": "time of each question, largest log over smallest",
        "query_ms": "each question over the largest log",
        # foreign
        "away_per_s": "messages a second acknowledged to devices while the adapters are away",
        "away_lost": "of those, lost when it is killed right after: it acknowledges before it saves",
        "there_per_s": "the same while the adapters listen",
        "there_lost": "of those, lost",
        "away_queue_curve": "messages a second while the queue grows, tenth by tenth",
    }
)


def meaning(figure: str) -> str:
    """What a figure tells. Raises `KeyError` for one that nobody has put into words."""
    if figure in FIGURES:
        return FIGURES[figure]
    return FIGURES[figure.removesuffix(POSTGRESQL)] + "; PostgreSQL"
