"""One demo for all tests of the whole product: bringing it up costs more than each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.whole.running import RunningDemo, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The whole product on a simulated district."""
    with run_demo(tmp_path_factory.mktemp("demo") / "data", "--port", "0") as running:
        yield running
