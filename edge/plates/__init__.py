"""The plate stage's place in the watch loop: what moves at a checkpoint is offered to it in full pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.luma import Luma
from wire.observations import Body, Region


class PlateStage(Protocol):
    """Reads plates in the moving regions of one picture of a checkpoint's camera.

    Pixels in, values out: no I/O, no clock. Called for each analysed picture while something moves.
    """

    def look(self, luma: Luma, regions: Sequence[Region]) -> Sequence[Body]:
        """What is to be observed of the plates in `regions` of `luma`, (height, width) at full size."""
        ...
