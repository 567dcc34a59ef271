"""Hub → adapters (`ask/adapters/decode-again`): quarantined bytes, to be decoded once more.

What is understood goes to the log by the sender's outbox like everything else, as history under its original
time and under ids made of its content, so that asking twice doubles nothing.
"""

from __future__ import annotations

from msgspec import Struct

WING = "adapters"
VERB = "decode-again"
MOST = 20
"""Items of one request."""


class KeptRaw(Struct, frozen=True, kw_only=True):
    """What a listener once refused, whole."""

    id: int
    """The asker's number for it."""
    protocol: str
    peer: str
    """As the listener named it: a topic, an address, a source."""
    raw: bytes
    heard_at_ms: int
    """When it came, UTC, milliseconds since 1970."""
    identity: str
    """SHA-256 of protocol, peer and bytes, hex."""


class DecodeAgain(Struct, frozen=True, kw_only=True):
    items: tuple[KeptRaw, ...]


class Redecoded(Struct, frozen=True, kw_only=True):
    """What an item came to. The observations are in the outbox by now."""

    id: int
    understood: bool
    observations: int = 0
    reason: str = ""
    """Why it was not understood, or why it came to nothing."""


class DecodedAgain(Struct, frozen=True, kw_only=True):
    results: tuple[Redecoded, ...]
