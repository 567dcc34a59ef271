"""The small fleet, rendered once and served for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator_cameras.running import RunningFleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """Two cameras with an 8 s programme. A test that covers or cuts one puts it right again."""
    running = RunningFleet(tmp_path_factory.mktemp("cameras"))
    yield running
    running.close()
