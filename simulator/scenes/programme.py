"""The programme of a rendered camera: a clip with traffic, then a quiet clip shown several times, then again.

Only the two clips are rendered and stored; the quiet minutes cost no rendering and no disk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Programme:
    """Lengths in whole seconds. Both clips are multiples of the 2 s key frame distance, so that each begins
    with a key frame and can follow any other."""

    traffic_s: int = 36
    quiet_s: int = 12
    quiet_repeats: int = 6

    def __post_init__(self) -> None:
        for name, value in (("traffic_s", self.traffic_s), ("quiet_s", self.quiet_s)):
            if value < 2 or value % 2:
                raise ValueError(f"{name}: {value} is not a positive multiple of 2 s")
        if self.quiet_repeats < 1:
            raise ValueError(f"quiet_repeats: {self.quiet_repeats} is less than 1")

    @property
    def rendered_s(self) -> int:
        """Seconds that are drawn and encoded."""
        return self.traffic_s + self.quiet_s

    @property
    def length_s(self) -> int:
        """Seconds until the programme begins again."""
        return self.traffic_s + self.quiet_s * self.quiet_repeats

    def clips(self) -> list[tuple[float, float, int]]:
        """(begin, end, times shown) in seconds of the rendered material, in the order shown."""
        return [
            (0.0, float(self.traffic_s), 1),
            (float(self.traffic_s), float(self.rendered_s), self.quiet_repeats),
        ]
