"""Only drivers reach out: every other module of the adapters, a decoder yet to be written too, stays pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import adapters

ROOT = Path(adapters.__file__).parent
OUTSIDE = {
    "asyncio",
    "socket",
    "threading",
    "selectors",
    "subprocess",
    "paho",
    "aiohttp",
    "wire.bus",
    "wire.link",
}
COMPOSED = {"run.py", "again.py", "sender.py", "mqtt/deliveries.py", "mqtt/followed.py", "onvif/faults.py"}
"""The composition; what answers the hub; what a delivery is known by, what the session follows; the library's
errors. No decoders."""
MODULES = [path for path in ROOT.rglob("*.py") if path.name != "driver.py"]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_is_no_driver_does_no_io(path: Path) -> None:
    if str(path.relative_to(ROOT)) in COMPOSED:
        return
    reached = {name for name in imports(path) if name in OUTSIDE or name.partition(".")[0] in OUTSIDE}
    assert not reached, f"{path.relative_to(ROOT)} imports {reached}"
