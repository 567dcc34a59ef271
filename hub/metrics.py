"""What the hub counts, in Prometheus' words. One registry of the hub's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

ENTRIES = Counter("jifang_entries", "Entries committed to the log", ["kind"], registry=REGISTRY)
OBSERVATIONS = Counter(
    "jifang_observations", "Observations committed to the log, by their kind", ["kind"], registry=REGISTRY
)
REJECTED = Counter(
    "jifang_rejected", "Messages that could not be decoded, by protocol", ["protocol"], registry=REGISTRY
)
COMMIT_GROUP = Histogram(
    "jifang_commit_group_entries",
    "Entries in one commit",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=REGISTRY,
)
FEED_LATENCY = Histogram(
    "jifang_commit_to_feed_seconds",
    "From a transaction's time to its being written to the consoles at the head",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    registry=REGISTRY,
)
FEED_SUBSCRIBERS = Gauge("jifang_feed_subscribers", "Consoles on the live feed", registry=REGISTRY)
FEED_SENT = Counter("jifang_feed_sent", "Entries sent to consoles", registry=REGISTRY)
FEED_GAPS = Counter("jifang_feed_gaps", "Gaps told to consoles, by reason", ["reason"], registry=REGISTRY)
FEED_RESUMES = Counter("jifang_feed_resumes", "Slow consoles told to resume", registry=REGISTRY)
FEED_UNDRAWN = Gauge(
    "jifang_console_undrawn_seconds",
    "Longest time for which an operator's console has drawn nothing of what it was sent",
    registry=REGISTRY,
)
LOG_HEAD = Gauge("jifang_log_head", "Sequence number of the last entry", registry=REGISTRY)
HTTP_SECONDS = Histogram(
    "jifang_http_request_seconds",
    "Time to answer, by route",
    ["route", "method"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
HTTP_ANSWERS = Counter(
    "jifang_http_answers", "Answers, by route and status", ["route", "method", "status"], registry=REGISTRY
)
PROBLEMS = Counter("jifang_http_problems", "Requests refused, by cause", ["code"], registry=REGISTRY)
SIGN_INS = Counter("jifang_sign_ins", "Attempts to sign in, by outcome", ["outcome"], registry=REGISTRY)
DENIALS = Counter("jifang_denials", "Requests denied by the decision point", ["right"], registry=REGISTRY)
AUDIT_ROWS = Counter("jifang_audit_rows", "Rows written to the audit log", ["action"], registry=REGISTRY)
MEDIA_VIEWERS = Gauge("jifang_media_viewers", "Live pictures being watched", registry=REGISTRY)
MEDIA_PULLS = Gauge("jifang_media_pulls", "Streams pulled from cameras for viewers", registry=REGISTRY)
MEDIA_PACKETS = Counter("jifang_media_packets", "Packets passed through to viewers", registry=REGISTRY)
MEDIA_DROPPED = Counter("jifang_media_dropped", "Packets a slow viewer could not take", registry=REGISTRY)
COMMIT_SECONDS = Histogram(
    "jifang_commit_seconds",
    "Time for a small job through the store's queue and commit, tried every second",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
STORE_UNTIDIED = Gauge(
    "jifang_store_untidied_bytes",
    "What the database keeps beside itself until readers let go (SQLite's WAL)",
    registry=REGISTRY,
)
STORE_OLDEST_READ = Gauge(
    "jifang_store_oldest_read_seconds", "Age of the oldest read of the store that goes on", registry=REGISTRY
)
STORE_UP = Gauge("jifang_store_up", "Whether the store can store", registry=REGISTRY)
TROUBLE = Gauge("jifang_trouble", "What is wrong with the hub itself: 1", ["part", "code"], registry=REGISTRY)
DISK_FREE = Gauge("jifang_disk_free_bytes", "Free on the disk of the data folder", registry=REGISTRY)
DISK_FREE_RATIO = Gauge(
    "jifang_disk_free_ratio", "Free share of the disk of the data folder", registry=REGISTRY
)
CLOCK_JUMPS = Counter("jifang_clock_jumps", "How often the clock was set by over 5 s", registry=REGISTRY)
BROKER_UP = Gauge("jifang_broker_up", "Whether the hub is connected to the broker", registry=REGISTRY)
INCIDENTS_OPEN = Gauge("jifang_incidents_open", "Incidents not closed", registry=REGISTRY)
CAMERAS = Gauge("jifang_cameras", "Cameras, by health", ["health"], registry=REGISTRY)
PANELS = Gauge("jifang_panels", "Panels, by health", ["health"], registry=REGISTRY)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All figures in Prometheus' text format."""
    return generate_latest(REGISTRY)
