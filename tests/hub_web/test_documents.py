"""The reference page can't fall behind: every call, error and figure stands in it."""

from __future__ import annotations

from pathlib import Path

from hub import metrics
from hub.web.application import api_routes, build
from hub.web.guard import declared
from hub.web.problems import CATALOGUE

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


def test_every_call_stands_in_the_reference_with_its_right() -> None:
    for route in api_routes(build()):
        right = declared(route)
        assert right is not None
        for method in route.methods or ():
            assert f"| `{method} {route.path.replace(':path', '')}` | `{right.value}` |" in PAGE


def test_every_error_stands_in_the_reference() -> None:
    for code, (status, _, _) in CATALOGUE.items():
        assert f"| `{code}` | {status} |" in PAGE


def test_every_figure_stands_in_the_reference() -> None:
    for family in metrics.REGISTRY.collect():
        assert family.name in PAGE, family.name
