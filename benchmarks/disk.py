"""Lets the disk fail at every change that a run makes, gives the command again, and compares with an untroubled run.

    python benchmarks/disk.py CLIP --faults 200

Faults: an error of the operating system (disk full, quota, read-only, too large, folder gone) instead of one change of
the file system, at every place in turn; the folder of the output deleted before a change; a limit on the size of files,
so that writing itself fails (also inside FFmpeg); and, for root, a small disk (tmpfs) that fills. The run must end with
a sentence and an exit code of its own, leave no output or a whole one, and the same command must complete with the same
bytes once nothing fails. `tests/run/test_disk.py` has a fast form of the same.
"""

from __future__ import annotations

import argparse
import collections
import errno
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import crash
from file_changes import FAULTS, failing_at, forever, limit_files, removing_at

from limpid.durable.files import sha256_of

SENTENCE_CODES = (3, 4, 5)
"""What a run may say: also that the input cannot be read, when its folder is gone."""
REMOVED = -1
"""Stands for a folder that somebody deletes with all that is in it."""


def start(case: crash.Case, folder: Path, trouble: Callable[[], None]) -> crash.Run:
    """A forked run in which ``trouble`` was prepared."""
    original = crash.watch_changes

    def prepare(*arguments: Any) -> None:
        original(*arguments)
        trouble()

    crash.watch_changes = prepare
    try:
        return crash.start(case, folder)
    finally:
        crash.watch_changes = original


def troubled(case: crash.Case, folder: Path, truth: crash.Truth, name: str, trouble: Callable[[], None]) -> int:
    """One run in trouble and one without; the exit code of the first."""
    run = start(case, folder, trouble)
    code = crash.wait(run)
    says = run.log.read_text(errors="replace")
    if code not in (0, *SENTENCE_CODES) or "Traceback" in says or "defect" in says:
        raise SystemExit(f"{case.name}, {name}: ended with {code}: {says[-600:]}")
    if not folder.exists():
        folder.mkdir()
        crash.prepare(case, folder)
    new = (folder / case.output).exists() and not is_former(case, folder)
    if new and sha256_of(folder / case.output) != truth.digest:
        raise SystemExit(f"{case.name}, {name}: a partial output lies under the final name")
    if not crash.is_final(case, folder, truth):
        again = crash.start(case, folder)
        if crash.wait(again) != 0:
            raise SystemExit(f"{case.name}, after {name}: {again.log.read_text()[-600:]} (first: {says[-300:]})")
    crash.check_folder(case, folder, truth)
    return code


def is_former(case: crash.Case, folder: Path) -> bool:
    return "--overwrite" in case.arguments and (folder / case.output).read_bytes() == b"a former result"


def faults(truth: crash.Truth, folder: Path, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every change with every error in an order without pattern, and sizes at which writing fails, in turn."""
    places = [(number, code) for number in range(1, truth.changes + 1) for code in (*FAULTS, REMOVED)]
    random.shuffle(places)
    for index in range(count):
        if index % 5 == 4:
            limit = random.choice((0, 100, 1000, 3000, 10_000, 30_000))
            yield f"files of at most {limit} bytes", partial(limit_files, limit)
        else:
            number, code = places[index % len(places)]
            name = f"{errno.errorcode.get(code, 'folder removed')} at change {number}"
            fault = removing_at(number, folder) if code == REMOVED else failing_at(number, code)
            yield name, partial(forever, folder, fault)


def on_small_disks(case: crash.Case, truth: crash.Truth, folder: Path) -> int:
    """A tmpfs that is too small by more and less; how many were tried. Needs root."""
    tried = 0
    for kilobytes in (8, 32, 64, 96, 128, 192, 256):
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            folder.rmdir()
            return tried
        try:
            crash.prepare(case, folder)
            run = crash.start(case, folder)
            code, says = crash.wait(run), run.log.read_text(errors="replace")
            if code not in (0, 4, 5) or "Traceback" in says:
                raise SystemExit(f"{case.name} on {kilobytes} kB: ended with {code}: {says[-600:]}")
            grow = ["mount", "-o", "remount,size=64m", str(folder)]
            subprocess.run(grow, check=True)
            if code and crash.wait(again := crash.start(case, folder)) != 0:
                raise SystemExit(f"{case.name} after {kilobytes} kB: {again.log.read_text()[-600:]}")
            crash.check_folder(case, folder, truth)
            tried += 1
        finally:
            subprocess.run(["umount", str(folder)], check=True)
            folder.rmdir()
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--segment-frames", type=int, default=4)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    random.seed(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="limpid-disk-"))
    more = ("--segment-frames", str(options.segment_frames), "--threads", "1", "--quiet")
    ways = crash.cases(options.clip.absolute(), crash.make_images(folder / "images"), more, None)
    counts: collections.Counter[tuple[str, int]] = collections.Counter()
    share = -(-options.faults // len(ways))
    for number, case in enumerate(ways):
        truth = crash.whole(case, folder / f"whole{number}")
        for name, trouble in faults(truth, folder / "run", share):
            (folder / "run").mkdir()
            crash.prepare(case, folder / "run")
            counts[case.name, troubled(case, folder / "run", truth, name, trouble)] += 1
            shutil.rmtree(folder / "run")
        print(f"{case.name}: {share} faults, {on_small_disks(case, truth, folder / 'small')} small disks", flush=True)
    for (name, code), count in sorted(counts.items()):
        print(f"{count:4d}  exit code {code}  {name}")
    print(f"{share * len(ways)} faults: a sentence each time, then completed with equal bytes, nothing left over")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
