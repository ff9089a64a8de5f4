"""The network of `small` as training begins with it: trained further, or from a compact network, or new."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain

import torch
from torch import nn

from limpid.methods.small import SMALL_FILE
from limpid.priors.small import SmallConfig, SmallNetwork, load_small
from limpid.runtimes.compact import CompactNetwork, read_compact
from limpid.runtimes.files import NcnnFiles
from limpid.train.stage import Start
from limpid.train.starts.new import seeded, silenced


def start_small(config: SmallConfig, start: Start) -> SmallNetwork:
    """That of the stage before, or of ``start.weights``, or a new one that upscales bicubically.

    Weights may be those of `small`, a file or a folder of a training, or the ``.param`` of a compact network in the
    files of ncnn (`limpid.runtimes.compact`). ``config`` is the shape of a new network; of one that was a compact
    network it says which neighbours are read. Raises WeightsError for weights that are neither.
    """
    given = start.previous or start.weights
    if given is None:
        return _new(config, start.seed)
    if NcnnFiles.named_by(given):
        files = NcnnFiles.of(given)
        return from_compact(read_compact(files), config)
    return load_small(given / SMALL_FILE if given.is_dir() else given)


@torch.no_grad()
def from_compact(compact: CompactNetwork, config: SmallConfig) -> SmallNetwork:
    """A network with the weights of a compact one, which nothing is added to yet: its places and neighbours count zero.

    What it makes is what the compact network adds to the plainly enlarged frame.
    """
    layers, channels = len(compact.weights) - 2, compact.channels
    network = SmallNetwork(replace(config, channels=channels, layers=layers, scale=compact.scale))
    convolutions = chain([network.enter], network.body, [network.leave])
    for layer, weight, bias in zip(convolutions, compact.weights, compact.biases, strict=True):
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        layer.weight.zero_()[:, : weight.shape[1]] = torch.from_numpy(weight)
        layer.bias.copy_(torch.from_numpy(bias))
    for mine, slopes in zip(network.slopes, compact.slopes, strict=True):
        mine.copy_(torch.from_numpy(slopes))
    return network


def _new(config: SmallConfig, seed: int) -> SmallNetwork:
    network = seeded(partial(SmallNetwork, config), seed)
    silenced(network.leave)
    return network
