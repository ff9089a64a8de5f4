"""One clip through one method, in a process of its own: its memory can be measured, and its death is one row.

Reads a job as JSON from stdin and writes the outcome as JSON to the file that the job names.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.settings import Settings

BASELINES = ("bicubic", "lanczos")
RECONSTRUCT = "reconstruct"
"""In place of a method: an autoencoder by itself, from the true frames (`limpid.bench.reconstruct`)."""


def run_worker() -> int:
    """Do the job on stdin; returns 0 whatever comes of it, as the outcome says it."""
    job = json.loads(sys.stdin.read())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    outcome = do(job)
    outcome["peak_bytes"] = peak_bytes()
    Path(job["outcome"]).write_text(json.dumps(outcome), encoding="utf-8")
    return 0


def _end_with(parent: int) -> None:
    """A run that was killed must not leave a worker behind, which would write where the next run writes."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds in all and in the restoring itself, or the error in one sentence."""
    from limpid.types import LimpidError

    run = _baseline if job["method"] in BASELINES else _reconstruct if job["method"] == RECONSTRUCT else _method
    start = time.perf_counter()
    try:
        said = run(job)
    except LimpidError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001  one clip that fails must not end a run of hours
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
    return {"error": None, "seconds": round(time.perf_counter() - start, 4), **said}


def _baseline(job: dict[str, Any]) -> dict[str, Any]:
    """Frame by frame with OpenCV, which has no antialiasing; enlarging needs none."""
    import cv2
    import numpy as np

    from limpid.bench.datasets import SCALE
    from limpid.bench.frames import read_frames, write_frames

    kind = cv2.INTER_CUBIC if job["method"] == "bicubic" else cv2.INTER_LANCZOS4
    frames, _ = read_frames(Path(job["source"]))
    size = (frames.shape[2] * SCALE, frames.shape[1] * SCALE)
    start = time.perf_counter()
    large = np.stack([cv2.resize(frame, size, interpolation=kind) for frame in frames])
    seconds = time.perf_counter() - start
    write_frames(Path(job["target"]), large)
    return {"restore_s": round(seconds, 6), "device": "cpu"}


def _reconstruct(job: dict[str, Any]) -> dict[str, Any]:
    from limpid.bench.reconstruct import reconstruct

    return reconstruct(job)


def _method(job: dict[str, Any]) -> dict[str, Any]:
    import limpid
    from limpid.settings import Settings

    watch = _Watch()
    settings = Settings.from_dict(job["settings"]).replace(
        method=job["method"], codec="ffv1", bit_depth=8, fps=Fraction(job["fps"])
    )
    report = limpid.upscale(
        job["source"], job["target"], settings=settings, overwrite=True, calibrate=False, on_event=watch
    )
    seconds = round(watch.seconds.get("run", 0.0), 4)
    return {"restore_s": seconds, **_facts(job, report.plan, settings), **_device()}


def _facts(job: dict[str, Any], plan: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Where the result has joints in time and in space, and whether it comes from random numbers."""
    from limpid.bench.cuts import tile_cuts, time_cuts
    from limpid.bench.datasets import SCALE
    from limpid.methods import find_method
    from limpid.video import probe

    method, clip = find_method(job["method"], settings), probe(job["source"])
    return {
        "borders": time_cuts(plan, method),
        "tile_columns": tile_cuts(plan, method, clip.width, SCALE),
        "tile_rows": tile_cuts(plan, method, clip.height, SCALE),
        "random_weights": method.weights.random,
    }


class _Watch:
    """Adds up the seconds of each stage from the events of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] in ("stage", "done"):
            now = time.perf_counter()
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
            self._stage, self._since = event.get("stage", ""), now


def _device() -> dict[str, Any]:
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return {"device": torch.cuda.get_device_name(), "device_peak_bytes": torch.cuda.max_memory_allocated()}
    return {"device": "cpu"}


def peak_bytes() -> int:
    """Most memory that this process ever had; on Linux without what its parent had before it was started."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(run_worker())
