"""The network of `tiny` in ncnn: the same arithmetic, frame by frame, with what is shifted in time handed on between.

Blocks that mix time read a few channels of the frames before and after. So the network is cut in front of each of
them: all frames go through the first part, then through the next, and what lies between stays in ncnn's own layout.
Each thread has a frame of its own: threads of ncnn that share one wait for each other at every layer, which on a
machine with other work to do takes longer than the layer. A frame goes through the same convolutions whatever frames
are computed with it, so it has the same bits for any segment, chunk or number of threads. Winograd's convolutions add
in an order that depends on where a tile begins: cuts in space differ by rounding.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limpid.priors.tiny import TinyBlock, TinyNetwork, TinyPrior, noise_features
from limpid.priors.tiny_direct import TinyDirect, TinyResiduals, direct_in_torch, folded
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.writing import NcnnGraph
from limpid.types import Placement

KEPT_LEVELS = 8
"""Noise levels whose networks are kept: one each, because the level is part of its weights."""


def placed_tiny(network: TinyNetwork, placement: Placement) -> TinyPrior:
    """The prior of `tiny`, its network in the runtime of the placement; the rest is PyTorch's in any case."""
    if placement.runtime == "torch":
        return TinyPrior(network, device=placement.device, dtype=placement.dtype, direct=direct_in_torch)
    half = placement.dtype == torch.float16
    compute = partial(TinyInNcnn, threads=placement.threads, vulkan=placement.vulkan, half=half)

    def direct(network: TinyNetwork, sigma: float) -> TinyDirect:
        residuals = TinyResiduals(compute(folded(network).float()), sigma, network.config.latent_channels)
        return TinyDirect(network.config, placement.device, residuals)

    return TinyPrior(network, device=placement.device, dtype=torch.float32, compute=compute(network), direct=direct)


class TinyInNcnn:
    """Computes what `limpid.priors.tiny.TinyNetwork.forward` does."""

    def __init__(self, network: TinyNetwork, *, threads: int, vulkan: int | None = None, half: bool = False) -> None:
        where = {"vulkan": vulkan, "half": half}
        self._at_level = lru_cache(KEPT_LEVELS)(
            lambda sigma, threads: NcnnNetwork.of_graph(tiny_graph(network, sigma), threads=threads, **where)
        )
        # A Vulkan device takes one picture after the other.
        self._threads = threads if vulkan is None else 1
        self._pool = ThreadPoolExecutor(self._threads)
        self._mixing = [n for n, block in enumerate(_blocks(network)) if block.shift]

    def __call__(self, lr: Tensor, z: Tensor, sigma: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Mean and spread of one clip; ``sigma`` is one level."""
        network = self._at_level(float(sigma), self._threads if frames == 1 else 1)
        arrays = {"lr": _array(lr), "z": _array(z)}
        given = [{name: network.mat(each[t], shared=True) for name, each in arrays.items()} for t in range(frames)]
        for block in self._mixing:
            names = [name.format(block) for name in ("x{}", "first{}", "second{}")]
            parts = list(self._pool.map(partial(network.run, outputs=names, packed=True), given))
            given = [_shifted(block, parts, t) for t in range(frames)]
        out = list(self._pool.map(partial(network.run, outputs=("mean", "spread")), given))
        mean, spread = (torch.from_numpy(np.stack([np.asarray(each[i]) for each in out])) for i in (0, 1))
        return mean, spread


def _shifted(block: int, parts: list[list[Any]], t: int) -> dict[str, Any]:
    """What a block that mixes time reads for frame t: at both ends of the clip a frame is its own neighbour."""
    before, after = parts[max(t - 1, 0)], parts[min(t + 1, len(parts) - 1)]
    return {f"in{block}": parts[t][0], f"before{block}": before[1], f"after{block}": after[2]}


@torch.no_grad()
def tiny_graph(network: TinyNetwork, sigma: float) -> NcnnGraph:
    """The network at one noise level: what it is told of the level becomes part of its weights."""
    graph = NcnnGraph()
    level = torch.tensor([sigma])
    noise, spread = network.noise(noise_features(level)), network.spread_scale
    scaled = network.conv_z.weight * (spread / (level**2 + spread**2))[None, :, None, None]
    for name in ("lr", "z"):
        graph.input(name)
    _convolution(graph, "lr", "from_lr", network.conv_lr)
    _convolution(graph, "z", "from_z", network.conv_z, weight=scaled)
    graph.sum("from_lr", "from_z", "x0")
    for n, block in enumerate(_blocks(network)):
        _add_block(graph, n, block, noise)
    for name, layer in (("mean", network.conv_out), ("spread", network.conv_spread)):
        _convolution(graph, f"x{len(network.blocks)}", name, layer)
    return graph


def _add_block(graph: NcnnGraph, n: int, block: TinyBlock, noise: Tensor) -> None:
    x = mixed = f"x{n}"
    if block.shift:
        x, mixed = _add_mixing(graph, n, block.shift)
    bias = block.conv1.bias + block.noise_bias(noise)[0]
    _convolution(graph, mixed, f"h{n}", block.conv1, bias=bias, relu=True)
    _convolution(graph, f"h{n}", f"r{n}", block.conv2)
    graph.sum(x, f"r{n}", f"x{n + 1}")


def _add_mixing(graph: NcnnGraph, n: int, shift: int) -> tuple[str, str]:
    """The end of one part, with the channels that others read, and the beginning of the next."""
    graph.slice(f"x{n}", [(f"first{n}", shift), (f"second{n}", shift), (f"others{n}", 0)])
    for name in ("in", "before", "after"):
        graph.input(f"{name}{n}")
    graph.slice(f"in{n}", [(f"own_first{n}", shift), (f"own_second{n}", shift), (f"rest{n}", 0)])
    graph.concat([f"before{n}", f"after{n}", f"rest{n}"], f"mixed{n}")
    return f"in{n}", f"mixed{n}"


def _blocks(network: TinyNetwork) -> list[TinyBlock]:
    return list(network.blocks)  # type: ignore[arg-type]


def _convolution(graph: NcnnGraph, reads: str, makes: str, layer: nn.Conv2d, **more: Any) -> None:
    """A layer of PyTorch's; ``more`` replaces its ``weight`` or ``bias``, or is for `NcnnGraph.convolution`."""
    given = {"weight": layer.weight, "bias": layer.bias, **more}
    plain: dict[str, Any] = {n: _array(v) if isinstance(v, Tensor) else v for n, v in given.items()}
    graph.convolution(reads, makes, **plain)


def _array(value: Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.detach().float().cpu().numpy())
