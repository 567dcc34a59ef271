"""What a decoder says of input that it can't take: the rule broken, and the bytes that show it."""

from __future__ import annotations

EVIDENCE_BYTES = 4096


class Refusal(ValueError):
    """The peer broke the rule that `reason` names. `cause` is that rule in one word, for counting.

    `raw` is what it sent, at most `EVIDENCE_BYTES` of `size`. `reply` is what the protocol has us say to it.
    """

    def __init__(
        self, cause: str, reason: str, raw: bytes = b"", *, size: int | None = None, reply: bytes = b""
    ) -> None:
        super().__init__(f"{reason} [{raw[:24].hex(' ')}]" if raw else reason)
        self.cause = cause
        self.reason = reason
        self.size = len(raw) if size is None else size
        self.raw = bytes(raw[:EVIDENCE_BYTES])
        self.reply = reply

    def show(self, raw: bytes) -> None:
        """Shows all of what the peer sent instead of the part in which the rule was broken."""
        self.size = len(raw)
        self.raw = bytes(raw[:EVIDENCE_BYTES])
