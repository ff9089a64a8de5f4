"""What a GPU does with every method, in one script of at most eight minutes, with random weights at full size.

    python benchmarks/gpu.py --out FOLDER                 # on cuda
    python benchmarks/gpu.py --out FOLDER --toy           # the same at toy size on the processor, in seconds

``gpu.json`` and ``gpu.md`` in the folder are written anew after every row, so a run that is cut off keeps what it has.
When the time is over, what is left is listed as not run. A check that fails is a row, too.

What is checked, in this order: each method in float16 and bfloat16 against float32 on the processor; offloading; memory
that is limited to a part of the device, so that pieces become smaller; how fast each method is and what it takes,
plain, compiled, in channels_last and with each backend of attention; weights kept in 8 bits; diffusers' pipeline in the
same process; what ships on 720p and 1080p.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from gpu_checks import CHECKS, Place

LIMIT_S = 480.0
COLUMNS = ("check", "method", "variant", "seconds", "frames_per_s", "peak_mib", "error", "within", "says")


@dataclass(kw_only=True)
class Row:
    """One measurement."""

    check: str
    method: str = ""
    variant: str = ""
    seconds: float | None = None
    frames_per_s: float | None = None
    peak_mib: float | None = None
    error: float | None = None
    """Root mean square of the difference to the reference, values in [0, 1]."""
    within: bool | None = None
    """Whether the error is within what the check allows."""
    says: str = ""


@dataclass(kw_only=True)
class Sheet:
    """All rows so far, on disk after each."""

    folder: Path
    device: str
    facts: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(json.dumps({k: v for k, v in asdict(row).items() if v not in (None, "")}), flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"device": self.device, **self.facts, "rows": [asdict(row) for row in self.rows]}
        _replace(self.folder / "gpu.json", json.dumps(content, indent=1))
        _replace(self.folder / "gpu.md", self.table())

    def table(self) -> str:
        lines = [f"{self.device}, {json.dumps(self.facts)}", "", _line(COLUMNS), _line("---" for _ in COLUMNS)]
        return "\n".join([*lines, *(_line(_cell(getattr(row, name)) for name in COLUMNS) for row in self.rows), ""])


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/").replace("\n", " ")


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def run(
    place: Place, sheet: Sheet, checks: dict[str, Callable[[Place], Iterator[dict[str, Any]]]], limit_s: float
) -> bool:
    """All checks, one after the other; False where one failed, was wrong, or was not run."""
    began, good = time.monotonic(), True
    for name, check in checks.items():
        rows = check(place)
        while True:
            if time.monotonic() - began > limit_s:
                sheet.add(Row(check=name, says=f"the rest was not run: {limit_s:.0f} s are over"))
                good = False
                break
            try:
                found = next(rows, None)
            except Exception as error:  # noqa: BLE001  (a benchmark goes on with the next check)
                traceback.print_exc(file=sys.stderr)
                sheet.add(Row(check=name, says=f"failed: {type(error).__name__}: {str(error)[:300]}"))
                good = False
                break
            if found is None:
                break
            sheet.add(Row(check=name, **found))
            good = good and found.get("within") is not False
    return good


def facts_of(device: torch.device) -> tuple[str, dict[str, Any]]:
    """Name of the device, and versions."""
    from limpid.plan.device import device_model

    facts: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if device.type == "cuda":
        facts["memory_gib"] = round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1)
    return device_model(device), facts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", help="cuda, unless --toy says cpu")
    parser.add_argument("--toy", action="store_true", help="small networks and pictures")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S)
    parser.add_argument("--only", nargs="+", choices=tuple(CHECKS))
    options = parser.parse_args()
    device = torch.device(options.device or ("cpu" if options.toy else "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here; --toy runs everything at toy size on the processor", file=sys.stderr)
        return 1
    name, facts = facts_of(device)
    sheet = Sheet(folder=options.out, device=name, facts={**facts, "toy": options.toy})
    checks = {name: check for name, check in CHECKS.items() if not options.only or name in options.only}
    with tempfile.TemporaryDirectory() as folder:
        good = run(Place(device=device, toy=options.toy, folder=Path(folder)), sheet, checks, options.limit_s)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
