"""Kills a run with SIGKILL at random moments, resumes it each time, and compares with an uninterrupted run.

    python benchmarks/crash.py CLIP --kills 20

Every run is a process of its own. Prints one line per kill and ends with exit code 0 when the output is byte-identical.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import limpid.api  # before forking, so that a run spends its time on work and is not killed while it still imports
import limpid.methods
import limpid.types


def start(clip: Path, output: Path, segment_frames: int) -> int:
    """Fork a run; returns its process number."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            limpid.api.upscale(clip, output, segment_frames=segment_frames, threads=1)
            code = 0
        except limpid.types.LimpidError as error:
            print(f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)
    return pid


def finished(pid: int, within_s: float | None) -> bool:
    """Wait for a run; False when it still works after ``within_s``. A run that fails by itself ends everything."""
    end = None if within_s is None else time.monotonic() + within_s
    while True:
        found, status = os.waitpid(pid, 0 if end is None else os.WNOHANG)
        if found:
            if status:
                raise SystemExit(f"a run failed by itself with status {status}")
            return True
        if end is not None and time.monotonic() >= end:
            return False
        time.sleep(0.002)


def kill_and_resume(clip: Path, whole: Path, output: Path, segment_frames: int, kills: int, whole_s: float) -> None:
    """Start and kill until ``kills`` runs were killed while they worked, then let one finish."""
    done = 0
    work = output.parent / f".{output.name}.limpid"
    while done < kills:
        pid = start(clip, output, segment_frames)
        delay = random.uniform(0, whole_s)
        if finished(pid, delay):
            print("           finished before the kill; begun again")
            check_same(whole, output)
            output.unlink()
            continue
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        done += 1
        segments = len(list(work.glob("0*")))
        print(f"kill {done:2d} after {delay:6.3f} s: {segments} segments on disk, output there: {output.exists()}")
        if output.exists():  # killed at the very end: under the final name there is only ever the whole
            check_same(whole, output)
            if not (work / "journal.jsonl").exists():
                print("           it was complete, only its work folder was not gone yet; begun again")
                output.unlink()
    finished(start(clip, output, segment_frames), None)
    check_same(whole, output)


def check_same(whole: Path, output: Path) -> None:
    if whole.read_bytes() != output.read_bytes():
        raise SystemExit(f"DIFFERENT: {output} is not {whole}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--segment-frames", type=int, default=8)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  (forked runs must not repeat our lines)
    folder = Path(tempfile.mkdtemp(prefix="limpid-crash-"))
    suffix = options.clip.suffix if options.clip.suffix in (".mp4", ".mkv", ".mov") else ".mkv"
    whole, output = folder / f"whole{suffix}", folder / f"killed{suffix}"
    began = time.monotonic()
    finished(start(options.clip, whole, options.segment_frames), None)
    whole_s = time.monotonic() - began
    random.seed(options.seed)
    kill_and_resume(options.clip, whole, output, options.segment_frames, options.kills, whole_s)
    rest = [path.name for path in folder.iterdir() if path.name.startswith(".") or "partial" in path.name]
    if rest:
        raise SystemExit(f"left over: {rest}")
    print(f"{options.kills} kills: byte-identical, nothing left over")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
