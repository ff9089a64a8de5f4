"""Clips kept apart from training: pictures to look at and metrics, from the averaged weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.metrics import detail_stability, input_flows, psnr
from limpid.train.learner import ClipBatch, ClipRandom, Learner
from limpid.train.source import BatchSource, to_device

SEED = 20_240
_LEAST_PX = 32
"""Smaller clips have no optical flow to speak of: PSNR only."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The first clips of a source, the same ones each time."""

    source: BatchSource
    device: torch.device
    every: int = 500
    """Steps between two looks."""
    clips: int = 4

    @torch.no_grad()
    def look(self, learner: Learner, folder: Path | None, stage: str, step: int) -> dict[str, float]:
        """Writes ``STAGE-STEP-CLIP.png`` (bicubic | restored | HR, the middle frame) if given a folder.

        Returns:
            Means of the metrics over the clips.
        """
        networks = list(learner.players.values())
        modes = [network.training for network in networks]
        for network in networks:
            network.eval()
        found: list[dict[str, float]] = []
        for batch in self.source.batches([(n,) for n in range(self.clips)]):
            restored = learner.preview(to_device(batch, self.device), ClipRandom(SEED, batch.numbers)).float().cpu()
            enlarged = enlarged_input(batch)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{stage.replace('/', '-')}-{step:07d}-{batch.numbers[0]}.png"
                write_picture(folder / name, enlarged, restored, batch.hr)
            found.append(clip_metrics(batch, enlarged, restored))
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)
        return {name: float(np.mean([m[name] for m in found if name in m])) for name in found[0]}

    def sentence(self, metrics: Mapping[str, float]) -> str:
        """Numbers of a look in words."""
        return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())


def enlarged_input(batch: ClipBatch) -> Tensor:
    """LR at the size of HR, ``b t 3 H W`` in [0, 1]."""
    b, t = batch.lr.shape[:2]
    large = F.interpolate(batch.lr.flatten(0, 1), size=tuple(batch.hr.shape[-2:]), mode="bicubic")
    return large.clamp(0, 1).reshape(b, t, *large.shape[1:])


def rounded_frames(clip: Tensor) -> np.ndarray:
    """``t 3 h w`` in [0, 1] -> uint8 ``t h w 3``."""
    return (clip.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def clip_metrics(batch: ClipBatch, enlarged: Tensor, restored: Tensor) -> dict[str, float]:
    """PSNR of result and bicubic; detail that moves with the picture, and that does not, in levels of 255."""
    sides = {
        "restored": rounded_frames(restored[0]),
        "bicubic": rounded_frames(enlarged[0]),
        "truth": rounded_frames(batch.hr[0]),
    }
    found = {f"psnr:{name}": psnr(sides[name], sides["truth"]) for name in ("restored", "bicubic")}
    if batch.hr.shape[1] > 1 and min(batch.hr.shape[-2:]) >= _LEAST_PX:
        flows = input_flows(list(rounded_frames(batch.lr[0])))
        if any(mask.any() for _, mask in flows):
            for name, frames in sides.items():
                detail = detail_stability(list(frames), flows)
                found[f"coherent detail:{name}"] = detail.coherent_rms
                found[f"incoherent detail:{name}"] = detail.incoherent_rms
    return {name: float(value) for name, value in found.items()}


def write_picture(path: Path, *clips: Tensor) -> None:
    """The middle frame of the first clip of each, side by side."""
    middle = [rounded_frames(clip[0])[clip.shape[1] // 2] for clip in clips]
    cv2.imwrite(str(path), np.concatenate(middle, axis=1)[..., ::-1])
