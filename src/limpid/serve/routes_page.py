"""The page: files of `static/`, the entry at ``/``, and ``/docs``, which shows the interface."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"

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

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(self, full_path: Path | str, *rest: object, **named: object) -> object:  # type: ignore[override]
        answer = super().file_response(full_path, *rest, **named)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "no-cache"
        return answer
