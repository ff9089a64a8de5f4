"""Upscale every clip of a folder and check what must be exact: frame count, timestamps, sound packets.

    python benchmarks/real_clips.py FOLDER [--megapixels 40] [--only NAME ...] [--method NAME --weights FOLDER ...]

Clips with more input pixels than that in all are run as a preview of their first part, where only the count and the
spacing of timestamps can be compared. Prints one line per clip; ends with exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

import limpid
from limpid.types import Clip, LimpidError, Timeline
from limpid.video import frame_pts, probe, scan


def sound_packets(path: Path) -> dict[int, str]:
    """A hash over the packets of each sound stream, in the order of the streams."""
    hashes: dict[int, hashlib._Hash] = {}
    with av.open(str(path)) as container:
        order = {stream.index: number for number, stream in enumerate(container.streams.audio)}
        for packet in container.demux(audio=list(range(len(order)))) if order else ():
            if packet.size:
                hashes.setdefault(order[packet.stream.index], hashlib.sha256()).update(bytes(packet))
    return {number: value.hexdigest() for number, value in hashes.items()}


def preview_for(clip: Clip, timeline: Timeline, megapixels: float) -> str | None:
    """As much of the clip as has so many input pixels; None when that is all of it."""
    frames = max(3, int(megapixels * 1e6 / (clip.width * clip.height)))
    if frames >= timeline.num_frames:
        return None
    return f"0-{float((timeline.pts[frames] - timeline.pts[0]) * timeline.time_base):.4f}"


def spacing(pts: list[int] | tuple[int, ...], time_base: Fraction) -> list[Fraction]:
    return [(p - pts[0]) * time_base for p in pts]


def check(path: Path, output: Path, megapixels: float, options: dict[str, Any]) -> str:
    """Upscale one clip; what was found, beginning with "ok" or "WRONG"."""
    clip = probe(path)
    timeline = scan(clip)
    preview = preview_for(clip, timeline, megapixels)
    report = limpid.upscale(path, output, preview=preview, overwrite=True, **options)
    ours = spacing(frame_pts(output, timeline.time_base), timeline.time_base)
    expected = spacing(timeline.pts, timeline.time_base)[: len(ours)]
    if report.frames != len(ours) or (preview is None and len(ours) != timeline.num_frames):
        return f"WRONG: {len(ours)} frames instead of {timeline.num_frames}"
    if ours != expected:
        return "WRONG: timestamps differ"
    part = f"{len(ours)} of {timeline.num_frames} frames" if preview else f"all {len(ours)} frames"
    if preview is None and clip.kind == "video" and sound_packets(path) != sound_packets(output):
        return f"{part}, sound differs: {'; '.join(report.notes) or 'WRONG, nothing was said'}"
    if preview is not None and len(sound_packets(path)) != len(sound_packets(output)):
        return f"{part}, WRONG: the sound is gone"
    return f"ok: {part}, {len(sound_packets(output))} sound streams, {report.seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, default=40.0)
    parser.add_argument("--only", nargs="+", default=[], help="parts of names of clips")
    parser.add_argument("--method", default="tiny")
    parser.add_argument("--weights", help="folder of converted weights; random ones will do")
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    options = {"method": args.method, "weights": args.weights, "steps": args.steps}
    wrong = False
    for path in sorted(args.folder.iterdir()):
        if path.suffix == ".csv" or (args.only and not any(part in path.name for part in args.only)):
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = check(path, Path(folder) / "out.mp4", args.megapixels, options)
            except LimpidError as error:
                found = f"refused: {error}"
        wrong |= "WRONG" in found
        print(f"{path.name:45s} {found} ({time.perf_counter() - began:.0f} s)", flush=True)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
