"""The network of `small` in ncnn, frame by frame; how parts of a network go through it says `tiny_ncnn`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from itertools import chain, islice
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from limpid.priors.small import DIFFERENCE_UNITS, SmallConvolutions, SmallNetwork, SmallPrior
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
        self._places, self._through = network.places, Through((), where)

    @torch.no_grad()
    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Frames ``1 c h w`` -> residuals ``h w 48``, a few frames behind."""
        first = list(islice(frames, 2))
        if not first:
            return
        network = self._network(len(first))
        places = network.mat(plain_array(self._places(*first[0].shape[-2:])[0]))
        given = ({"told": network.mat(plain_array(told[0])), "places": places} for told in chain(first, frames))
        for (residual,) in self._through(network, given, ("residual",)):
            yield torch.from_numpy(np.ascontiguousarray(residual.transpose(1, 2, 0)))


@torch.no_grad()
def small_graph(network: SmallNetwork) -> NcnnGraph:
    """The network as ncnn reads it; the pixels of the residual are its channels."""
    graph, slopes, entering = NcnnGraph(), plain_array(network.slopes), network.enter.weight.clone()
    entering[:, 3:] *= DIFFERENCE_UNITS
    for name in ("told", "places"):
        graph.input(name)
    add_convolution(graph, "told", "entered", network.enter, weight=entering)
    graph.sum("entered", "places", "placed")
    graph.prelu("placed", "x0", slopes[0])
    for n, layer in enumerate(network.body):
        add_convolution(graph, f"x{n}", f"h{n}", cast(nn.Conv2d, layer))
        graph.prelu(f"h{n}", f"x{n + 1}", slopes[n + 1])
    add_convolution(graph, f"x{network.config.layers}", "residual", network.leave)
    return graph
