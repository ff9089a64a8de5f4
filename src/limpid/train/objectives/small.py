"""What both ends of `small` are trained for: what bicubic upscaling misses of the truth, or of a sharp picture.

The faithful end has the least error, the vivid one the target of `limpid.train.objectives.vivid_target`. What the
network is told of the codec's blocks says `limpid.train.objectives.codec_places`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.flow.aligned import with_neighbours
from limpid.methods.small import SMALL_FILE
from limpid.priors.small import SmallConfig, SmallNetwork, save_small
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.blocks import grid_excess
from limpid.train.losses.pixels import PER_UNIT, error_terms
from limpid.train.objectives.codec_places import refuse_unaligned, told_places
from limpid.train.objectives.tiny import inner
from limpid.train.objectives.vivid_target import VividTarget, lightly_damaged, refuse_untaught, vivid_target
from limpid.train.stage import Stage, Start
from limpid.train.starts.small import start_small
from limpid.types import SettingsError


@dataclass(frozen=True, kw_only=True)
class SmallRestoring:
    """The objective of either end; as it stands here, of the faithful one."""

    config: SmallConfig = field(default_factory=SmallConfig)
    """Shape of a new network; one that is trained further keeps its own (`limpid.train.starts.small`)."""
    target: VividTarget | None = None
    """None: the truth."""
    smooth: float = 1.0
    """Errors well below its root, in sixteenths of the range, count squared, larger ones by their size."""
    gradient_weight: float = 0.0
    """Weight of the error of differences between neighbouring pixels."""
    difference_weight: float = 0.1
    """Weight of the error of differences between neighbouring frames."""
    grid_weight: float = 0.0
    """Weight of the square of what `grid_excess` is above the truth's, whatever the target is; of clips that are not
    known to be lightly damaged. Where it is below, nothing is wanted: a grid must not be learned."""
    border: int = 2
    """LR pixels along the edges of a crop that do not count, because the network lacks neighbours there."""

    def learner(self, start: Start, stage: Stage) -> SmallLearner:
        if self.target is not None:
            refuse_untaught(stage)
        network = start_small(self.config, start)
        if stage.clips.scale != network.config.scale:
            raise SettingsError(f"clips shrink {stage.clips.scale} times, small enlarges {network.config.scale} times")
        refuse_unaligned(stage, network.config.grid_px)
        placed = network.to(start.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return SmallLearner(self, placed, the_truth if self.target is None else partial(taught_target, self.target))


MakeTarget = Callable[[ClipBatch, ClipRandom], Tensor]
"""The picture that is aimed at, ``b t 3 H W``."""


def the_truth(batch: ClipBatch, random: ClipRandom) -> Tensor:
    return batch.hr


def taught_target(target: VividTarget, batch: ClipBatch, random: ClipRandom) -> Tensor:
    return vivid_target(target, batch)


class SmallLearner:
    """`SmallNetwork` with its loss (see `limpid.train.learner.Learner`)."""

    def __init__(self, objective: SmallRestoring, network: SmallNetwork, make_target: MakeTarget) -> None:
        self.objective, self.network, self.make_target = objective, network, make_target

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        """The layer that reads neighbours reads the frame with the same weights, so there is one kind."""
        return {"spatial": [name for name, _ in self.network.named_parameters()]}

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        o, config = self.objective, self.network.config
        made = restored(self.network, batch, random)
        terms = dict(
            error_terms(
                inner(made - self.make_target(batch, random), o.border * config.scale) * PER_UNIT,
                smooth=o.smooth,
                gradient_weight=o.gradient_weight,
                difference_weight=o.difference_weight,
            )
        )
        if o.grid_weight:
            shown, true = (grid_excess(clip, config.scale, config.grid_px) for clip in (made, batch.hr))
            worn = ~lightly_damaged(batch)[:: made.shape[1]].flatten()
            terms["grid"] = o.grid_weight * (worn * F.relu(shown - true).square()).mean()
        return terms

    def save(self, folder: Path) -> None:
        save_small(self.network, folder / SMALL_FILE)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return restored(self.network, batch).clamp(0, 1)


def restored(network: SmallNetwork, batch: ClipBatch, random: ClipRandom | None = None) -> Tensor:
    """The finished frames, ``b t 3 H W`` float32, not clipped.

    ``random`` decides what the network is told of the blocks; None: always the truth.
    """
    frames = batch.lr.flatten(0, 1)
    places, length = network.places(*frames.shape[-2:]), batch.lr.shape[1]
    if random is not None:
        places = told_places(places, length, random)
    told = torch.cat([with_neighbours(clip, network.config.neighbours) for clip in batch.lr])
    residual = network(told.contiguous(memory_format=torch.channels_last), places).float()
    pictures = F.interpolate(frames, scale_factor=network.config.scale, mode="bicubic")
    return (pictures + F.pixel_shuffle(residual, network.config.scale)).reshape(batch.hr.shape)
