"""Critics that judge patches: of single frames, and of clips.

Convolutions are divided by their largest singular value (spectral normalisation, Miyato et al. 2018), computed in each
call instead of being carried along by power iteration: so there is no state beside the weights, a resumed run is equal
to the bit, and a clip is judged the same whatever it is batched with.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2


def spectral_norm(weight: Tensor) -> Tensor:
    """The largest singular value of ``d ...`` as a matrix of ``d`` rows: a number, with its gradient.

    From the largest eigenvector of the small matrix ``W W^T``; the vectors count as constants, which gives the exact
    gradient ``u v^T``.
    """
    # In full precision wherever it is called: autocast would multiply in bfloat16, which is no norm any more.
    with torch.autocast(weight.device.type, enabled=False):
        matrix = weight.flatten(1)
        with torch.no_grad():
            full = matrix.float()
            left = torch.linalg.eigh(full @ full.mT).eigenvectors[:, -1]
            right = F.normalize(full.mT @ left, dim=0)
        return torch.dot(left.to(matrix), matrix @ right.to(matrix))


class NormedConv2d(nn.Conv2d):
    """A convolution of spectral norm 1, besides its bias."""

    def forward(self, x: Tensor) -> Tensor:
        """``n c h w`` to ``n d h' w'``."""
        return cast(Tensor, self._conv_forward(x, self.weight / spectral_norm(self.weight), self.bias))


class NormedConv3d(nn.Conv3d):
    """A convolution over time and space of spectral norm 1, besides its bias."""

    def forward(self, x: Tensor) -> Tensor:
        """``n c t h w`` to ``n d t' h' w'``."""
        return cast(Tensor, self._conv_forward(x, self.weight / spectral_norm(self.weight), self.bias))


class PatchCritic(nn.Module):
    """PatchGAN of frames (Isola et al. 2017): 4x4 convolutions, three of them halving the size, 70 pixels seen.

    Their batch norms are replaced by spectral normalisation: statistics over a batch tie its clips together.
    """

    def __init__(self, width: int = 64, levels: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(levels + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1)]
        for i in range(1, levels + 1):
            layers.append(NormedConv2d(widths[i - 1], widths[i], 4, 2 if i < levels else 1, 1))
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, clips: Tensor) -> Tensor:
        """``b t 3 h w`` in [-1, 1] to ``b t h' w'``, one number per patch."""
        x = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
        return torch.unflatten(self.last(x)[:, 0], 0, clips.shape[:2])


class TemporalPatchCritic(nn.Module):
    """T-PatchGAN (Chang et al. 2019), which Upscale-A-Video and DiffVSR train their decoders with.

    Six 3-D convolutions of 3x5x5, each halving height and width and keeping the frames, spectral normalisation in all
    but the last. ``levels`` is less for small crops.
    """

    def __init__(self, width: int = 64, levels: int = 6) -> None:
        super().__init__()
        widths = [width * min(2**i, 4) for i in range(levels - 1)]
        self.layers = nn.ModuleList(
            [
                NormedConv3d(a, b, (3, 5, 5), (1, 2, 2), (1, 2, 2))
                for a, b in zip([3, *widths[:-1]], widths, strict=True)
            ]
        )
        self.last = nn.Conv3d(widths[-1], 1, (3, 5, 5), (1, 2, 2), (1, 2, 2))

    def forward(self, clips: Tensor) -> Tensor:
        """``b t 3 h w`` in [-1, 1] to ``b t h' w'``, one number per patch."""
        x = clips.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
        return cast(Tensor, self.last(x)[:, 0])
