"""Weights of flow networks: RAFT's and SpyNet's from the two formats that each exists in, and at random in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.checkpoints.renames import Rules, compare, rename_all
from limpid.convert import official_names
from limpid.convert.raft_keys import raft_rules
from limpid.convert.spynet_keys import SPYNET_BASICSR_NAMES, SPYNET_KEYS, SPYNET_MMAGIC_NAMES
from limpid.networks.by_name import shapes_of
from limpid.networks.flow.raft import RAFT, raft_size_of
from limpid.networks.flow.spynet import SpyNet
from limpid.types import WeightsError

MakeNumbers = Callable[[str, tuple[int, ...]], Tensor]
_MMAGIC_SPYNET = "spynet_20210409"


def convert_flow(found: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors under our names, and the configuration. Raises WeightsError when they do not fit."""
    if any(name.startswith("basic_module.") for name in found):
        return _fitted(found, SPYNET_KEYS, path, lambda _: SpyNet()), {"_class_name": "SpyNet"}
    tensors = _fitted(found, raft_rules(set(found)), path, lambda names: RAFT(raft_size_of(names)))
    return tensors, {"_class_name": "RAFT", "size": raft_size_of(set(tensors))}


def _fitted(
    found: Mapping[str, Tensor], rules: Rules, path: Path, make: Callable[[set[str]], nn.Module]
) -> dict[str, Tensor]:
    """Renamed tensors, which are exactly those of the network that is made for their names."""
    try:
        tensors = rename_all(found, rules)
    except ValueError as error:
        raise WeightsError(f"{path} does not fit: {error}") from error
    with torch.device("meta"):
        network = make(set(tensors))
    mismatch = compare({name: tensor.shape for name, tensor in tensors.items()}, shapes_of(network))
    if mismatch:
        raise WeightsError(f"{path} does not fit {type(network).__name__}: {mismatch.sentence()}")
    return tensors


def random_flow(name: str, make: MakeNumbers) -> dict[str, Any]:
    """What a file of this name holds, with random numbers under its makers' names; RAFT is the large one."""
    if Path(name).name.startswith("spynet"):
        return _random_spynet(name, make)
    with torch.device("meta"):
        shapes = shapes_of(RAFT("large"))
    torchvision = Path(name).name.startswith("raft_")
    rules = official_names.RAFT_TORCHVISION_NAMES if torchvision else official_names.RAFT_PRINCETON_NAMES
    state = rename_all({key: _numbers(key, shape, make) for key, shape in shapes.items()}, rules)
    if torchvision:
        return state
    # the authors' network holds the norm of a shortcut twice, and was saved from a DataParallel
    again = {
        key.replace(".downsample.1.", ".norm3."): tensor for key, tensor in state.items() if ".downsample.1." in key
    }
    return {f"module.{key}": tensor for key, tensor in (state | again).items()}


def _random_spynet(name: str, make: MakeNumbers) -> dict[str, Any]:
    with torch.device("meta"):
        shapes = shapes_of(SpyNet())
    numbers = {key: make(key, shape) for key, shape in shapes.items()}
    if Path(name).name.startswith(_MMAGIC_SPYNET):
        return rename_all(numbers, SPYNET_MMAGIC_NAMES)
    return {"params": rename_all(numbers, SPYNET_BASICSR_NAMES)}


def _numbers(key: str, shape: tuple[int, ...], make: MakeNumbers) -> Tensor:
    """Batch norms also hold a counter and a variance, which is not negative."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    return torch.ones(shape).half() if key.endswith("running_var") else make(key, shape)
