"""Starting a worker for one clip and method, and turning whatever becomes of it into an outcome."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import limpid
from limpid.bench.worker import BASELINES, RECONSTRUCT


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A column of the table: a method with changed settings. ``label`` is its name there."""

    label: str
    method: str
    changes: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """The label as a name that every file system takes."""
        return re.sub(r"[^\w.+= -]", "_", self.label)

    def told(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """Its settings: those of the whole run with its changes; a captioning model only where captions are wanted."""
        values = {**common, **self.changes}
        wanted = values.get("caption") == "auto"
        return {name: value for name, value in values.items() if wanted or name != "caption_model"}

    @property
    def is_method(self) -> bool:
        """Whether it runs as ``limpid upscale`` does, and not frame by frame from Python."""
        return self.method not in (*BASELINES, RECONSTRUCT)


@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """What became of one job; with ``error`` nothing else is known."""

    error: str | None = None
    seconds: float = 0.0
    restore_s: float = 0.0
    peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    device: str = ""
    random_weights: bool = False
    """The weights are random numbers."""
    borders: tuple[int, ...] = ()
    tile_columns: tuple[int, ...] = ()
    tile_rows: tuple[int, ...] = ()
    """Where the work was cut in time and space (`limpid.bench.cuts`)."""


def upscale_in_a_process(
    variant: Variant, source: Path, target: Path, *, fps: str, settings: dict[str, Any]
) -> JobOutcome:
    """Upscale one clip to ``target`` in a process of its own; never raises for what goes wrong in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    told = target.parent / f".{target.name}.outcome.json"
    job = {"method": variant.method, "source": str(source), "target": str(target), "fps": fps, "outcome": str(told)}
    told.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "limpid.bench.worker"],
        input=json.dumps({**job, "settings": settings}),
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode or not told.is_file():
        return JobOutcome(error=_death(done.returncode, done.stderr))
    plain = json.loads(told.read_text(encoding="utf-8"))
    told.unlink()
    if plain["error"] is not None:
        return JobOutcome(error=plain["error"])
    cuts = {name: tuple(plain.get(name, ())) for name in ("borders", "tile_columns", "tile_rows")}
    return JobOutcome(**{**plain, **cuts})


def _environment() -> dict[str, str]:
    """The worker imports this very Limpid, installed or not."""
    here = str(Path(limpid.__file__).parent.parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _death(code: int, stderr: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = ", most likely for lack of memory" if name == "SIGKILL" else ""
        return f"the process was killed by {name}{hint}"
    last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
    return f"the process ended with code {code}: {last[0][:300]}"
