"""The network of `tiny` in ncnn: the same arithmetic, frame by frame, with what is shifted in time handed on between.

Blocks that mix time read a few channels of the frames before and after. So the network is cut in front of each of
them: a frame goes through a part when its neighbours have been through the one before, and what lies between stays in
ncnn's own layout. Each thread has a frame of its own: threads of ncnn that share one wait for each other at every
layer, which on a machine with other work to do takes longer than the layer. A frame goes through the same convolutions
whatever frames are computed with it, so it has the same bits for any segment, chunk or number of threads. Winograd's
convolutions add in an order that depends on where a tile begins: cuts in space differ by rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from limpid.priors.patch_frames import PatchDirect
from limpid.priors.tiny import TinyBlock, TinyNetwork, TinyPrior, noise_features
from limpid.priors.tiny_direct import direct_in_torch, folded, tiny_patches
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.writing import NcnnGraph
from limpid.types import Placement

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
KEPT_LEVELS = 8
"""Noise levels whose networks are kept: one each, because the level is part of its weights."""


def placed_tiny(network: TinyNetwork, placement: Placement) -> TinyPrior:
    """The prior of `tiny`, its network in the runtime of the placement; the rest is PyTorch's in any case."""
    if placement.runtime == "torch":
        return TinyPrior(network, device=placement.device, dtype=placement.dtype, direct=direct_in_torch)
    where = Where.of(placement)
    return TinyPrior(
        network,
        device=placement.device,
        dtype=torch.float32,
        compute=TinyInNcnn(network, where),
        direct=lambda network, sigma: PatchDirect(
            network.config, placement.device, ResidualsInNcnn(network, sigma, where)
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """What a network in ncnn runs on."""

    threads: int = 1
    vulkan: int | None = None
    half: bool = False

    @classmethod
    def of(cls, placement: Placement) -> Where:
        half = placement.dtype == torch.float16
        return cls(threads=placement.threads, vulkan=placement.vulkan, half=half)

    @property
    def frames_at_once(self) -> int:
        """A Vulkan device takes one picture after the other."""
        return self.threads if self.vulkan is None else 1

    def network(self, graph: NcnnGraph, frames: int) -> NcnnNetwork:
        """Ready to run: all threads in it where there is a single frame, one for each frame otherwise."""
        threads = self.frames_at_once if frames == 1 else 1
        return NcnnNetwork.of_graph(graph, threads=threads, vulkan=self.vulkan, half=self.half)


class TinyInNcnn:
    """Computes what `limpid.priors.tiny.TinyNetwork.forward` does."""

    def __init__(self, network: TinyNetwork, where: Where) -> None:
        self._at_level = lru_cache(KEPT_LEVELS)(lambda sigma, frames: where.network(tiny_graph(network, sigma), frames))
        self._through = Through(mixing_blocks(network), where)

    def __call__(self, lr: Tensor, z: Tensor, sigma: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Mean and spread of one clip; ``sigma`` is one level."""
        network = self._at_level(float(sigma), min(frames, 2))
        arrays = {"lr": plain_array(lr), "z": plain_array(z)}
        given = ({name: network.mat(each[t], shared=True) for name, each in arrays.items()} for t in range(frames))
        out = list(self._through(network, given, ("mean", "spread")))
        mean, spread = (torch.from_numpy(np.stack([each[i] for each in out])) for i in (0, 1))
        return mean, spread


class ResidualsInNcnn:
    """The network at one noise level without noise, all that is linear folded in; see `limpid.priors.tiny_direct`."""

    def __init__(self, network: TinyNetwork, sigma: float, where: Where) -> None:
        graph = tiny_graph(folded(network).float(), sigma, without_noise=True)
        self._network = cache(partial(where.network, graph))
        self._config, self._through = network.config, Through(mixing_blocks(network), where)

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Neighbouring LR frames ``1 3 h w`` -> residuals ``h w 192``, a few frames behind."""
        first = list(islice(frames, 2))
        network = self._network(len(first))
        patches = (tiny_patches(lr, self._config)[0] for lr in chain(first, frames))
        given = ({"lr": network.mat(plain_array(each))} for each in patches)
        for (residual,) in self._through(network, given, ("mean",)):
            yield torch.from_numpy(residual).permute(1, 2, 0).contiguous()


class Through:
    """Frames through all parts of a network, one after the other, each as early as its neighbours allow."""

    def __init__(self, mixing: Sequence[int], where: Where) -> None:
        """``mixing``: numbers of the layers that read neighbours; the network is cut in front of each."""
        self.mixing = mixing
        self.pool = ThreadPoolExecutor(where.frames_at_once)
        self.ahead = -(-where.frames_at_once // (len(self.mixing) + 1))
        """Frames that each part works on at once: those of all parts keep the threads busy."""

    def __call__(
        self, network: NcnnNetwork, given: Iterator[dict[str, Any]], outputs: Sequence[str]
    ) -> Iterator[list[np.ndarray]]:
        """``given``: what the first part reads of each frame; gives arrays ``c h w`` of the last part's outputs."""
        each = partial(in_order, self.pool, self.ahead)
        for block in self.mixing:
            names = [name.format(block) for name in ("x{}", "first{}", "second{}")]
            given = _shifted(block, each(partial(network.run, outputs=names, packed=True), given))
        return each(lambda frame: [np.array(mat) for mat in network.run(frame, outputs)], given)


def in_order(
    pool: ThreadPoolExecutor, ahead: int, work: Callable[[_Item], _Made], items: Iterator[_Item]
) -> Iterator[_Made]:
    """What ``work`` makes of each, in their order, computed by the pool's threads up to ``ahead`` items early."""
    waiting: deque[Future[_Made]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _shifted(block: int, parts: Iterator[list[Any]]) -> Iterator[dict[str, Any]]:
    """What a block that mixes time reads of each frame: at both ends of the clip a frame is its own neighbour."""
    here = next(parts, None)
    before = here
    while here is not None and before is not None:
        after = next(parts, None)
        yield {f"in{block}": here[0], f"before{block}": before[1], f"after{block}": (after or here)[2]}
        before, here = here, after


@torch.no_grad()
def tiny_graph(network: TinyNetwork, sigma: float, *, without_noise: bool = False) -> NcnnGraph:
    """The network at one noise level: what it is told of the level becomes part of its weights.

    ``without_noise``: the mean only, of a latent of zero.
    """
    graph = NcnnGraph()
    level = torch.tensor([sigma])
    if without_noise:
        bias = network.conv_lr.bias + network.conv_z.bias  # type: ignore[operator]
        graph.input("lr")
        add_convolution(graph, "lr", "x0", network.conv_lr, bias=bias)
    else:
        _add_entrance(graph, network, level)
    for n, block in enumerate(_blocks(network)):
        _add_block(graph, n, block, network.noise(noise_features(level)))
    last = f"x{len(network.blocks)}"
    add_convolution(graph, last, "mean", network.conv_out)
    if not without_noise:
        add_convolution(graph, last, "spread", network.conv_spread)
    return graph


def _add_entrance(graph: NcnnGraph, network: TinyNetwork, level: Tensor) -> None:
    """LR frame and noisy latent, scaled down by as much as it is noise."""
    spread = network.spread_scale
    scaled = network.conv_z.weight * (spread / (level**2 + spread**2))[None, :, None, None]
    for name in ("lr", "z"):
        graph.input(name)
    add_convolution(graph, "lr", "from_lr", network.conv_lr)
    add_convolution(graph, "z", "from_z", network.conv_z, weight=scaled)
    graph.sum("from_lr", "from_z", "x0")


def _add_block(graph: NcnnGraph, n: int, block: TinyBlock, noise: Tensor) -> None:
    x = mixed = f"x{n}"
    if block.shift:
        x, mixed = _add_mixing(graph, n, block.shift)
    bias = block.conv1.bias + block.noise_bias(noise)[0]
    add_convolution(graph, mixed, f"h{n}", block.conv1, bias=bias, relu=True)
    add_convolution(graph, f"h{n}", f"r{n}", block.conv2)
    graph.sum(x, f"r{n}", f"x{n + 1}")


def _add_mixing(graph: NcnnGraph, n: int, shift: int) -> tuple[str, str]:
    """The end of one part, with the channels that others read, and the beginning of the next."""
    graph.slice(f"x{n}", [(f"first{n}", shift), (f"second{n}", shift), (f"others{n}", 0)])
    for name in ("in", "before", "after"):
        graph.input(f"{name}{n}")
    graph.slice(f"in{n}", [(f"own_first{n}", shift), (f"own_second{n}", shift), (f"rest{n}", 0)])
    graph.concat([f"before{n}", f"after{n}", f"rest{n}"], f"mixed{n}")
    return f"in{n}", f"mixed{n}"


def mixing_blocks(network: TinyNetwork) -> list[int]:
    """Those that read neighbours."""
    return [n for n, block in enumerate(_blocks(network)) if block.shift]


def _blocks(network: TinyNetwork) -> list[TinyBlock]:
    return list(network.blocks)  # type: ignore[arg-type]


def add_convolution(graph: NcnnGraph, reads: str, makes: str, layer: nn.Conv2d, **more: Any) -> None:
    """A layer of PyTorch's; ``more`` replaces its ``weight`` or ``bias``, or is for `NcnnGraph.convolution`."""
    given = {"weight": layer.weight, "bias": layer.bias, **more}
    plain: dict[str, Any] = {n: plain_array(v) if isinstance(v, Tensor) else v for n, v in given.items()}
    graph.convolution(reads, makes, **plain)


def plain_array(value: Tensor) -> np.ndarray:
    """As ncnn reads it: float32 without gaps, on the processor."""
    return np.ascontiguousarray(value.detach().float().cpu().numpy())
