"""The network of `small` in ncnn, frame by frame; how parts of a network go through it says `tiny_ncnn`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from itertools import chain, islice
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from limpid.priors.small import SmallConvolutions, SmallNetwork, SmallPrior
from limpid.priors.tiny_ncnn import Through, Where, add_convolution, plain_array
from limpid.runtimes.writing import NcnnGraph
from limpid.types import Placement


def placed_small(network: SmallNetwork, placement: Placement) -> SmallPrior:
    """The prior of `small`, its network in the runtime of the placement."""
    if placement.runtime == "torch":
        placed = SmallConvolutions(network.to(placement.device, placement.dtype))
        return SmallPrior(network.config, placed, placement.device)
    return SmallPrior(network.config, SmallInNcnn(network, Where.of(placement)), placement.device)


class SmallInNcnn:
    """Computes what `limpid.priors.small.SmallConvolutions` does."""

    def __init__(self, network: SmallNetwork, where: Where) -> None:
        self._network = cache(partial(where.network, small_graph(network)))
        self._places, self._through = network.places, Through(network.config.mixing, where)

    @torch.no_grad()
    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Neighbouring LR frames ``1 3 h w`` -> residuals ``h w 48``, a few frames behind."""
        first = list(islice(frames, 2))
        if not first:
            return
        network = self._network(len(first))
        places = network.mat(plain_array(self._places(*first[0].shape[-2:])[0]))
        given = ({"lr": network.mat(plain_array(lr[0])), "places": places} for lr in chain(first, frames))
        for (residual,) in self._through(network, given, ("residual",)):
            yield torch.from_numpy(np.ascontiguousarray(residual.transpose(1, 2, 0)))


@torch.no_grad()
def small_graph(network: SmallNetwork) -> NcnnGraph:
    """The network as ncnn reads it; the pixels of the residual are its channels."""
    graph, config, slopes = NcnnGraph(), network.config, plain_array(network.slopes)
    for name in ("lr", "places"):
        graph.input(name)
    add_convolution(graph, "lr", "entered", network.enter)
    graph.sum("entered", "places", "placed")
    graph.prelu("placed", "x0", slopes[0])
    for n, layer in enumerate(network.body):
        reads = _add_mixing(graph, n, config.mixed_channels) if n in config.mixing else f"x{n}"
        add_convolution(graph, reads, f"h{n}", cast(nn.Conv2d, layer))
        graph.prelu(f"h{n}", f"x{n + 1}", slopes[n + 1])
    add_convolution(graph, f"x{config.layers}", "residual", network.leave)
    return graph


def _add_mixing(graph: NcnnGraph, n: int, channels: int) -> str:
    """The end of one part, with the channels that others read, and the beginning of the next."""
    graph.slice(f"x{n}", [(f"first{n}", channels), (f"second{n}", channels), (f"others{n}", 0)])
    for name in ("in", "before", "after"):
        graph.input(f"{name}{n}")
    graph.concat([f"in{n}", f"before{n}", f"after{n}"], f"mixed{n}")
    return f"mixed{n}"
