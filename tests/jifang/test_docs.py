"""The documentation's indexes: nobody finds a page that isn't listed."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("index", "folder"), [("README.md", "guide"), ("README.md", "reference"), ("design/README.md", "design")]
)
def test_every_page_is_listed(index: str, folder: str) -> None:
    text = (DOCS / index).read_text(encoding="utf-8")
    for page in (DOCS / folder).glob("*.md"):
        if page.name != "README.md":
            assert f"{page.name})" in text, f"{folder}/{page.name} is not in docs/{index}"
