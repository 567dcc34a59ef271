"""Serves the built console: its files as they are, its front page for every path of its own."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

FOR_EVER = "public, max-age=31536000, immutable"
ABSENT = "控制台尚未构建;接口在 /api/v1。\nThe console isn't built; the API is at /api/v1.\n"


class ConsoleFiles:
    """ASGI app over a folder; without one it says so."""

    def __init__(self, folder: Path | None) -> None:
        self._files = StaticFiles(directory=folder, html=True) if folder else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/api/"):
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        response = await self._file(scope)
        await response(scope, receive, send)

    async def _file(self, scope: Scope) -> Response:
        if self._files is None:
            return PlainTextResponse(ABSENT, 404)
        path = self._files.get_path(scope)
        try:
            response = await self._files.get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in Path(path).name:
                raise
            response = await self._files.get_response("index.html", scope)
        # Vite names what is in assets/ by content; everything else must be asked for again.
        response.headers["Cache-Control"] = FOR_EVER if path.startswith("assets/") else "no-cache"
        return response
