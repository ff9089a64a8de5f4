"""Train `tiny` on clips made by make_clips.py. Stops after ``--minutes``; the same command goes on where it stopped.

    python scripts/train_tiny.py CLIPS RUN --minutes 100

``RUN/tiny.safetensors`` holds the averaged weights, ``RUN/state.pt`` what is needed to go on,
``RUN/log.jsonl`` the losses.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.priors.tiny import TinyConfig, TinyNetwork, from_latent, load_tiny, save_tiny, to_latent, wiener_prediction

CROP, MARGIN = 40, 2
TYPICAL_SIGMA = 0.5
SMOOTH = 0.01
"""Errors well below 0.1 times the typical one count squared, larger ones by their size."""


class Clips:
    """Pairs of HR and LR clips in memory; parts that are written while training are picked up."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, set[Path]()
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob("part_*.npz")):
            if path not in self.seen and time.time() - path.stat().st_mtime > 5:
                data = np.load(path)
                self.parts.append((data["hr"], data["lr"]))
                self.seen.add(path)

    def sample(self, random: np.random.Generator, frames: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
        """One augmented crop: HR ``t 3 160 160`` and LR with a margin ``t 3 44 44``, uint8."""
        hr, lr = self.parts[int(random.integers(len(self.parts)))]
        index, start = int(random.integers(len(hr))), int(random.integers(hr.shape[1] - frames + 1))
        y, x = (2 * int(random.integers((lr.shape[2] - CROP) // 2 + 1)) for _ in "yx")
        lr_clip = np.pad(lr[index, start : start + frames], ((0, 0), (MARGIN,) * 2, (MARGIN,) * 2, (0, 0)), mode="edge")
        lr_crop = lr_clip[:, y : y + CROP + 2 * MARGIN, x : x + CROP + 2 * MARGIN]
        hr_crop = hr[index, start : start + frames, y * scale : (y + CROP) * scale, x * scale : (x + CROP) * scale]
        return augment(hr_crop, lr_crop, random)


def augment(hr: np.ndarray, lr: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same random turn, mirror and direction of time for both."""
    turns, mirror, backwards = int(random.integers(4)), random.random() < 0.5, random.random() < 0.5

    def apply(a: np.ndarray) -> np.ndarray:
        a = np.rot90(a, turns, axes=(1, 2))
        a = a[:, :, ::-1] if mirror else a
        a = a[::-1] if backwards else a
        return np.ascontiguousarray(a.transpose(0, 3, 1, 2))

    return apply(hr), apply(lr)


def batch(
    clips: Clips, random: np.random.Generator, size: int, frames: int, config: TinyConfig
) -> tuple[Tensor, Tensor]:
    """Clean latents ``(b t) 192 20 20`` and LR patches ``(b t) 12 20 20``."""
    pairs = [clips.sample(random, frames, config.scale) for _ in range(size)]
    hr = torch.from_numpy(np.concatenate([p[0] for p in pairs])).float() / 255
    lr = torch.from_numpy(np.concatenate([p[1] for p in pairs])).float() / 255
    edge = MARGIN * config.scale
    base = F.interpolate(lr, scale_factor=config.scale, mode="bicubic")[..., edge:-edge, edge:-edge]
    x0 = to_latent(F.pixel_unshuffle(hr - base, config.patch_px * config.scale), config)
    patches = F.pixel_unshuffle(lr[..., MARGIN:-MARGIN, MARGIN:-MARGIN] - 0.5, config.patch_px)
    layout = torch.channels_last
    return x0.contiguous(memory_format=layout), patches.contiguous(memory_format=layout)


def random_sigma(size: int, random: np.random.Generator, sigma_max: float) -> np.ndarray:
    """Half of the clips near pure noise (the one-step case), the rest log-uniform over the whole range."""
    high = np.exp(random.uniform(math.log(sigma_max / 4), math.log(sigma_max), size))
    anywhere = np.exp(random.uniform(math.log(0.02), math.log(sigma_max), size))
    return np.where(random.random(size) < 0.5, high, anywhere)


def loss_of(network: TinyNetwork, x0: Tensor, patches: Tensor, sigma: np.ndarray, frames: int) -> Tensor:
    """Charbonnier distance in pixels, divided by what is typical of the noise level (EDM's c_out)."""
    s = torch.from_numpy(sigma).float().repeat_interleave(frames)
    z = x0 + s[:, None, None, None] * torch.randn_like(x0)
    error = wiener_prediction(network, z, s, patches, frames) - x0
    pixels = from_latent(error, network.config) * network.config.latent_scale
    c_out = s * TYPICAL_SIGMA / (s**2 + TYPICAL_SIGMA**2).sqrt()
    return ((pixels / c_out[:, None, None, None]) ** 2 + SMOOTH).sqrt().mean()


@torch.no_grad()
def measure_scales(network: TinyNetwork, clips: Clips, frames: int) -> None:
    """Sets the units of the network from a few hundred random crops; a one-step error is taken as half of the data."""
    random = np.random.default_rng(0)
    x0 = torch.cat([batch(clips, random, 8, frames, network.config)[0] for _ in range(30)])
    network.data_scale.copy_(x0.square().mean((0, 2, 3)).sqrt().clamp_min(0.02))
    network.spread_scale.copy_(network.data_scale / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--sigma-max", type=float, default=80.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-start", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    clips = Clips(args.clips)
    network = (load_tiny(args.warm_start) if args.warm_start else TinyNetwork(TinyConfig())).to(
        memory_format=torch.channels_last
    )
    if not args.warm_start:
        measure_scales(network, clips, args.frames)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    step, spent, state_path = 0, 0.0, args.run / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    total, running, last_save = args.minutes * 60, 0.0, spent
    log = (args.run / "log.jsonl").open("a")
    while spent < total:
        began = time.time()
        random = np.random.default_rng((1, step))
        torch.manual_seed(step)
        rate = (
            args.lr
            * min(1.0, (step + 1) / 100)
            * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / total))))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        x0, patches = batch(clips, random, args.batch, args.frames, network.config)
        loss = loss_of(network, x0, patches, random_sigma(args.batch, random, args.sigma_max), args.frames)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(0.999, (step + 1) / (step + 20))
        with torch.no_grad():
            for a, b in zip(average.parameters(), network.parameters(), strict=True):
                a.lerp_(b, 1 - decay)
        step += 1
        spent += time.time() - began
        running = 0.98 * running + 0.02 * loss.item() if step > 1 else loss.item()
        if step % 50 == 0:
            log.write(json.dumps({"step": step, "minutes": spent / 60, "loss": running, "rate": rate}) + "\n")
            log.flush()
            clips.refresh()
        if spent - last_save > 120 or spent >= total:
            save_tiny(average, args.run / "tiny.safetensors", trained=f"{step} steps, {spent / 60:.0f} minutes")
            torch.save(
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "spent": spent,
                },
                state_path,
            )
            last_save = spent


if __name__ == "__main__":
    main()
