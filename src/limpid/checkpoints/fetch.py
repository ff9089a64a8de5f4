"""Downloads, only when asked: to ``NAME.part``, going on where a former try stopped, renamed when whole and right."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from limpid import __version__
from limpid.checkpoints.folders import file_facts
from limpid.checkpoints.manifest import Entry, File
from limpid.checkpoints.sniff import what_else
from limpid.types import WeightsError

_BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60.0
SCHEMES = ("https", "http", "file")
PARTIAL_CONTENT = 206
NOT_FOUND = 404
RANGE_NOT_SATISFIABLE = 416

FetchProgress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and the bytes in all if they are known."""


class NotThere(WeightsError):  # noqa: N818
    """The server does not have the file."""


def fetch(entry: Entry, folder: Path, on_progress: FetchProgress | None = None) -> list[Path]:
    """Download the files of an entry into ``folder``; those that are there already and right are kept.

    Returns the files. Raises WeightsError: one has no URL, cannot be had, or is not what it should be.
    """
    if entry.by_hand is not None:
        raise WeightsError(f"the weights of {entry.name} cannot be fetched by a program: {entry.by_hand}")
    paths = (_fetch_or_other(file, folder, on_progress) for file in entry.files)
    return [path for path in paths if path is not None]


def _fetch_or_other(file: File, folder: Path, on_progress: FetchProgress | None) -> Path | None:
    """What serves as well is taken where a file is not there; None when it is not needed."""
    try:
        return fetch_file(file, folder, on_progress)
    except NotThere:
        if file.instead is not None and file.url is not None:
            url = file.url.removesuffix(file.name) + file.instead
            return fetch_file(File(name=file.instead, role=file.role, url=url), folder, on_progress)
        if file.needed:
            raise
        return None


def fetch_file(file: File, folder: Path, on_progress: FetchProgress | None = None) -> Path:
    """Download one file; see `fetch`."""
    target = folder / file.name
    if target.is_file() and not wrong(target, file):
        return target
    if file.url is None:
        raise WeightsError(f"{file.name} has no address to download it from")
    if urlsplit(file.url).scheme not in SCHEMES:
        raise WeightsError(f"{file.url} is not an address that Limpid downloads from")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(file.url, part, lambda done, total: on_progress and on_progress(file.name, done, total))
        _accept(part, file)
        part.replace(target)
        _tag_of(part).unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        kind = NotThere if error.code == NOT_FOUND else WeightsError
        raise kind(f"{file.url} cannot be fetched: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(f"{file.url} cannot be fetched: {reason}; the same command goes on") from error
    return target


def wrong(path: Path, file: File) -> str | None:
    """Why a file on disk is not the one of the manifest, as far as size and hash are known; None: it is."""
    if file.size is not None and path.stat().st_size != file.size:
        return f"has {path.stat().st_size} bytes instead of {file.size}"
    if file.sha256 is not None:
        found = file_facts(path)["sha256"]
        if not found.startswith(file.sha256):
            return f"has the sha256 {found[:16]}... instead of {file.sha256[:16]}"
    return None


def _accept(part: Path, file: File) -> None:
    """A file with the wrong content is removed, because going on with it would never make it right."""
    reason = wrong(part, file)
    if reason is None and not file.name.endswith((".json", ".txt", ".safetensors")):
        with part.open("rb") as opened:
            reason = what_else(opened.read(4096))
    if reason is not None:
        part.unlink()
        _tag_of(part).unlink(missing_ok=True)
        raise WeightsError(f"{file.url} is not the file it should be: {reason}; it was removed")


def _download(url: str, part: Path, on_progress: Callable[[int, int | None], Any]) -> None:
    done = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, done, _read_tag(part))
    except urllib.error.HTTPError as error:
        if error.code != RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # longer than the file, or the whole of it: nothing says which
        done, response = 0, _open(url, 0, "")
    with response:
        resumed = done > 0 and getattr(response, "status", None) == PARTIAL_CONTENT
        done = done if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        _tag_of(part).write_text(response.headers.get("ETag") or response.headers.get("Last-Modified") or "")
        with part.open("ab" if resumed else "wb") as file:
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                on_progress(done, total)
        if total is not None and done != total:
            raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _open(url: str, start: int, tag: str) -> Any:
    """From byte ``start`` on, if the file is still the one that ``tag`` was given for; else all of it."""
    headers = {"User-Agent": f"limpid/{__version__}", "Accept-Encoding": "identity"}
    if start and tag:
        headers |= {"Range": f"bytes={start}-", "If-Range": tag}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)


def _tag_of(part: Path) -> Path:
    """Beside an unfinished file: which version of it the server had."""
    return part.with_name(part.name + ".tag")


def _read_tag(part: Path) -> str:
    """Weak tags do not promise the same bytes."""
    tag = _tag_of(part).read_text().strip() if _tag_of(part).is_file() else ""
    return "" if tag.startswith("W/") else tag


def _blocks(response: Any) -> Iterator[bytes]:
    while block := response.read(_BLOCK_BYTES):
        yield block
