"""The network of `tiny` as training begins with it."""

from __future__ import annotations

from functools import partial

from limpid.methods.tiny import TINY_WEIGHTS
from limpid.methods.tiny_ends import TINY_FILE
from limpid.priors.tiny import TinyConfig, TinyNetwork, load_tiny
from limpid.train.stage import Start
from limpid.train.starts.new import seeded


def start_tiny(config: TinyConfig, start: Start) -> TinyNetwork:
    """The network of the stage before, or of a weight file, or a new one with the units of the shipped one."""
    given = start.previous or start.weights
    if given is not None:
        return load_tiny(given / TINY_FILE if given.is_dir() else given)
    network = seeded(partial(TinyNetwork, config), start.seed)
    shipped = load_tiny(TINY_WEIGHTS)
    if shipped.config.latent_channels == config.latent_channels:
        network.data_scale.copy_(shipped.data_scale)
        network.spread_scale.copy_(shipped.spread_scale)
    return network
