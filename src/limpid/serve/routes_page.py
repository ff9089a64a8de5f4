"""The page: files of `static/`, the entry at ``/``, and ``/docs``, which shows the interface."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from limpid.viewer import viewer_folder

STATIC = Path(__file__).parent / "static"
SUFFIXES = frozenset({".html", ".css", ".js", ".svg", ".png", ".ico", ".webmanifest"})
"""What is handed out; a module of Python is not."""
VIEWER = Path(str(viewer_folder()))
"""The player, which the page of ``limpid compare`` has, too."""

page_router = APIRouter(include_in_schema=False)


@page_router.get("/")
async def index() -> FileResponse:
    return _page("index.html")


@page_router.get("/docs")
async def documentation() -> FileResponse:
    return _page("docs.html")


@page_router.get("/favicon.ico")
async def icon() -> FileResponse:
    return _page("favicon.svg")


def _page(name: str) -> FileResponse:
    return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})


class PageFiles(StaticFiles):
    """The files of the page; browsers ask each time whether they have changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if Path(path).suffix in SUFFIXES else ("", None)

    def file_response(self, full_path: Path | str, *rest: object, **named: object) -> object:  # type: ignore[override]
        answer = super().file_response(full_path, *rest, **named)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "no-cache"
        return answer
