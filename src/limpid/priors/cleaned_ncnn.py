"""The cleaner before `tiny` in ncnn: frame by frame, each thread with a frame of its own (see `tiny_ncnn`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import chain, islice
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from limpid.priors.cleaned import Changes, Cleaner, changes_in_torch
from limpid.priors.tiny_ncnn import Where, add_convolution, in_order, plain_array
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.writing import NcnnGraph
from limpid.types import Placement


def placed_cleaner(cleaner: Cleaner, placement: Placement) -> Changes:
    """What computes the cleaner in the runtime of the placement."""
    if placement.runtime == "torch":
        return changes_in_torch(cleaner.to(placement.device, placement.dtype))
    return ChangesInNcnn(cleaner, Where.of(placement))


class ChangesInNcnn:
    """Computes what `limpid.priors.cleaned.Cleaner.forward` does, for one frame after the other."""

    def __init__(self, cleaner: Cleaner, where: Where) -> None:
        self._network = cache(partial(where.network, cleaner_graph(cleaner)))
        self._cleaner = cleaner
        self._pool, self._ahead = ThreadPoolExecutor(where.frames_at_once), where.frames_at_once

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Frames ``3 h w`` in [0, 1] -> what is to be added to each, a few frames behind."""
        first = list(islice(frames, 2))
        if not first:
            return iter(())
        network = self._network(len(first))
        places = self._cleaner.places(*first[0].shape[-2:])
        known = {} if places is None else {"places": network.mat(plain_array(places[0]))}
        return in_order(self._pool, self._ahead, partial(_change, network, known), chain(first, frames))


def _change(network: NcnnNetwork, known: Mapping[str, Any], frame: Tensor) -> Tensor:
    (made,) = network.run({"lr": network.mat(plain_array(frame - 0.5)), **known}, ["change"])
    return torch.from_numpy(np.array(made))


@torch.no_grad()
def cleaner_graph(cleaner: Cleaner) -> NcnnGraph:
    """The network as ncnn reads it; its frames are around 0."""
    graph = NcnnGraph()
    graph.input("lr")
    if cleaner.place is None:
        add_convolution(graph, "lr", "x0", cleaner.enter, relu=True)
    else:
        graph.input("places")
        add_convolution(graph, "lr", "entered", cleaner.enter)
        graph.sum("entered", "places", "placed")
        graph.relu("placed", "x0")
    blocks = zip(cleaner.first, cleaner.second, strict=True)
    for n, (first, second) in enumerate(blocks):
        add_convolution(graph, f"x{n}", f"h{n}", cast(nn.Conv2d, first), relu=True)
        add_convolution(graph, f"h{n}", f"r{n}", cast(nn.Conv2d, second), dilation=2)
        graph.sum(f"x{n}", f"r{n}", f"x{n + 1}")
    add_convolution(graph, f"x{len(cleaner.first)}", "change", cleaner.leave)
    return graph
