"""DOVER's two branches with their heads, how its published file names them, and how the two scores become one.

Source: Wu et al., ICCV 2023, and facts about the released network. The weights are for non-commercial use only; Limpid
neither has nor fetches them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.checkpoints.renames import Rules, rename_all
from limpid.networks.dover.aesthetic import AestheticBackbone
from limpid.networks.dover.technical import TechnicalBackbone
from limpid.networks.filled import filled_network
from limpid.types import WeightsError

_CHANNELS, _HIDDEN = 768, 64
TECHNICAL_MEAN, TECHNICAL_SPREAD, TECHNICAL_WEIGHT = 0.1107, 0.07355, 0.6104
AESTHETIC_MEAN, AESTHETIC_SPREAD = -0.08285, 0.03774

DOVER_KEYS: Rules = (
    (r"^.*\.relative_position_index$", ""),  # computed
    (r"^(technical|aesthetic)_(backbone|head)\.", r"\1.\2."),
    (r"\.patch_embed\.proj\.", ".patches."),
    (r"\.patch_embed\.norm\.", ".patches_norm."),
    (r"^technical\.backbone\.layers\.", "technical.backbone.stages."),
    (r"\.downsample\.", ".merging."),
    (r"\.attn\.relative_position_bias_table$", ".attention.near"),
    (r"\.attn\.fragment_position_bias_table$", ".attention.within"),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.attn\.", ".attention."),
    (r"\.(mlp\.fc|pwconv)1\.", ".expand."),
    (r"\.(mlp\.fc|pwconv)2\.", ".reduce."),
    (r"\.downsample_layers\.0\.0\.", ".entrances.0.conv."),
    (r"\.downsample_layers\.0\.1\.", ".entrances.0.norm."),
    (r"\.downsample_layers\.(\d)\.0\.", r".entrances.\1.norm."),
    (r"\.downsample_layers\.(\d)\.1\.", r".entrances.\1.conv."),
    (r"\.dwconv\.", ".depthwise."),
    (r"\.gamma$", ".scale"),
    (r"\.fc_hid\.", ".hidden."),
    (r"\.fc_last\.", ".last."),
)
"""``DOVER.pth`` and ``DOVER_plus_plus.pth`` -> names in `DOVER`."""


class ScoreHead(nn.Module):
    """A score for every position of the features: ``b c t h w`` -> ``b 1 t h w``."""

    def __init__(self, channels: int = _CHANNELS, hidden: int = _HIDDEN) -> None:
        super().__init__()
        self.hidden = nn.Conv3d(channels, hidden, 1)
        self.last = nn.Conv3d(hidden, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.last(F.gelu(self.hidden(features)))
        return scores


class Branch(nn.Module):
    """A backbone and its head: a view ``b 3 t h w`` -> scores ``b 1 t' h' w'``, whose mean is the branch's."""

    def __init__(self, backbone: nn.Module, head: ScoreHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, view: Tensor) -> Tensor:
        scores: Tensor = self.head(self.backbone(view))
        return scores


class DOVER(nn.Module):
    """Both branches at their real size, with random weights until some are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.technical = Branch(TechnicalBackbone(), ScoreHead())
        self.aesthetic = Branch(AestheticBackbone(), ScoreHead())


def make_dover(found: Mapping[str, Tensor], what: str) -> DOVER:
    """The network with the tensors of the published file, float32, in evaluation mode, without gradients.

    ``what`` is what the file is called in errors. Raises WeightsError when it does not fit.
    """
    try:
        state = {name: tensor.float() for name, tensor in rename_all(found, DOVER_KEYS).items()}
    except ValueError as error:
        raise WeightsError(f"{what} does not fit: {error}") from error
    with torch.device("meta"):
        network = DOVER()
    return filled_network(network, state, what, "DOVER")


class DoverScores(NamedTuple):
    """DOVER's answers, each 0 to 1."""

    overall: float
    technical: float
    aesthetic: float


def fuse_scores(technical: float, aesthetic: float) -> DoverScores:
    """The raw means of both branches as three scores, as the authors' set-wise and single-video programs print them."""
    t = (technical - TECHNICAL_MEAN) / TECHNICAL_SPREAD
    a = (aesthetic - AESTHETIC_MEAN) / AESTHETIC_SPREAD
    overall = TECHNICAL_WEIGHT * t + (1 - TECHNICAL_WEIGHT) * a
    return DoverScores(*(1 / (1 + math.exp(-x)) for x in (overall, t, a)))
