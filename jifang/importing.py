"""`jifang import`: hands site files to the running hub, which checks them whole before it takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.progress import track

from jifang.desk_client import DeskClient


class ImportRefused(RuntimeError):
    """The hub can't be reached, doesn't know the person, or refuses a file: says which and why."""


async def import_files(base: str, name: str, password: str, files: Sequence[Path]) -> None:
    """Imports each file; one that is refused leaves nothing of itself behind. Raises `ImportRefused`."""
    client = DeskClient(base)
    try:
        await client.sign_in(name, password)
        for file in track(files, description="导入 import"):
            await _import(client, file)
    except httpx.HTTPStatusError as error:
        raise ImportRefused(f"sign-in as {name}: {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise ImportRefused(f"no hub at {base}: {error}") from error
    finally:
        await client.close()


async def _import(client: DeskClient, file: Path) -> None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ImportRefused(f"{file}: {error}") from error
    answer = await client.post("/sitefile", content)
    if not answer.is_success:
        raise ImportRefused(f"{file}: {answer.text[:1000]}")
