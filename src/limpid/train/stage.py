"""What is trained, as plain values: a recipe is a list of stages.

Nothing here imports torch, so that recipes can be listed and printed quickly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from limpid.train.learner import Learner


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSpec:
    """One training clip. Sizes are those of the HR side; the LR side is ``scale`` times smaller."""

    frames: int
    crop_px: int
    """Height and width, a multiple of ``scale``."""
    scale: int = 4
    strides: tuple[int, int] = (1, 1)
    """Temporal stride, drawn evenly from this range, both ends included."""
    flips: bool = True
    """Mirrored, turned by quarters and played backwards, at random."""
    degradation: str = "complex"
    """``none`` (LR by antialiased bicubic), ``simple`` (Gaussian blur, then bicubic, as DiffVSR begins), ``complex``
    (all of RealBasicVSR's pipeline), or the name of a pipeline of `limpid.degrade.PIPELINES`."""
    captions: bool = False
    """Whether captions are used where the data has them; without, prompts are empty."""
    lr_align_px: int = 1
    """Parts of prepared pairs begin at multiples of this on the LR side, which flips keep: for networks that are told
    where a codec's blocks lie. Clips that are degraded as they are cut begin at a block anyway."""
    teacher: bool = False
    """Whether clips come with what a teacher made of their LR side: only prepared pairs can have that."""

    def __post_init__(self) -> None:
        if self.frames < 1 or self.crop_px < self.scale or self.crop_px % self.scale:
            raise ValueError(f"a clip of {self.frames} frames of {self.crop_px} px cannot be shrunk {self.scale} times")
        if self.lr_align_px < 1 or self.crop_px // self.scale % self.lr_align_px:
            raise ValueError(f"a clip of {self.crop_px // self.scale} LR pixels is no multiple of {self.lr_align_px}")
        if not 1 <= self.strides[0] <= self.strides[1]:
            raise ValueError(f"temporal strides {self.strides} must be a range of numbers from 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """Adam or AdamW, with the course of its rate over the steps of the stage."""

    rate: float
    kind: Literal["adam", "adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    course: Literal["constant", "cosine"] = "constant"
    final_fraction: float = 0.0
    """Where a cosine ends, as a fraction of ``rate``."""
    clip_norm: float | None = 1.0
    """Gradients are scaled down to this norm; None: never."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One part of a recipe. A step of the optimizer sees ``batch`` clips, over all processes and accumulations."""

    name: str
    objective: Objective
    trainable: tuple[str, ...]
    """Kinds of layers that learn (`Learner.kinds`), or ``("all",)``; all others are frozen."""
    clips: ClipSpec
    steps: int
    batch: int
    optimizer: Optimizer
    micro_batch: int | None = None
    """Clips per forward pass and process; None: what is left of ``batch`` for a process. Less gives accumulation."""
    critic: Optimizer | None = None
    """For the further players of an adversarial objective; None: as ``optimizer``."""
    average: float | None = 0.9999
    """Decay of the exponential moving average of the weights; None: none is kept."""
    checkpoint_gradients: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    data: Path | None = None
    """Where this stage has data of its own (for example high quality only); None: the run's."""
    source: str = ""
    """Where the numbers come from: paper, section."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or (self.micro_batch or 1) < 1:
            raise ValueError(f"stage {self.name}: steps, batch and micro batch count from 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Stages in order; each starts from what the one before has saved."""

    name: str
    summary: str
    stages: tuple[Stage, ...]
    small: Callable[[], Recipe] | None = None
    """This recipe for tests and trying: tiny networks, few steps."""
    needs: tuple[str, ...] = ()
    """What it starts from besides the data, in words: weights, latents of another recipe."""
    make_start: Callable[[Path], Path] | None = None
    """For a small recipe: makes random weights to start from in an empty folder, when the user gives none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What an objective begins with, besides its own values."""

    device: torch.device
    seed: int
    weights: Path | None = None
    """Folder or file given by the user (``--start``)."""
    previous: Path | None = None
    """Folder that the stage before has saved; it goes before ``weights``."""
    assets: Path | None = None
    """Folder of local files that losses may need (weights of LPIPS); None: the cache folder of weights."""
    notes: list[str] = field(default_factory=list)
    """Filled by the objective with sentences the user must see: a loss that was replaced, weights that are random."""


class Objective(Protocol):
    """What a stage teaches: a frozen dataclass of hyper-parameters."""

    def learner(self, start: Start, stage: Stage) -> Learner:
        """Builds or reads the networks. Raises WeightsError or SettingsError when something is missing."""
        ...
