"""What a run writes down: ``log.jsonl`` always, curves as a picture, TensorBoard where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from limpid.durable.files import write_atomic
from limpid.train.curves import curves_svg

LOG = "log.jsonl"
CURVES = "curves.svg"


class Record:
    """The log of a run. Lines of steps that a crash has undone are dropped when a stage is gone on with."""

    def __init__(self, run: Path, *, writes: bool = True) -> None:
        """``writes``: whether this process is the one that does; the others' calls do nothing."""
        self.path, self.writes = run / LOG, writes
        self.board = _tensorboard(run) if writes else None

    def rewind(self, stage: str, step: int) -> None:
        """Forget what was written of ``stage`` after ``step``."""
        kept = [line for line in self.lines() if line["stage"] != stage or line["step"] <= step]
        if self.writes and self.path.exists():
            write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def lines(self) -> list[dict[str, Any]]:
        """All lines so far; one that a crash has torn is left out."""
        found = []
        for text in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def write(self, line: Mapping[str, Any]) -> None:
        """One line with at least ``kind`` ("step" or "validation"), ``stage`` and ``step``; numbers may be nested."""
        if not self.writes:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in _flat(line):
                self.board.add_scalar(f"{line['stage']}/{line['kind']}/{name}", value, line["step"])

    def draw(self) -> None:
        """Write the curves anew."""
        lines = self.lines()
        if lines:
            write_atomic(self.path.with_name(CURVES), curves_svg(lines))

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
            found.append((prefix + name, value))
    return found


def memory_bytes(device: torch.device) -> int:
    """Most memory used so far on a GPU, or what the process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return int(psutil.Process().memory_info().rss)
