"""Whole runs of every large method and of `tiny` on a real Ray give the bytes of a run without it, however divided.

    python benchmarks/cluster_same_bytes.py                    # 1, 2 and 4 workers on one node and on two
    python benchmarks/cluster_same_bytes.py mgld-vsr dc-vsr    # only these

Large methods have small networks of random weights, and the film has 16x16 pixels, so that a run is short; its first
shot is cut into several segments, each of which hands something on to the next. Results are FFV1: nothing is lost, and
every bit counts. A line for each run; exit code 1 where one has other bytes, or fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cluster_nodes as land
import numpy as np

from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.durable.files import sha256_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

METHODS = {
    "tiny": "--segment-frames 5",
    "upscale-a-video": "--steps 2 --segment-frames 6 --consistency propagation --propagation-steps 1",
    "diffvsr": "--steps 2 --segment-frames 6",
    "mgld-vsr": "--steps 2 --segment-frames 5",
    "dc-vsr": "--steps 1 --segment-frames 7",
}
"""What is typed for each, beside its weights."""
WORKERS = (1, 2, 4)


def make_film(path: Path) -> Path:
    """36 frames in two shots."""
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 16, 16, [30])

    return Path(media.make_video(path, width=16, height=16, frames=36, draw=draw))


def words_of(method: str, folder: Path) -> tuple[str, ...]:
    """Words for a method; its weights are made in a folder."""
    words = ("--method", method, "--codec", "ffv1", *METHODS[method].split())
    if method == "tiny":
        return words
    official = make_random_weights(method, "tiny", folder / f"official-{method}")
    return (*words, "--weights", str(convert_weights(method, official, folder / method)))


@dataclass(frozen=True, kw_only=True)
class Way:
    """Where the workers of a run are."""

    name: str
    words: tuple[str, ...]


@contextmanager
def two_nodes(folder: Path, workers: int) -> Iterator[Way]:
    """A cluster with room for so many workers: both of its nodes are needed, unless there is only one."""
    cluster = land.Nodes(folder, 2, cpus=max(workers // 2, 1))
    try:
        words = ("--cluster", cluster.address, "--workers", str(workers))
        yield Way(name=f"two nodes, {workers} workers", words=words)
    finally:
        cluster.close()


IN_ONE_PROCESS = """
import json, sys
from limpid.cli.main import main
sys.exit(max(main(words) for words in json.loads(sys.argv[1])))
"""


def truths_of(folder: Path, film: Path, words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Hashes of what runs without Ray make, by the name of the method; one process makes all, as most of it is loading.

    Raises subprocess.CalledProcessError where one fails.
    """
    outputs = {method: folder / f"alone-{method}.mkv" for method in words}
    commands = [
        ["upscale", str(film), str(outputs[method]), "--threads", "1", "--quiet", *words[method]] for method in words
    ]
    told = [sys.executable, "-c", IN_ONE_PROCESS, json.dumps(commands)]
    subprocess.run(told, env=land.surroundings(folder), check=True, stdout=subprocess.DEVNULL)
    return {method: sha256_of(output) for method, output in outputs.items()}


def hash_of(folder: Path, film: Path, words: tuple[str, ...]) -> str:
    """What a command makes. Raises SystemExit where it fails."""
    output = folder / "out.mkv"
    run = land.upscale(folder, film, output, *words, "--overwrite")
    if run.wait() != 0 or len(run.named("segment")) < 4:
        raise SystemExit(f"{words}: {run.messages}")
    return sha256_of(output)


def compare(folder: Path, film: Path, truths: dict[str, str], words: dict[str, tuple[str, ...]], way: Way) -> bool:
    """One way of dividing, all methods; False where one has other bytes than alone."""
    same = True
    for method, truth in truths.items():
        began = time.monotonic()
        found = hash_of(folder, film, (*words[method], *way.words))
        same &= found == truth
        state = "equal" if found == truth else "DIFFERENT BYTES"
        print(f"{method}, {way.name}: {state} ({time.monotonic() - began:.1f} s)", flush=True)
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", choices=[*METHODS, []], metavar="METHOD", help=", ".join(METHODS))
    methods = parser.parse_args().methods or list(METHODS)
    with land.short_folder() as folder:
        film = make_film(folder / "film.mp4")
        words = {method: words_of(method, folder) for method in methods}
        truths = truths_of(folder, film, words)
        ways = [Way(name=f"one node, {n} workers", words=("--workers", str(n))) for n in WORKERS]
        same = [compare(folder, film, truths, words, way) for way in ways]
        for workers in WORKERS:
            with two_nodes(folder, workers) as way:
                same.append(compare(folder, film, truths, words, way))
    sys.exit(not all(same))


if __name__ == "__main__":
    main()
