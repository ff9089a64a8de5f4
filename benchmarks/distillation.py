"""Students of one to four steps beside their teacher of many, and beside the same network trained by regression.

    python benchmarks/distillation.py DATA HELD_OUT RUN [--train-steps 400]

DATA is a folder for training (prepared pairs are fastest), HELD_OUT one with clips to measure on. Teacher: `tiny` as it
ships, 17 steps from a noise level of 3 to 0.1. All networks see the same noise. Measured on clips of 5 frames of
160x160 pixels: coherent detail (M2), PSNR to the LR input (M1), and the distance to what the teacher made of the same
noise, in levels.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpid.metrics import detail_stability, input_flows
from limpid.metrics.faithful import lr_psnr
from limpid.train.data import open_clips
from limpid.train.data.loader import Loaded
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.loop import Run, train
from limpid.train.objectives.distillation import FewSteps
from limpid.train.objectives.tiny import TinyDenoising
from limpid.train.objectives.tiny_system import TinyTeaching
from limpid.train.recipes.few_step import ADAM
from limpid.train.stage import ClipSpec, Recipe, Stage, Start

TEACHER_STEPS = 17
TEACHING = TinyTeaching()
REGRESSION = replace(TEACHING, denoising=TinyDenoising(sigma_min=2.9, sigma_max=3.0, near_pure_noise=0.0))
"""The same network and squared error, from the first noise level to the truth: one step without a teacher."""


def stage_of(name: str, objective: Any, steps: int) -> Stage:
    optimizer = replace(ADAM, rate=2e-4, warmup_steps=20, course="cosine", final_fraction=0.02)
    return Stage(
        name=name,
        objective=objective,
        trainable=("all",),
        clips=ClipSpec(frames=3, crop_px=96, degradation="light"),
        steps=steps,
        batch=4,
        optimizer=optimizer,
        average=0.98,
    )


def trained(name: str, objective: Any, options: argparse.Namespace) -> Path:
    """The folder of a network trained from the shipped one."""
    stage = stage_of(name, objective, options.train_steps)
    recipe = Recipe(name=name, summary="", stages=(stage,))
    clips = Loaded(clips=open_clips(options.data, stage.clips, seed=1), workers=0)
    return train(Run(recipe=recipe, out=options.run / name, open_source=lambda stage: clips, start=options.start))


def shown(weights: Path | None, steps: int, batch: ClipBatch) -> Tensor:
    start = Start(device=torch.device("cpu"), seed=0, weights=weights)
    system = TEACHING.system(start, stage_of("", TEACHING, 1))
    with torch.no_grad():
        return system.frames(system.sampled(batch, ClipRandom(7, batch.numbers), steps), batch)


def levels(frames: Tensor) -> np.ndarray:
    """``t 3 h w`` in [0, 1] -> RGB uint8 ``t h w 3``."""
    return (frames.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def measure(name: str, frames: Tensor, teacher: Tensor, batch: ClipBatch) -> None:
    detail, faithful = [], []
    for sr, lr in zip(frames, batch.lr, strict=True):
        small = levels(lr)
        detail.append(detail_stability(list(levels(sr)), input_flows(list(small))).coherent_rms)
        faithful.append(np.mean(lr_psnr(levels(sr), small)))
    distance = ((frames - teacher) * 255).square().mean().sqrt().item()
    print(
        f"{name:22s} coherent detail {np.nanmean(detail):5.2f}  LR-PSNR {np.mean(faithful):6.2f}  "
        f"distance to the teacher {distance:5.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--train-steps", type=int, default=400)
    parser.add_argument("--clips", type=int, default=8)
    options = parser.parse_args()
    spec = ClipSpec(frames=5, crop_px=160, degradation="light")
    held_out = Loaded(clips=open_clips(options.held_out, spec, seed=3), workers=0)
    batch = next(iter(held_out.batches([list(range(options.clips))])))
    teacher = shown(options.start, TEACHER_STEPS, batch)
    measure(f"teacher, {TEACHER_STEPS} steps", teacher, teacher, batch)
    for steps in (1, 2, 4):
        measure(f"untrained, {steps} steps", shown(options.start, steps, batch), teacher, batch)
    regression = trained("regression", REGRESSION, options)
    measure("regression, 1 step", shown(regression, 1, batch), teacher, batch)
    for steps in (1, 2, 4):
        objective = FewSteps(teaching=TEACHING, steps=steps, teacher_steps=TEACHER_STEPS)
        student = trained(f"student-{steps}", objective, options)
        measure(f"student, {steps} steps", shown(student, steps, batch), teacher, batch)


if __name__ == "__main__":
    main()
