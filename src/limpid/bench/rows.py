"""The rows of a run: JSON lines, one per clip and method, whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from limpid.types import InputError

ROWS_FILE = "rows.jsonl"
RUN_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class RowValue:
    """What a metric said: a number (infinite for identical frames), or None and why; and what to say beside it."""

    value: float | None
    reason: str | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One clip through one method; with ``error`` without values. ``seconds_per_frame``: of the restoring alone."""

    clip: str
    method: str
    frames: int = 0
    width: int = 0
    height: int = 0
    lr_sha256: str = ""
    seconds: float | None = None
    seconds_per_frame: float | None = None
    peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    device: str = ""
    lossless: bool = True
    sr_sha256: str = ""
    """Hash of the result's pixels, by which rows that ought to differ can be told apart."""
    random_weights: bool = False
    error: str | None = None
    values: Mapping[str, RowValue] = field(default_factory=dict)


def plain_row(row: Row) -> dict[str, Any]:
    """A row as JSON values; a value is ``[number or "inf" or null, reason or null, note]``."""
    values = {name: [_plain(value.value), value.reason, value.note] for name, value in row.values.items()}
    return {**asdict(row), "values": values}


def append_row(run: Path, row: Row) -> None:
    """Add a row and make it durable."""
    with (run / ROWS_FILE).open("ab") as file:
        file.write(json.dumps(plain_row(row), allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _plain(value: float | None) -> float | str | None:
    """JSON has no infinity."""
    return value if value is None or abs(value) != float("inf") else str(value)


def read_rows(run: Path) -> list[Row]:
    """Every whole row of a run, the last one of each clip and method. Raises InputError when a line is no row."""
    path = run / ROWS_FILE
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    rows = {}
    for number, line in enumerate(lines, 1):
        try:
            row = _row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: line {number} is no row of a run; delete it and start the run again") from error
        rows[row.clip, row.method] = row
    return list(rows.values())


def _row(plain: dict[str, Any]) -> Row:
    values = {
        name: RowValue(value=None if value is None else float(value), reason=reason, note="".join(note))
        for name, (value, reason, *note) in plain.pop("values").items()
    }
    return Row(**plain, values=values)


def drop_torn_line(run: Path) -> None:
    """Cut off what a crash left of the last line, so that the next row begins on a line of its own."""
    path = run / ROWS_FILE
    if path.is_file():
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


def read_run_card(run: Path) -> dict[str, Any]:
    """What the run is (``run.json``). Raises InputError when the folder holds no run."""
    try:
        card = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{run}: there is no benchmark run here; limpid bench run makes one") from error
    assert isinstance(card, dict)
    return card


def write_run_card(run: Path, card: Mapping[str, Any]) -> None:
    """Write ``run.json``, whole or not at all."""
    half = run / f".{RUN_FILE}.part"
    half.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    os.replace(half, run / RUN_FILE)  # noqa: PTH105
