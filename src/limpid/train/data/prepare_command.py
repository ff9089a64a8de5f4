"""``limpid train prepare``: makes the clips of a training beforehand, or checks a data set on disk."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from limpid.types import SettingsError

STORES = ("png", "npy")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of the command."""
    add = parser.add_argument
    add("data", metavar="DATA", help="a folder of videos, frame folders, photos, tar shards")
    add("out", metavar="OUT", nargs="?", help="the folder for the shards; the same command goes on where it stopped")
    add("--count", type=int, metavar="N", help="clips to make (default: 2400)")
    add("--frames", type=int, metavar="N", help="frames of each (default: 7)")
    add("--crop", type=int, metavar="PX", help="height and width of the HR side (default: 256)")
    add("--scale", type=int, metavar="N", help="HR pixels per LR pixel (default: 4)")
    add("--strides", metavar="A-B", help="range of temporal strides (default: 1-1)")
    add("--degradation", metavar="NAME", help="none, simple, complex or a pipeline of limpid degrade (default: light)")
    add("--seed", type=int, metavar="N", help="of all that is drawn (default: 0)")
    add("--keep-out", nargs="+", metavar="NAME", help="files, frame folders or keys that are not used")
    add("--shard", type=int, metavar="N", help="clips in each shard (default: 100)")
    add("--store", choices=STORES, help="png: half the size; npy: ten milliseconds faster to read (default: png)")
    add("--teacher", metavar="MODEL", help="store what this image network (.param of ncnn) makes of the LR side, too")
    add("--teacher-cleaner", metavar="FILE", help="a cleaner (tiny_clean.safetensors) that its frames go through first")
    add("--workers", type=int, metavar="N", help="processes; 0 works in this one (default: processors - 1)")
    add("--check", metavar="LAYOUT", help="instead: compare DATA with REDS, YouHQ, WebVid or OpenVid")


DEFAULTS: Final[dict[str, Any]] = {
    "count": 2400,
    "frames": 7,
    "crop": 256,
    "scale": 4,
    "strides": "1-1",
    "degradation": "light",
    "seed": 0,
    "keep_out": [],
    "shard": 100,
    "store": "png",
    "teacher": None,
    "teacher_cleaner": None,
    "workers": None,
}


def run_prepare(options: argparse.Namespace) -> int:
    """Do what `add_options` describes; 0 when done, 3 when a checked data set is incomplete. Raises LimpidError."""
    given = {name: value for name in DEFAULTS if (value := getattr(options, name)) is not None}
    if options.check is not None:
        return _check(options, given)
    if options.out is None:
        raise SettingsError("a folder for the shards is missing: limpid train prepare DATA OUT")
    from limpid.train.data.shards import Preparation, prepare_pairs

    values: dict[str, Any] = {
        name: value for name, value in (DEFAULTS | given).items() if name not in ("workers", "strides")
    }
    wanted = Preparation(
        data=Path(options.data), out=Path(options.out), strides=_range((DEFAULTS | given)["strides"]), **values
    )
    began = time.monotonic()
    made = prepare_pairs(wanted, workers=given.get("workers"), tell=_tell, progress=_progress(began))
    _tell(f"{options.out}: {made} of {wanted.count} clips were made now, the others were there")
    return 0


def _check(options: argparse.Namespace, given: dict[str, object]) -> int:
    from limpid.train.data.layouts import check_layout

    unused = [f"--{name.replace('_', '-')}" for name in given]
    if unused or options.out is not None:
        raise SettingsError(f"--check only looks at DATA: leave out {', '.join(unused) or 'OUT'}")
    checked = check_layout(Path(options.data), options.check)
    sys.stdout.write("\n".join(checked.lines) + "\n")
    return 0 if checked.complete else 3


def _range(text: object) -> tuple[int, int]:
    first, dash, last = str(text).partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError:
        raise SettingsError(f"--strides {text}: must be a number or a range like 1-6") from None


def _tell(says: str) -> None:
    sys.stderr.write(says + "\n")


def _progress(began: float) -> Callable[[int, int, int], None]:
    def show(done: int, total: int, made: int) -> None:
        spent = time.monotonic() - began
        left = spent / max(1, made) * (total - done)
        _tell(f"{done} of {total} clips, {made / max(spent, 1e-9):.1f} clips/s, {left / 60:.1f} min left")

    return show
