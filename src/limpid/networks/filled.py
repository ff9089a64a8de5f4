"""A network that was made without memory, filled with the tensors of its file, one check for all that have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from limpid.checkpoints.renames import compare
from limpid.types import WeightsError

_Network = TypeVar("_Network", bound=nn.Module)


def filled_network(network: _Network, state: Mapping[str, Tensor], what: str, title: str) -> _Network:
    """A network that was made on the meta device, with these tensors, in evaluation mode and without gradients.

    Args:
        what: the file, for the sentence.
        title: the network, for the sentence.

    Raises:
        WeightsError: the tensors do not fit; the sentence counts those.
    """
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    mismatch = compare({name: tensor.shape for name, tensor in state.items()}, wanted)
    if mismatch:
        raise WeightsError(f"{what} does not fit {title}: {mismatch.sentence()}")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)
