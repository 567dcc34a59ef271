"""The reference pages name every word that a site file or a target pack may use."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from hub.domain.register import Area, CheckpointLevel, DeviceType, Duty, PlaceLevel, Rung, SiteClass
from hub.domain.targets import Metric, Of
from hub.sitefile import (
    CameraEntry,
    CheckpointEntry,
    EvidenceEntry,
    InstallationEntry,
    PanelEntry,
    PlaceEntry,
    PositionEntry,
    SiteEntry,
    SiteFile,
    TrackerEntry,
    UnitEntry,
    VehicleEntry,
    ZoneEntry,
)

DOCS = Path(__file__).parents[2] / "docs"
ENTRIES = (
    PlaceEntry, SiteEntry, PositionEntry, CheckpointEntry, CameraEntry, PanelEntry, ZoneEntry, UnitEntry,
    TrackerEntry, VehicleEntry, InstallationEntry, EvidenceEntry,
)  # fmt: skip


def named(page: str) -> set[str]:
    """Words in backquotes on a reference page."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    return {
        word.rstrip("?[]") for code in re.findall(r"`([^`]+)`", text) for word in re.split(r"[ .,]", code)
    }


@pytest.mark.parametrize("words", [PlaceLevel, SiteClass, Area, CheckpointLevel, Duty, Rung])
def test_every_word_of_the_site_file_is_documented(words: type[StrEnum]) -> None:
    assert set(words) <= named("site-file.md")


@pytest.mark.parametrize("entry", [*ENTRIES, SiteFile])
def test_every_key_of_the_site_file_is_documented(entry: type[msgspec.Struct]) -> None:
    keys = {one.encode_name for one in msgspec.structs.fields(entry)}
    assert keys <= named("site-file.md")


@pytest.mark.parametrize("words", [Metric, Of, DeviceType, SiteClass, Rung])
def test_every_word_of_a_pack_is_documented(words: type[StrEnum]) -> None:
    assert set(words) <= named("coverage.md")


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
