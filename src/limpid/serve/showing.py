"""Comparisons, newest segments and small pictures: made by `limpid.serve.pictures` when somebody looks."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limpid.bounded import cut, json_object, read_json
from limpid.durable.files import discard
from limpid.run.places import home_of
from limpid.serve.config import ServeConfig
from limpid.serve.database import Database, Transaction
from limpid.serve.pictures_asked import ABOUT, PicturesAsked
from limpid.serve.processes import process_of
from limpid.serve.refusals import Refusal

ShownKind = Literal["comparison", "latest"]
FILE_NAME = re.compile(r"[a-z0-9-]{1,40}\.(png|mp4)")
PICTURES_S = 1800.0
LATEST_EVERY_S = 3.0
_MOST_ABOUT = 1 << 20
_MOST_SMALL = 500


@dataclass
class Showing:
    """What is shown of jobs. A folder that holds `ABOUT` is whole: it gets its name when everything is in it."""

    config: ServeConfig
    database: Database
    making: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    looked: dict[str, float] = field(default_factory=dict)
    """When the newest segment of a job was last made."""
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _small_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    def about(self, job: str, kind: ShownKind) -> dict[str, Any]:
        """A comparison as clients see it, as far as there is one."""
        folder = self.folder(job, kind)
        found = _read(folder)
        if (job, kind) in self.making:
            return {"state": "making", "error": None, **(_with_addresses(found, job, kind, folder) if found else {})}
        if found is None:
            return {"state": "absent", "error": None}
        if "error" in found:
            return {"state": "failed", "error": cut(str(found["error"]), 500)}
        return {"state": "ready", "error": None, **_with_addresses(found, job, kind, folder)}

    def folder(self, job: str, kind: str) -> Path:
        return self.config.state / "jobs" / job / kind

    def file(self, job: str, kind: ShownKind, name: str) -> Path:
        """One of the files that addresses in `about` name. Raises Refusal."""
        path = self.folder(job, kind) / name
        if not FILE_NAME.fullmatch(name) or not path.is_file():
            raise Refusal(404, "not_found", "there is no such picture (any more)")
        return path

    def compare(self, row: sqlite3.Row, start_s: float = 0.0, seconds: float = 10.0) -> None:
        """Begin to make the comparison of a job that is done, unless that goes on already."""
        facts, first = json.loads(row["facts"]), 0
        if frames := (facts.get("plan") or {}).get("frames"):
            first = int(frames[0])
        asked = PicturesAsked(
            folder=str(self._new(row["id"], "comparison")),
            input=row["input"],
            result=row["output"],
            settings=json.loads(row["settings"]),
            first=first,
            start_s=start_s,
            seconds=seconds,
        )
        self._begin(row["id"], "comparison", asked)

    def look(self, row: sqlite3.Row) -> None:
        """Begin to make pictures of the newest segment of a job, unless they are there or it was just done."""
        job, latest = row["id"], json.loads(row["facts"]).get("latest")
        made = _read(self.folder(job, "latest")) or {}
        soon = time.monotonic() - self.looked.get(job, -LATEST_EVERY_S) < LATEST_EVERY_S
        if latest is None or made.get("segment") == latest["index"] or soon:
            return
        home = home_of(Path(row["output"]))
        segment = next((path for path in sorted(home.glob(f"{latest['index']:06d}*")) if _is_segment(path)), None)
        if segment is None:
            return
        self.looked[job] = time.monotonic()
        asked = PicturesAsked(
            folder=str(self._new(job, "latest")),
            input=row["input"],
            result=str(segment),
            settings=json.loads(row["settings"]),
            first=int(latest["start"]),
            video=False,
            known_scan=str(home),
            more={"segment": latest["index"], "start": latest["start"], "stop": latest["stop"]},
        )
        self._begin(job, "latest", asked)

    def _new(self, job: str, kind: str) -> Path:
        return self.folder(job, f"{kind}-new")

    def _begin(self, job: str, kind: ShownKind, asked: PicturesAsked) -> None:
        if (job, kind) not in self.making:
            self.making[job, kind] = asyncio.create_task(self._make(job, kind, asked))

    async def _make(self, job: str, kind: ShownKind, asked: PicturesAsked) -> None:
        try:
            await self._tell(job, kind, "making")
            async with self._turn:
                await self._made(asked, self.folder(job, kind))
        finally:
            self.making.pop((job, kind), None)
        await self._tell(job, kind, self.about(job, kind)["state"])

    async def _tell(self, job: str, kind: ShownKind, state: str) -> None:
        if kind == "comparison":
            await self.database.write_surely(_tell_comparison, job, state)

    async def _made(self, asked: PicturesAsked, folder: Path) -> None:
        new = Path(asked.folder)
        discard(new)
        new.mkdir(mode=0o700, parents=True)
        log = await run_pictures(asked)
        if _read(new) is None:
            (new / ABOUT).write_text(json.dumps({"error": f"the pictures could not be made: {log}"}))
        if folder.parent.is_dir():  # else the job was forgotten meanwhile
            discard(folder)
            new.rename(folder)

    async def small_picture(self, path: Path, width: int) -> Path | None:
        """A small picture of the first frame of a film or image; None when there is none."""
        found = path.stat()
        key = hashlib.sha256(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{width}".encode()).hexdigest()[:32]
        folder = self.config.state / "small" / key
        async with self._small_turn:
            if _read(folder) is None:
                self._make_room(folder.parent)
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                await run_pictures(PicturesAsked(folder=str(folder), input=str(path), width=width))
        picture = folder / "small.jpg"
        return picture if picture.is_file() else None

    def _make_room(self, folder: Path) -> None:
        known = sorted(folder.glob("*"), key=lambda each: each.stat().st_mtime) if folder.is_dir() else []
        for each in known[: max(len(known) - _MOST_SMALL, 0)]:
            discard(each)

    async def close(self) -> None:
        tasks = list(self.making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_pictures(asked: PicturesAsked) -> str:
    """Run the process to its end; what it said on stderr last."""
    words = (sys.executable, "-m", "limpid.serve.pictures")
    told = json.dumps(dataclasses.asdict(asked)).encode()
    async with process_of(words, stdin=subprocess.PIPE) as process:
        try:
            _, log = await asyncio.wait_for(process.communicate(told), PICTURES_S)
        except TimeoutError:
            return "it took too long"
    return cut(" ".join(log.decode(errors="replace").split()[-40:]), 300)


def _tell_comparison(work: Transaction, job: str, state: str) -> None:
    work.tell("comparison", {"id": job, "state": state}, job)


def _is_segment(path: Path) -> bool:
    return not path.name.startswith("partial") and not path.name.endswith(".safetensors")


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        return json_object(read_json(folder / ABOUT, _MOST_ABOUT))
    except (OSError, ValueError):
        return None


def _with_addresses(about: dict[str, Any], job: str, kind: ShownKind, folder: Path) -> dict[str, Any]:
    """Names of files as addresses, which change when the files do."""
    version = (folder / ABOUT).stat().st_mtime_ns

    def at(name: str) -> dict[str, str]:
        return {"url": f"/api/v1/jobs/{job}/{kind}/{name}?v={version}"}

    video = about.get("video")
    both = ("before", "after")
    return {
        **about,
        "video": None if video is None else {**video, **at(video["url"])},
        "stills": {**about["stills"], **{side: at(about["stills"][side]) for side in both}},
        "crops": [{**crop, **{side: at(crop[side]) for side in both}} for crop in about["crops"]],
    }
