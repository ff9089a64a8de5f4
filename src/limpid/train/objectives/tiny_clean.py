"""What the cleaner before `tiny` is trained for: the LR frame without what a codec did to it, at its own size.

The target is a sharp network's picture of the same damaged frame, shrunk to LR size, with the truth's low frequencies.
So it has no blocks and no jags, and clear outlines; and as that network sees single frames, a cleaner of single frames
can learn to do the same.

The cleaner is told where the codec's blocks lie, see `limpid.train.objectives.codec_places`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.methods.tiny_ends import CLEAN_FILE
from limpid.priors.cleaned import CODEC_BLOCK_PX, Cleaner, CleanerConfig, load_cleaner, save_cleaner
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.pixels import PER_UNIT, error_terms
from limpid.train.objectives.codec_places import refuse_unaligned, told_places
from limpid.train.objectives.vivid_target import held_to_truth, refuse_untaught, taught_mixture
from limpid.train.stage import Stage, Start
from limpid.train.starts.new import seeded, silenced

NEW_CLEANER = CleanerConfig(grid_px=CODEC_BLOCK_PX)


@dataclass(frozen=True, kw_only=True)
class TinyCleaning:
    """Target ``shrink(m + low(truth - m))``, with m the mixture of teacher and truth."""

    config: CleanerConfig = NEW_CLEANER
    """Shape of a new network; one that is trained further keeps its own, but may learn of the blocks."""
    teacher_share: float = 0.9
    """Share of the teacher in m; the rest is the truth."""
    truth_sigma_px: float = 16.0
    """What a Gaussian blur of this width, in output pixels, keeps is the truth's."""
    smooth: float = 0.01
    """Errors well below 0.1 sixteenths count squared, larger ones by their size: steps of blocks are as small."""
    gradient_weight: float = 1.0
    """Weight of the error of differences between neighbouring pixels."""
    difference_weight: float = 0.5
    """Weight of the error of differences between neighbouring frames."""
    border: int = 2
    """LR pixels along the edges of a crop that do not count."""

    def learner(self, start: Start, stage: Stage) -> TinyCleaningLearner:
        refuse_untaught(stage)
        cleaner = start_cleaner(self.config, start, stage)
        return TinyCleaningLearner(self, cleaner.to(start.device).to(memory_format=torch.channels_last))  # type: ignore[call-overload]


class TinyCleaningLearner:
    """`Cleaner` with its loss (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: TinyCleaning, cleaner: Cleaner) -> None:
        self.objective, self.cleaner = objective, cleaner

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.cleaner}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return {"spatial": [name for name, _ in self.cleaner.named_parameters()]}

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        o, inner = self.objective, slice(self.objective.border, -self.objective.border)
        error = (cleaned(self.cleaner, batch, random) - clean_target(o, batch))[..., inner, inner] * PER_UNIT
        return error_terms(
            error, smooth=o.smooth, gradient_weight=o.gradient_weight, difference_weight=o.difference_weight
        )

    def save(self, folder: Path) -> None:
        save_cleaner(self.cleaner, folder / CLEAN_FILE)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """The cleaned frames, enlarged bicubically."""
        size, frames = batch.hr.shape[-2:], cleaned(self.cleaner, batch).flatten(0, 1)
        pictures = F.interpolate(frames, size=size, mode="bicubic").clamp(0, 1)
        return pictures.reshape(batch.hr.shape)


def cleaned(cleaner: Cleaner, batch: ClipBatch, random: ClipRandom | None = None) -> Tensor:
    """The LR frames after the whole of what the cleaner would change, ``b t 3 h w``, not clipped.

    ``random`` decides what it is told of the blocks; None: always the truth.
    """
    frames = batch.lr.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    places = cleaner.places(*frames.shape[-2:])
    if places is not None and random is not None:
        places = told_places(places, batch.lr.shape[1], random)
    changed: Tensor = frames + cleaner(frames, places)
    return changed.reshape(batch.lr.shape)


def clean_target(objective: TinyCleaning, batch: ClipBatch) -> Tensor:
    """``b t 3 h w``, of the LR frames' size, not clipped. Raises SettingsError for clips without a teacher."""
    mixed = taught_mixture(batch, objective.teacher_share)
    held = held_to_truth(mixed, batch.hr.flatten(0, 1), objective.truth_sigma_px)
    return F.avg_pool2d(held, batch.hr.shape[-1] // batch.lr.shape[-1]).reshape(batch.lr.shape)


def start_cleaner(config: CleanerConfig, start: Start, stage: Stage) -> Cleaner:
    """That of the stage before, or of a weight file, or a new one that changes nothing yet.

    Raises SettingsError where it is told of the codec's blocks, and the stage's clips begin anywhere.
    """
    given = start.previous or start.weights
    if given is not None:
        cleaner = told(load_cleaner(given / CLEAN_FILE if given.is_dir() else given), config.grid_px)
    else:
        cleaner = _new_cleaner(config, start.seed)
    refuse_unaligned(stage, cleaner.config.grid_px)
    return cleaner


def told(cleaner: Cleaner, grid_px: int) -> Cleaner:
    """A cleaner that is told of blocks of this side: the same network, whatever it was told of already."""
    if not grid_px or cleaner.config.grid_px:
        return cleaner
    wider = Cleaner(replace(cleaner.config, grid_px=grid_px))
    wider.load_state_dict(cleaner.state_dict(), strict=False)  # nothing is known of the places yet
    return wider


def _new_cleaner(config: CleanerConfig, seed: int) -> Cleaner:
    cleaner = seeded(partial(Cleaner, config), seed)
    silenced(cleaner.leave)
    return cleaner
