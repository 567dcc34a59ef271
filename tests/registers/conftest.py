"""A store in a file of its own, and registers over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.registers import Registers
from hub.store.engine import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh, migrated database."""
    opened = Store.open(f"sqlite:///{tmp_path}/hub.db")
    yield opened
    opened.close()


@pytest.fixture
def registers(store: Store, tmp_path: Path) -> Registers:
    """Empty registers over `store`."""
    return Registers.load(store, tmp_path / "seal.key")
