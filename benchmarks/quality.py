"""Quality of `tiny` against bicubic and against classical filters on HR clips that are degraded here.

    python benchmarks/quality.py CLIPS [--weights FILE] [--frames 24] [--seeds 3] [--pictures DIR]

CLIPS is a folder with the three HR clips named below. Degradation: blur 1.0, area /4, noise 5, x264 crf 26.
Measured: PSNR, coherent and incoherent detail. Classical filters: OpenCV's non-local means, Lanczos, unsharp mask. The
networks run on frames directly, without the file pipeline, in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from limpid.degrade import Degradation, degrade
from limpid.methods import TINY_WEIGHTS, tiny
from limpid.metrics import detail_stability, input_flows, psnr
from limpid.types import Placement, Step
from limpid.video.roundtrip import decode_frames

CLIPS = {
    "hr_cockatoo_1280x720.mp4": 0,
    "hr_openh264_street_1920x1080.264": 0,
    "hr_tearsofsteel_long_800x332.webm": 700,
}


def restore(prior, schedule: tuple[Step, ...], lr: np.ndarray, seed: int, chunk: int = 24) -> np.ndarray:
    """Euler sampling in chunks of frames with halo, frames uint8 ``t h w 3``; a plain twin of the engine's loop."""
    halo = prior.config.radius_frames * len(schedule)
    frames = torch.from_numpy(lr).permute(0, 3, 1, 2).float() / 255
    out = []
    latent = prior.latent_size(*frames.shape[-2:])
    noise = torch.randn((prior.latent_channels, len(frames), *latent), generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(frames), chunk):
        a, b = max(0, start - halo), min(len(frames), start + chunk + halo)
        condition = prior.condition(frames[a:b])
        z = noise[None, :, a:b] * schedule[0].sigma
        for step in schedule:
            x0, eps = prior.denoise(z, step, condition)
            z = x0 + step.sigma_next * eps
        decoded = prior.decode(z, condition)[start - a : min(start + chunk, len(frames)) - a]
        out.append((decoded.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy())
    h, w = lr.shape[1:3]
    return np.concatenate(out)[:, : h * 4, : w * 4]


def classical(lr: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What one would do without a network: denoise, enlarge, sharpen. ``t h w 3`` uint8 to ``size`` (width, height)."""
    out = []
    for frame in lr:
        clean = cv2.fastNlMeansDenoisingColored(frame, None, 3, 3, 7, 21)
        large = cv2.resize(clean, size, interpolation=cv2.INTER_LANCZOS4)
        out.append(cv2.addWeighted(large, 1.5, cv2.GaussianBlur(large, (0, 0), 2.0), -0.5, 0))
    return np.stack(out)


def report(name: str, frames: np.ndarray, truth: np.ndarray, flows: list) -> tuple[float, float, float]:
    stability = detail_stability(list(frames), flows)
    value = psnr(frames, truth)
    print(
        f"  {name:10s} PSNR {value:6.2f}  coherent {stability.coherent_rms:5.2f}"
        f"  incoherent {stability.incoherent_rms:5.2f}  coherence {stability.coherence:.3f}",
        flush=True,
    )
    return value, stability.coherent_rms, stability.incoherent_rms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", type=Path, default=TINY_WEIGHTS)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--sigma-min", type=float)
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    method = tiny(weights=args.weights)
    prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    gains: dict[int, list[float]] = {n: [] for n in args.steps}
    for file, first in CLIPS.items():
        hr = np.stack(decode_frames(args.clips / file, first, args.frames))
        hr = hr[:, : hr.shape[1] // 4 * 4, : hr.shape[2] // 4 * 4]
        for seed in range(args.seeds):
            print(f"{file} seed {seed}")
            lr = degrade(hr, Degradation(), seed=seed)
            flows = input_flows(list(lr))
            size = (hr.shape[2], hr.shape[1])
            bicubic = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in lr])
            report("truth", hr, hr, flows)
            base = report("bicubic", bicubic, hr, flows)
            report("classical", classical(lr, size), hr, flows)
            for count in args.steps:
                with torch.no_grad():
                    ours = restore(prior, method.make_schedule(count), lr, seed)
                value = report(f"{count} steps", ours, hr, flows)
                gains[count].append(value[0] - base[0])
                print(f"  {'':10s} {value[0] - base[0]:+.2f} dB, coherent detail x{value[1] / base[1]:.2f}", flush=True)
                if args.pictures and seed == 0:
                    args.pictures.mkdir(parents=True, exist_ok=True)
                    middle = len(hr) // 2
                    row = np.concatenate([bicubic[middle], ours[middle], hr[middle]], 1)
                    cv2.imwrite(str(args.pictures / f"{Path(file).stem}_{count}.png"), row[..., ::-1])
    for count, values in gains.items():
        print(f"{count} steps: mean {np.mean(values):+.2f} dB over bicubic, least {min(values):+.2f} dB")


if __name__ == "__main__":
    main()
