"""Parts of RAFT: encoders, correlation of all pairs, motion encoder, recurrent update, upsampling.

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (ECCV 2020): RAFT section 3 and appendix.
Everything is at 1/8 of the resolution unless said otherwise; coordinates are pixels there, x first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "batch", "none"]
CORRELATION_LEVELS = 4
"""Number of resolutions of the correlation: each has half the pixels per side of the one before."""


def _norm(kind: Norm, channels: int) -> nn.Module:
    kinds: dict[Norm, Callable[[int], nn.Module]] = {
        "instance": nn.InstanceNorm2d,
        "batch": nn.BatchNorm2d,
        "none": lambda _: nn.Identity(),
    }
    return kinds[kind](channels)


def _conv(inputs: int, outputs: int, size: int | tuple[int, int], stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, but for its stride."""
    height, width = (size, size) if isinstance(size, int) else size
    return nn.Conv2d(inputs, outputs, (height, width), stride, (height // 2, width // 2))


# ---------------------------------------------------------------------------------------------- encoders


class Residual(nn.Module):
    """A residual block: two 3x3 convolutions and a shortcut.

    With ``narrow`` they are 1x1, 3x3 and 1x1, at a quarter of the channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, narrow: bool) -> None:
        super().__init__()
        inner = outputs // 4 if narrow else outputs
        self.conv1 = _conv(inputs, inner, 1) if narrow else _conv(inputs, inner, 3, stride)
        self.norm1 = _norm(norm, inner)
        self.conv2 = _conv(inner, inner, 3, stride if narrow else 1)
        self.norm2 = _norm(norm, inner)
        self.conv3 = _conv(inner, outputs, 1) if narrow else None
        self.norm3 = _norm(norm, outputs) if narrow else None
        self.shortcut = _conv(inputs, outputs, 1, stride) if stride > 1 else None
        self.shortcut_norm = _norm(norm, outputs) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        if self.conv3 is not None and self.norm3 is not None:
            y = F.relu(self.norm3(self.conv3(y)))
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x))
        return F.relu(x + y)


class RAFTEncoder(nn.Module):
    """Encoder of features or of context (RAFT section 3.1): frames ``b 3 H W`` in [-1, 1] -> ``b c H/8 W/8``."""

    def __init__(self, widths: tuple[int, int, int, int], outputs: int, norm: Norm, *, narrow: bool) -> None:
        super().__init__()
        stem, one, two, three = widths
        self.stem = _conv(3, stem, 7, 2)
        self.stem_norm = _norm(norm, stem)
        self.stage1 = nn.Sequential(Residual(stem, one, 1, norm, narrow), Residual(one, one, 1, norm, narrow))
        self.stage2 = nn.Sequential(Residual(one, two, 2, norm, narrow), Residual(two, two, 1, norm, narrow))
        self.stage3 = nn.Sequential(Residual(two, three, 2, norm, narrow), Residual(three, three, 1, norm, narrow))
        self.head = _conv(three, outputs, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(frames)))
        return torch.as_tensor(self.head(self.stage3(self.stage2(self.stage1(x)))))


# ---------------------------------------------------------------------------------------------- correlation


class Correlation:
    """Correlation of all pairs, looked up around a place at four resolutions (RAFT section 3.2).

    It consists of dot products of each feature of the first frame with those of the second.
    Pooling the dot products (as the paper has it) equals dot products with pooled features, so only the latter are
    kept when all products would need more than ``most_bytes``; they are then made again, in parts, at each look-up.
    """

    def __init__(self, first: Tensor, second: Tensor, radius: int, most_bytes: int) -> None:
        b, c, self.height, self.width = first.shape
        self.queries = first.flatten(2).transpose(1, 2) / c**0.5
        self.pyramid = [second]
        for _ in range(CORRELATION_LEVELS - 1):
            self.pyramid.append(F.avg_pool2d(self.pyramid[-1], 2))
        span = torch.arange(-radius, radius + 1, device=first.device, dtype=first.dtype)
        # As the weights were trained: the first axis of the window goes along x.
        self.window = torch.stack(torch.meshgrid(span, span, indexing="ij"), -1)
        per_query = b * correlation_bytes(1, sum(level.shape[-2] * level.shape[-1] for level in self.pyramid))
        self.part = max(1, most_bytes // per_query)
        self.kept = self._products(self.queries) if self.part >= self.height * self.width else None

    def __call__(self, coordinates: Tensor) -> Tensor:
        """The products around places ``b 2 h w`` in the second frame: ``b (4 * (2 radius + 1)^2) h w``."""
        places = coordinates.flatten(2).transpose(1, 2)
        if self.kept is not None:
            found = self._sample(self.kept, places)
        else:
            parts = zip(torch.split(self.queries, self.part, 1), torch.split(places, self.part, 1), strict=True)
            found = torch.cat([self._sample(self._products(q), p) for q, p in parts], 1)
        return found.transpose(1, 2).reshape(found.shape[0], -1, self.height, self.width)

    def _products(self, queries: Tensor) -> list[Tensor]:
        """Dot products of queries ``b q c`` with all features of the second frame, per level ``(b q) 1 h w``."""
        return [torch.matmul(queries, level.flatten(2)).reshape(-1, 1, *level.shape[-2:]) for level in self.pyramid]

    def _sample(self, products: list[Tensor], places: Tensor) -> Tensor:
        """Dot products around ``places`` (``b q 2``), between pixels bilinearly: ``b q (levels * window)``."""
        b, q, _ = places.shape
        found = []
        for level, product in enumerate(products):
            height, width = product.shape[-2:]
            at = places.reshape(b * q, 1, 1, 2) / 2**level + self.window
            grid = at * at.new_tensor([2 / (width - 1), 2 / (height - 1)]) - 1
            found.append(F.grid_sample(product, grid, align_corners=True).reshape(b, q, -1))
        return torch.cat(found, -1)


def correlation_bytes(queries: int, targets: int) -> int:
    """Bytes of the dot products of so many queries and targets, float32."""
    return 4 * queries * targets


# ---------------------------------------------------------------------------------------------- update


class MotionEncoder(nn.Module):
    """Encoder of motion: correlation and flow -> features, the last two of them the flow itself."""

    def __init__(self, looked_up: int, correlation: tuple[int, ...], flow: tuple[int, int], outputs: int) -> None:
        super().__init__()
        self.correlation1 = _conv(looked_up, correlation[0], 1)
        self.correlation2 = _conv(correlation[0], correlation[1], 3) if len(correlation) > 1 else None
        self.flow1 = _conv(2, flow[0], 7)
        self.flow2 = _conv(flow[0], flow[1], 3)
        self.joint = _conv(correlation[-1] + flow[1], outputs - 2, 3)

    def forward(self, correlation: Tensor, flow: Tensor) -> Tensor:
        c = F.relu(self.correlation1(correlation))
        if self.correlation2 is not None:
            c = F.relu(self.correlation2(c))
        f = F.relu(self.flow2(F.relu(self.flow1(flow))))
        return torch.cat([F.relu(self.joint(torch.cat([c, f], 1))), flow], 1)


class ConvGRU(nn.Module):
    """Gated recurrent unit with convolutions, the update of the hidden state ``h`` (RAFT section 3.3)."""

    def __init__(self, hidden: int, inputs: int, size: int | tuple[int, int]) -> None:
        super().__init__()
        self.update = _conv(hidden + inputs, hidden, size)
        self.reset = _conv(hidden + inputs, hidden, size)
        self.candidate = _conv(hidden + inputs, hidden, size)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        # z, r and the candidate q (h with a tilde in the paper)
        both = torch.cat([h, x], 1)
        z, r = torch.sigmoid(self.update(both)), torch.sigmoid(self.reset(both))
        q = torch.tanh(self.candidate(torch.cat([r * h, x], 1)))
        return (1 - z) * h + z * q


class Head(nn.Module):
    """A head of two convolutions: for the step of the flow, or for the weights of the upsampling."""

    def __init__(self, inputs: int, inner: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, inner, 3)
        self.conv2 = _conv(inner, outputs, size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.conv2(F.relu(self.conv1(x))))


def upsample_convex(flow: Tensor, weights: Tensor) -> Tensor:
    """Convex upsampling of flow ``b 2 h w`` -> ``b 2 8h 8w``: means of 3x3 neighbours by the softmax of ``weights``.

    ``weights``: ``b (9*8*8) h w``.
    """
    b, _, h, w = flow.shape
    shares = weights.view(b, 1, 9, 8, 8, h, w).softmax(2)
    neighbours = F.unfold(8 * flow, 3, padding=1).view(b, 2, 9, 1, 1, h, w)
    fine = (shares * neighbours).sum(2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(b, 2, 8 * h, 8 * w)


def upsample_bilinear(flow: Tensor) -> Tensor:
    """Bilinear upsampling of flow ``b 2 h w`` -> ``b 2 8h 8w``, for the small network."""
    return 8 * F.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=True)
