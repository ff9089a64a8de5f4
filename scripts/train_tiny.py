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
from dataclasses import dataclass
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


@dataclass(kw_only=True)
class Run:
    """A training with all that is needed to go on with it."""

    folder: Path
    network: TinyNetwork
    average: TinyNetwork
    optimizer: torch.optim.Optimizer
    step: int = 0
    spent_s: float = 0.0

    def save(self) -> None:
        notes = f"{self.step} steps, {self.spent_s / 60:.0f} minutes"
        save_tiny(self.average, self.folder / "tiny.safetensors", trained=notes)
        modules = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        torch.save({**modules, "step": self.step, "spent": self.spent_s}, self.folder / "state.pt")

    def resume(self) -> None:
        if not (self.folder / "state.pt").exists():
            return
        state = torch.load(self.folder / "state.pt", weights_only=True)
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.spent_s = state["step"], state["spent"]

    def learn(self, x0: Tensor, patches: Tensor, sigma: np.ndarray, frames: int, rate: float) -> float:
        """One step of the optimizer and of the average; the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(self.network, x0, patches, sigma, frames)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        decay = min(0.999, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for a, b in zip(self.average.parameters(), self.network.parameters(), strict=True):
                a.lerp_(b, 1 - decay)
        self.step += 1
        return loss.item()


def begin(options: argparse.Namespace, clips: Clips) -> Run:
    """A new network, or a warm start, or where the folder left off."""
    options.run.mkdir(parents=True, exist_ok=True)
    network = load_tiny(options.warm_start) if options.warm_start else TinyNetwork(TinyConfig())
    network = network.to(memory_format=torch.channels_last)
    if not options.warm_start:
        measure_scales(network, clips, options.frames)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Run(folder=options.run, network=network, average=copy.deepcopy(network), optimizer=optimizer)
    run.resume()
    return run


def learning_rate(peak: float, step: int, part: float) -> float:
    """100 steps of warm-up, then a cosine to a hundredth over the time that is given."""
    return peak * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, part))))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--sigma-max", type=float, default=80.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-start", type=Path)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    clips = Clips(options.clips)
    run = begin(options, clips)
    total_s, last_save_s, smooth = options.minutes * 60, run.spent_s, 0.0
    with (options.run / "log.jsonl").open("a") as log:
        while run.spent_s < total_s:
            began = time.time()
            random = np.random.default_rng((1, run.step))
            torch.manual_seed(run.step)
            rate = learning_rate(options.lr, run.step, run.spent_s / total_s)
            x0, patches = batch(clips, random, options.batch, options.frames, run.network.config)
            sigma = random_sigma(options.batch, random, options.sigma_max)
            loss = run.learn(x0, patches, sigma, options.frames, rate)
            smooth = 0.98 * smooth + 0.02 * loss if smooth else loss
            run.spent_s += time.time() - began
            if run.step % 50 == 0:
                line = {"step": run.step, "minutes": run.spent_s / 60, "loss": smooth, "rate": rate}
                print(json.dumps(line), file=log, flush=True)
                clips.refresh()
            if run.spent_s - last_save_s > 120 or run.spent_s >= total_s:
                run.save()
                last_save_s = run.spent_s


if __name__ == "__main__":
    main()
