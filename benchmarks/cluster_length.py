"""Memory of the head of a run with workers, and of Ray's object store, against the length of the film.

    python benchmarks/cluster_length.py --frames 2400 --times 1 10

Each length is a real `limpid.upscale` with a real worker on a Ray of its own: decoding, objects, spool, encoder,
journal and joining are those of any run. Only the network is left out: the worker gives the frames back as they came,
so that a film of minutes takes seconds. The shortest film must fill what a head may hold (`limpid.cluster.ahead`): the
frames that it keeps and those that it sends ahead are counted and shown, with the memory of the run in quarters; and
Ray's store must have been used from end to end, which it is in turn (its size is fixed). Ends with exit code 1 where
the longest takes more than 1.05 times the first one's, by the head's largest resident memory (without the object
store's) or by what was touched of the store.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cluster_nodes as land
import torch

from limpid.cluster.actor import Slot, Worker

GROWTH_BAR = 1.05
SAMPLE_S = 0.1


class QuickWorker(Worker):
    """A worker whose network does nothing."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(slot)
        from limpid.restoration.restorer import Restorer

        Restorer.__call__ = unchanged  # type: ignore[method-assign]


def unchanged(restorer: Any, chunk: Any) -> torch.Tensor:
    """The frames of a chunk's core, as they are given to the encoder."""
    core = chunk.segment.core
    frames = [torch.from_numpy(frame.pixels.copy()) for frame in chunk.frames if core.start <= frame.index < core.stop]
    chunk.on_share(1.0)
    return torch.stack(frames)


# ------------------------------------------------------------------------------------------------ in the head's process


def status_of(pid: int | str, name: str) -> int:
    """A line of /proc/PID/status, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1]) * 1024


class Watch:
    """Samples while the run works: resident memory of the head, what objects have touched of Ray's store, buffers."""

    def __init__(self) -> None:
        self.head: list[int] = []
        self.store = self.kept = self.sent = 0
        self.ahead: Any = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(SAMPLE_S)
            if self.ahead is not None:
                self._look()

    def _look(self) -> None:
        shared = status_of("self", "RssShmem")  # objects are written here, and pages that were used stay
        self.head.append(status_of("self", "VmRSS") - shared)
        self.store = max(self.store, shared)
        self.kept = max(self.kept, len(self.ahead._frames._kept))
        self.sent = max(self.sent, sum(size for _, size in tuple(self.ahead._on_the_way)))

    def quarters(self) -> list[int]:
        """The largest resident memory in each quarter of the work."""
        step = max(len(self.head) // 4, 1)
        return [max(self.head[i : i + step]) for i in range(0, step * 4, step) if self.head[i : i + step]]


def head(clip: str, output: str, segment_frames: int) -> None:
    """One run; prints what it took as JSON."""
    import limpid
    from limpid.cluster import engine, ray_crew

    watch = Watch()

    class Seen(engine.Ahead):
        def __init__(self, *about: Any) -> None:
            super().__init__(*about)
            watch.ahead = self

    ray_crew.Worker = QuickWorker  # type: ignore[misc]
    engine.Ahead = Seen  # type: ignore[misc]
    report = limpid.upscale(
        clip,
        output,
        workers="1",
        threads=1,
        scale=1,
        segment_frames=segment_frames,
        preset="ultrafast",
        detect_cuts=False,
        on_event=lambda event: setattr(watch, "ahead", watch.ahead if event.get("stage", "run") == "run" else None),
    )
    found = {"frames": report.frames, "segments": len(report.plan["segments"]), "seconds": report.seconds}
    told = {name: getattr(watch, name) for name in ("store", "kept", "sent")}
    print(json.dumps({**found, **told, "head": max(watch.head), "quarters": watch.quarters()}))


# ------------------------------------------------------------------------------------------------------------- lengths


def make_film(path: Path, frames: int, width: int, height: int) -> None:
    """A soft pattern that moves: cheap to encode and to decode."""
    from limpid.types import OutputSpec
    from limpid.video import SegmentWriter

    spec = OutputSpec(
        codec="h264",
        container="mkv",
        width=width,
        height=height,
        fps=Fraction(25),
        time_base=Fraction(1, 25),
        preset="ultrafast",
    )
    across = torch.linspace(0, 6.28, width)[None, None, :].expand(3, height, width)
    with SegmentWriter(path, spec) as writer:
        for i in range(frames):
            writer.write((torch.sin(across + i / 10) / 2 + 0.5)[None], [i])


def measured(folder: Path, frames: int, options: argparse.Namespace) -> dict[str, Any]:
    clip, output = folder / f"{frames}.mkv", folder / "out.mkv"
    make_film(clip, frames, options.width, options.height)
    command = [sys.executable, __file__, "--head", str(clip), str(output), str(options.segment_frames)]
    environment = {**land.surroundings(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), environment["PYTHONPATH"]])
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    output.unlink()
    clip.unlink()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    mib = {name: round(found[name] / 2**20, 1) for name in ("head", "store", "sent")}
    quarters = ", ".join(f"{value / 2**20:.1f}" for value in found["quarters"])
    kept = found["kept"] * options.width * options.height * 3 / 2**20
    print(
        f"{found['frames']} frames, {found['segments']} segments, {found['seconds']:.0f} s: head {mib['head']} MiB (in "
        f"quarters of the work {quarters}), {found['kept']} frames kept ({kept:.0f} MiB), frames of {mib['sent']} MiB "
        f"sent ahead, {mib['store']} MiB of the object store touched",
        flush=True,
    )
    return found


def main() -> None:
    if sys.argv[1:2] == ["--head"]:
        head(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"frames": 2400, "width": 640, "height": 360, "segment-frames": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    options = parser.parse_args()
    with land.short_folder() as folder:
        found = [measured(folder, options.frames * times, options) for times in options.times]
    first, last = found[0], found[-1]
    growth = {name: last[name] / first[name] for name in ("head", "store")}
    each = (last["head"] - first["head"]) / max(last["segments"] - first["segments"], 1)
    said = ", ".join(f"{name} {value:.3f}x" for name, value in growth.items())
    longer = options.times[-1] / options.times[0]
    print(f"{said} for {longer:g} times the length; {each:.0f} bytes of the head a segment")
    sys.exit(max(growth.values()) > GROWTH_BAR)


if __name__ == "__main__":
    main()
