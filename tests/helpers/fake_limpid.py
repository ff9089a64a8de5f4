"""What the server starts instead of ``limpid`` in tests: as durable as the engine, and it takes milliseconds.

The input holds JSON: ``{"segments": 3, "delay_s": 0.01, "fail": "sentence", "flood": 1000}``. Each segment is a file
in the hidden folder beside the output, under the engine's own lock; the output is made of them, published by a
rename, and noted in ``OUTPUT.made``, so that a test can see whether anything was made twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from limpid.durable.files import hidden_name
from limpid.durable.interrupt import Cancelled, signals_as_interrupts
from limpid.durable.lock import locked
from limpid.types import OutputError


def tell(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def fail(message: str, code: int) -> int:
    tell("error", message=message, exit_code=code)
    print(f"limpid: {message}", file=sys.stderr, flush=True)
    return code


def upscale(words: list[str]) -> int:
    names = [word for word in words if not word.startswith("--")]
    options = sorted(
        word for word in words if word.startswith("--") and word not in ("--json", "--overwrite", "--dry-run")
    )
    source, output = Path(names[0]), Path(names[1])
    told = json.loads(source.read_text())
    count = told.get("segments", 3)
    tell("stage", stage="probe")
    tell("clip", path=str(source), width=64, height=48, fps="25", codec="h264", duration_s=1.0, num_frames=25)
    if told.get("suicide"):
        os.kill(os.getpid(), signal.SIGKILL)
    if told.get("fail"):
        return fail(told["fail"], 3)
    tell("plan", plan={"segments": count, "peak_bytes": 1000})
    tell(
        "estimate", seconds=1.0, frames_per_s=25.0, segment_bytes=10, output_bytes=10, free_bytes=10**9, calibrated=True
    )
    if "--dry-run" in words:
        return 0
    home = hidden_name(output, "limpid")
    if output.exists() and not home.exists() and "--overwrite" not in words:
        return fail(f"{output} exists; choose another name or say --overwrite", 4)
    with locked(home):
        return work(source, output, home, told, count, options)


def work(source: Path, output: Path, home: Path, told: dict, count: int, options: list[str]) -> int:
    done = sorted(home.glob("*.seg"))
    if done:
        tell("resume", segments=len(done), of=count, frames=len(done))
    tell("stage", stage="run")
    for number in range(told.get("flood", 0)):
        tell("progress", stage="run", done=number, total=10**6, fps=1.0, eta_s=1.0)
    for index in range(count):
        segment = home / f"{index:06d}.seg"
        if segment.exists():
            continue
        time.sleep(told.get("delay_s", 0.01))
        partial = segment.with_suffix(".partial")
        partial.write_text(hashlib.sha256(f"{source.read_text()} {options} {index}".encode()).hexdigest())
        partial.rename(segment)
        tell("segment", index=index, of=count, start=index, stop=index + 1, bytes=64)
        tell("progress", stage="run", done=index + 1, total=count, fps=10.0, eta_s=0.1)
    tell("stage", stage="finish")
    part = home / "part"
    part.write_text("".join((home / f"{index:06d}.seg").read_text() for index in range(count)))
    part.rename(output)
    with output.with_name(output.name + ".made").open("a") as made:
        made.write("made\n")
    output.with_name(output.name + ".limpid.json").write_text(json.dumps({"limpid_sidecar": 1, "input": str(source)}))
    shutil.rmtree(home)
    tell("done", output=str(output), frames=count, seconds=0.1, fps=10.0, resumed_segments=0, notes=[], warnings=[])
    return 0


def main(words: list[str]) -> int:
    if words[0] == "methods":
        print(
            json.dumps(
                {"tiny": {"summary": "fake", "scale": 4, "steps": 1, "weights_sha256": "0", "options": ["steps"]}}
            )
        )
        return 0
    try:
        with signals_as_interrupts():
            return upscale(words[1:])
    except Cancelled:
        return fail("stopped; finished segments are kept, and the same command goes on where this one was", 130)
    except OutputError as error:
        return fail(str(error), 4)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
