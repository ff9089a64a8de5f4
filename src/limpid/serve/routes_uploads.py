"""Uploads over HTTP; see `limpid.serve.uploads`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from limpid.serve.core import core_of
from limpid.serve.database import Transaction
from limpid.serve.idempotency import once
from limpid.serve.models import UploadBody, UploadList, UploadView, errors
from limpid.serve.routes_jobs import IdempotencyKey
from limpid.serve.uploads import Uploads

uploads_router = APIRouter(prefix="/api/v1", tags=["uploads"])
_PIECE = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


def uploads_of(request: Request) -> Uploads:
    return core_of(request).uploads


@uploads_router.post(
    "/uploads", status_code=201, response_model=UploadView, responses=errors(408, 409, 413, 415, 422, 429, 507)
)
async def begin_upload(request: Request, body: UploadBody, key: IdempotencyKey = None) -> Response:
    """Say what is going to be uploaded."""
    uploads = uploads_of(request)
    upload, made = await core_of(request).database.write(_begin_once, uploads, key, body)
    if made is not None and made["size"] == 0:
        made = await uploads.finish_empty(upload)
    if made is not None:
        return JSONResponse(made, 201)
    row = await core_of(request).database.read(uploads.find, upload)
    return JSONResponse(uploads.view(row), 200)


def _begin_once(
    work: Transaction, uploads: Uploads, key: str | None, body: UploadBody
) -> tuple[str, dict[str, Any] | None]:
    return once(work, "upload", key, body.model_dump(), lambda: uploads.begin(work, body))


@uploads_router.put(
    "/uploads/{upload}",
    response_model=UploadView,
    responses=errors(404, 408, 409, 413, 415, 507),
    openapi_extra=_PIECE,
)
async def receive_piece(request: Request, upload: str, offset: Annotated[int, Query(ge=0, le=2**53)]) -> Response:
    """The next bytes; what arrives before a connection is lost is kept."""
    return JSONResponse(await uploads_of(request).receive(upload, offset, _pieces(request)))


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        return


@uploads_router.get("/uploads", response_model=UploadList, responses=errors())
async def list_uploads(request: Request) -> Response:
    """All uploads, the newest first."""
    uploads = uploads_of(request)
    return JSONResponse({"uploads": await core_of(request).database.read(uploads.list_all)})


@uploads_router.get("/uploads/{upload}", response_model=UploadView, responses=errors(404))
async def show_upload(request: Request, upload: str) -> Response:
    """Where to go on."""
    uploads = uploads_of(request)
    return JSONResponse(uploads.view(await core_of(request).database.read(uploads.find, upload)))


@uploads_router.delete("/uploads/{upload}", status_code=204, responses=errors(404, 409))
async def delete_upload(request: Request, upload: str) -> Response:
    """Delete an upload, whole or not; what was made of it stays."""
    uploads = uploads_of(request)
    row = await core_of(request).database.write(uploads.forget, upload)
    await run_in_threadpool(uploads.remove, row)
    return Response(status_code=204)
