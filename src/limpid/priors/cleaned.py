"""Frames cleaned at their own size before a prior sees them: blocks, jags and noise of strong compression.

The network behind has a quarter of the picture's positions to work at and most of its output to make; what a codec did
is done at single LR pixels. So a small residual network of single frames goes first, and its share is a knob: 0 leaves
the frames as they are, 1 adds the whole of what it would change.

Codecs code blocks of 8x8 pixels, or halves and multiples of them, and their borders show. A convolution cannot tell a
border from an edge of the scene, because it does not know where it is. So the network is told the place of each pixel
in its block: what it has learned of each of the 64 places is added to its first layer. Frames are taken to be as they
came out of the codec, with a block in the top left corner; in training some are not (`limpid.train.objectives`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.bounded import check_fields, cut, json_object, parse_json
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.method import Direct, DirectFrame
from limpid.priors.tiny import TinyCondition, TinyPrior, fill, save_weights
from limpid.types import Prediction, Scene, Step, WeightsError

CODEC_BLOCK_PX = 8
"""Side of the blocks of MPEG-2, MPEG-4, H.264 and JPEG; those of later codecs are multiples. Pieces of a picture begin
at multiples of it, too (`limpid.plan.segments.ALIGN_PX`), so the place in a piece is that in the picture."""
_MOST_BLOCKS, _MOST_CHANNELS = 64, 1024
_LAYOUT = torch.channels_last
_KEPT_SIZES = 1
"""Sizes of pictures whose places are kept: the frames of a piece are alike, and kept ones take memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanerConfig:
    """Shape of the network; stored in the header of the weight file."""

    channels: int = 48
    blocks: int = 5
    grid_px: int = 0
    """Side of the codec's blocks in which the network is told the place: `CODEC_BLOCK_PX`, or 0 for one that is not."""

    @property
    def radius_px(self) -> int:
        """LR pixels a side that one pixel depends on: the blocks' second convolutions see every other pixel."""
        return 2 + 3 * self.blocks

    @property
    def work_bytes_per_px(self) -> int:
        """What one frame takes per LR pixel at most: three of its layers, float32, and what is known of the places."""
        return (4 if self.grid_px else 3) * 4 * self.channels


class Cleaner(nn.Module):
    """What is to be added to LR frames ``t 3 h w`` in [0, 1]: residual blocks of a 3x3 and a dilated convolution."""

    def __init__(self, config: CleanerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.first = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(config.blocks))
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3, padding=2, dilation=2) for _ in range(config.blocks))
        self.leave = nn.Conv2d(width, 3, 3, padding=1)
        side = config.grid_px
        self.place: nn.Parameter | None = nn.Parameter(torch.zeros(width, side, side)) if side else None

    def places(self, height: int, width: int) -> Tensor | None:
        """What is added to the first layer of a picture with a block in its top left corner, ``1 c h w``."""
        return None if self.place is None else tiled_places(self.place, height, width)

    def forward(self, lr: Tensor, places: Tensor | None = None) -> Tensor:
        """``places``: of each picture or of all, as `places` gives them; None where nothing is known of the blocks."""
        x = self.enter(lr - 0.5)
        x = F.relu(x if places is None else x.add_(places), inplace=True)
        for first, second in zip(self.first, self.second, strict=True):
            x = second(F.relu(first(x), inplace=True)).add_(x)
        out: Tensor = self.leave(x)
        return out


def tiled_places(place: Tensor, height: int, width: int) -> Tensor:
    """What is known of each place of a block, ``c side side``, over a whole picture: ``1 c h w`` in channels_last."""
    side = place.shape[-1]
    whole = place.repeat(1, -(-height // side), -(-width // side))[None, :, :height, :width]
    return whole.contiguous(memory_format=_LAYOUT)


Changes = Callable[[Iterator[Tensor]], Iterator[Tensor]]
"""Frames ``3 h w`` in [0, 1] -> what a cleaner would add to each; a frame has the same bits whatever comes with it."""


def changes_in_torch(cleaner: Cleaner) -> Changes:
    """One by one: how many come at once must not change the bits, nor the memory."""
    placed = cleaner.to(memory_format=_LAYOUT).eval().requires_grad_(False)  # type: ignore[call-overload]
    like, places = placed.enter.weight, lru_cache(_KEPT_SIZES)(placed.places)

    def change(frame: Tensor) -> Tensor:
        out: Tensor = placed(frame[None].to(like).contiguous(memory_format=_LAYOUT), places(*frame.shape[-2:]))[0]
        return out

    return lambda frames: map(change, frames)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaning:
    """A cleaner at work: frames are moved by ``share``, 0 to 1, of what it would change."""

    changes: Changes
    share: float

    @torch.no_grad()
    def __call__(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """LR frames ``3 h w``, float32 in [0, 1] -> as many, cleaned, in [0, 1]."""
        waiting: deque[Tensor] = deque()
        for change in self.changes(_noted(frames, waiting)):
            frame = waiting.popleft().to(change.device)
            yield frame.add(change.to(frame.dtype), alpha=self.share).clamp_(0, 1)


def _noted(frames: Iterable[Tensor], waiting: deque[Tensor]) -> Iterator[Tensor]:
    for frame in frames:
        waiting.append(frame)
        yield frame


class CleanedPrior:
    """The prior of `tiny` behind a cleaner (a `limpid.method.Prior`, with its way past latents)."""

    def __init__(self, prior: TinyPrior, cleaning: Cleaning) -> None:
        self.prior, self.cleaning = prior, cleaning
        self.config, self.warnings = prior.config, prior.warnings
        self.scale, self.latent_channels = prior.scale, prior.latent_channels

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return self.prior.latent_size(height, width)

    def condition(self, lr: Tensor, scene: Scene | None = None) -> TinyCondition:
        """That of the cleaned frames."""
        return self.prior.condition(torch.stack(list(self.cleaning(lr))), scene)

    def encode(self, condition: TinyCondition) -> Tensor:
        return self.prior.encode(condition)

    def denoise(self, z: Tensor, step: Step, condition: TinyCondition) -> Prediction:
        return self.prior.denoise(z, step, condition)

    def decode(self, z: Tensor, condition: TinyCondition) -> Tensor:
        return self.prior.decode(z, condition)

    def direct(self, step: Step) -> Direct:
        return _CleanedDirect(self.cleaning, self.prior.direct(step))


@dataclass(frozen=True, slots=True)
class _CleanedDirect:
    cleaning: Cleaning
    direct: Direct

    def __call__(self, frames: Iterable[Tensor]) -> Iterator[DirectFrame]:
        return self.direct(self.cleaning(frames))


def save_cleaner(cleaner: Cleaner, path: Path) -> None:
    """Write weights (float32) with the configuration in the header."""
    save_weights(cleaner, path, "cleaner", asdict(cleaner.config))


def read_cleaner_config(path: Path) -> CleanerConfig:
    """The configuration in the header of a weight file; reads no tensor. Raises WeightsError."""
    try:
        header: dict[str, Any] = json_object(parse_json((SafetensorsFile(path).file.metadata() or {})["cleaner"]))
        config = CleanerConfig(**header)
        check_fields(config, most=_MOST_CHANNELS)
        if config.blocks > _MOST_BLOCKS or config.channels < 1 or config.grid_px not in (0, CODEC_BLOCK_PX):
            raise ValueError("a network of this size is not known")
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} has no weights of a cleaner that can be used: {cut(str(error), 200)}") from error
    return config


def load_cleaner(path: Path) -> Cleaner:
    """Read a network written by `save_cleaner`. Raises WeightsError."""
    cleaner = Cleaner(read_cleaner_config(path))
    fill(cleaner, path)
    return cleaner
