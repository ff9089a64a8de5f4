"""Kills a run with SIGKILL everywhere, gives the same command again, and compares with an uninterrupted run.

    python benchmarks/crash.py CLIP --kills 500

Every run is a forked process of its own and goes through the command line. Kills are spread evenly over the stages of
a run, start-up and cleaning included (by time), and over everything it does to the file system (by counting); over
both ways to name the output; and over files and folders of images. A killed run is given again until it ends: with exit
code 0, the bytes of the whole run, and nothing left over. Prints one line per kill and ends with a table.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from file_changes import forever

from limpid.cli.main import main as command
from limpid.durable.files import sha256_of

STAGES = ("start", "probe", "scan", "plan", "calibrate", "run", "assemble", "finish", "clean")
LONGEST_S = 120.0
MANY = 4
"""Of these killed runs one is killed again before it is left alone."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to call Limpid; ``{out}`` stands for the output."""

    name: str
    arguments: tuple[str, ...]
    output: str


@dataclass
class Run:
    """A forked run. What it prints goes to a file, its stages come through a pipe."""

    pid: int
    events: int
    log: Path
    stages: dict[str, float] = field(default_factory=dict)


def cases(clip: Path, images: Path, more: tuple[str, ...], codec: str | None) -> list[Case]:
    """Both ways to name the output, files and folders, the work folder beside the output or elsewhere."""

    file = f"out{clip.suffix if clip.suffix in ('.mp4', '.mkv', '.mov') else '.mkv'}"

    def case(name: str, output: str, *arguments: str) -> Case:
        chosen = ("--codec", codec) if codec and output == file else ()
        return Case(name=name, output=output, arguments=(*arguments, *more, *chosen))

    return [
        case("file, INPUT OUTPUT", file, str(clip), "{out}"),
        case("file, -o", file, str(clip), "-o", "{out}"),
        case("folder, INPUT OUTPUT", "frames", str(clip), "{out}"),
        case("folder of folder, -o", "frames", str(images), "-o", "{out}"),
        case("file, --work-dir", file, str(clip), "{out}", "--work-dir", "{work}"),
        case("file, --overwrite", file, str(clip), "-o", "{out}", "--overwrite"),
    ]


def start(case: Case, folder: Path, *, kill_at: int | None = None, count: Path | None = None) -> Run:
    """Fork a run; ``kill_at``: it kills itself before this change of the file system, counted from 1."""
    reading, writing = os.pipe()
    log = folder.parent / f"{folder.name}.log"
    pid = os.fork()
    if pid:
        os.close(writing)
        return Run(pid=pid, events=reading, log=log)
    code = 1
    try:
        os.close(reading)
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        tell_stages(writing)
        watch_changes(folder, kill_at, count)
        words = [word.format(out=folder / case.output, work=folder / "work") for word in case.arguments]
        code = command(["upscale", *words])
    finally:
        os._exit(code)
    raise AssertionError


def tell_stages(descriptor: int) -> None:
    """Write each stage and the end to the pipe as it begins."""
    from limpid.run import events

    original = events.Teller.tell

    def tell(self: Any, event: str, **values: Any) -> None:
        name = values.get("stage") if event == "stage" else "clean" if event == "done" else None
        if name is not None:
            os.write(descriptor, f"{name}\n".encode())
        original(self, event, **values)

    events.Teller.tell = tell  # type: ignore[method-assign]


def watch_changes(folder: Path, kill_at: int | None, count: Path | None) -> None:
    """Until this process ends: kill it at the change of a number, or write down how many there were."""

    def on_change(seen: int, event: str, path: str) -> None:
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if count is not None:
            descriptor = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(descriptor, str(seen).encode())
            os.close(descriptor)

    forever(folder, on_change)


def wait(run: Run, until: Callable[[str, float], bool] = lambda stage, since: False) -> int | None:
    """Follow a run; its exit code, or None after it was killed because ``until(stage, seconds in it)`` said so."""
    os.set_blocking(run.events, False)
    stage, began, first = "start", time.monotonic(), time.monotonic()
    try:
        while True:
            for name in read_stages(run.events):
                run.stages[stage] = run.stages.get(stage, 0.0) + time.monotonic() - began
                stage, began = name, time.monotonic()
            found, status = os.waitpid(run.pid, os.WNOHANG)
            if found:
                run.stages[stage] = run.stages.get(stage, 0.0) + time.monotonic() - began
                return os.waitstatus_to_exitcode(status)
            if until(stage, time.monotonic() - began) or time.monotonic() - first > LONGEST_S:
                os.kill(run.pid, signal.SIGKILL)
                os.waitpid(run.pid, 0)
                return None
            time.sleep(0.0005)
    finally:
        os.close(run.events)


def read_stages(descriptor: int) -> Iterator[str]:
    with contextlib.suppress(BlockingIOError):
        yield from os.read(descriptor, 4096).decode().split()


@dataclass
class Truth:
    """What an uninterrupted run gave, and how it went."""

    digest: str
    stages: dict[str, float]
    changes: int


def whole(case: Case, folder: Path) -> Truth:
    folder.mkdir()
    prepare(case, folder)
    count = folder.parent / "count"
    run = start(case, folder, count=count)
    code = wait(run)
    if code != 0:
        raise SystemExit(f"{case.name}: the whole run ended with {code}: {run.log.read_text()[-400:]}")
    check_folder(case, folder, None)
    return Truth(digest=sha256_of(folder / case.output), stages=run.stages, changes=int(count.read_text()))


def prepare(case: Case, folder: Path) -> None:
    if "--overwrite" in case.arguments:
        (folder / case.output).write_bytes(b"a former result")


def check_folder(case: Case, folder: Path, truth: Truth | None) -> None:
    """The result, its record, and nothing else."""
    if truth is not None and sha256_of(folder / case.output) != truth.digest:
        raise SystemExit(f"DIFFERENT BYTES: {case.name}: {folder / case.output}")
    found = sorted(str(path.relative_to(folder)) for path in folder.iterdir())
    work = list((folder / "work").iterdir()) if (folder / "work").exists() else []
    due = sorted([case.output, f"{case.output}.limpid.json", *(["work"] if (folder / "work").exists() else [])])
    if found != due or work:
        raise SystemExit(f"LEFT OVER: {case.name}: {found} {work} in {folder}")
    json.loads((folder / f"{case.output}.limpid.json").read_text())


def is_final(case: Case, folder: Path, truth: Truth) -> bool:
    """Whether everything was done, and only the process had not ended; the command would then say that it is there."""
    return {path.name for path in folder.iterdir()} - {"work"} == {case.output, f"{case.output}.limpid.json"} and (
        sha256_of(folder / case.output) == truth.digest and not any(folder.glob("work/*"))
    )


def kill_by_time(case: Case, folder: Path, truth: Truth, stage: str) -> str | None:
    """Kill somewhere in a stage; where it happened, None when the run was faster."""
    at = random.uniform(0, truth.stages.get(stage, 0.05))
    code = wait(start(case, folder), until=lambda now, since: now == stage and since >= at)
    return None if code is not None else stage


def kill_by_count(case: Case, folder: Path, truth: Truth, number: int) -> str | None:
    code = wait(start(case, folder, kill_at=number))
    return "change" if code == -signal.SIGKILL else None


def kill_and_complete(case: Case, folder: Path, truth: Truth, kind: str, index: int) -> str | None:
    """One killed run, sometimes two, and the same command until it ends."""
    folder.mkdir()
    prepare(case, folder)
    for _ in range(2 if index % MANY == 0 else 1):
        if kind == "change":
            where = kill_by_count(case, folder, truth, 1 + index % truth.changes)
        else:
            where = kill_by_time(case, folder, truth, kind)
        if where is None or is_final(case, folder, truth):
            break
    if where is not None and not is_final(case, folder, truth):
        run = start(case, folder)
        code = wait(run)
        if code != 0:
            raise SystemExit(
                f"{case.name}, killed in {where}: again it ended with {code}: {run.log.read_text()[-600:]}"
            )
    check_folder(case, folder, truth)
    shutil.rmtree(folder)
    return where


def make_images(folder: Path) -> Path:
    import cv2
    import numpy as np

    folder.mkdir()
    for number in range(12):
        picture = np.indices((32, 48)).sum(0)[..., None] * np.array([3, 2, 1]) + 7 * number
        cv2.imwrite(str(folder / f"{number:04d}.png"), (picture % 256).astype(np.uint8))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--segment-frames", type=int, default=8)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--codec", help="of files")
    parser.add_argument("--ways", type=int, metavar="N", help="only the first N ways to call (default: all)")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  (forked runs must not repeat our lines)
    random.seed(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="limpid-crash-"))
    more = ("--segment-frames", str(options.segment_frames), "--threads", "1", "--quiet", "--dtype", options.dtype)
    ways = cases(options.clip.absolute(), make_images(folder / "images"), more, options.codec)[: options.ways]
    truths = [whole(case, folder / f"whole{number}") for number, case in enumerate(ways)]
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    kinds = [*STAGES, *["change"] * len(STAGES)]
    number = tries = 0
    while number < options.kills:
        case, truth = ways[tries % len(ways)], truths[tries % len(ways)]
        kind = kinds[tries // len(ways) % len(kinds)]
        where = kill_and_complete(case, folder / "run", truth, kind, tries)
        tries += 1
        if where is not None:
            number += 1
            counts[case.name, where] += 1
            print(f"kill {number:3d}: {where:9s} {case.name}: completed, equal")
        elif tries > 8 * options.kills + 100:
            raise SystemExit("too many runs ended before they could be killed")
    for (name, where), count in sorted(counts.items()):
        print(f"{count:4d}  {where:9s}  {name}")
    print(f"{options.kills} kills: byte-identical, nothing left over")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
