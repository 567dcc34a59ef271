"""One message from the field, as decoders see it."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Heard:
    """Topic (bytes that aren't UTF-8 as surrogate escapes), payload, and whether the broker had kept it."""

    topic: str
    payload: bytes
    retained: bool = False
    followed: bool = False
    """Our session at the broker follows this topic without a break: whatever was said on it was or will be
    delivered as it was said, so a kept copy that differs can only be older."""

    @property
    def text(self) -> str:
        """The payload as text. Raises `Refusal` where it isn't UTF-8."""
        try:
            return self.payload.decode()
        except UnicodeDecodeError as error:
            raise Refusal(
                "not_utf8", f"{self.topic}: payload is not UTF-8: {error.reason}", self.payload
            ) from error
