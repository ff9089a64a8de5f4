"""Weights of RAFT: from the two formats that exist, and at random in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert import official_names
from limpid.convert.raft_keys import raft_rules
from limpid.networks.by_name import shapes_of
from limpid.networks.flow.raft import RAFT, raft_size_of
from limpid.types import WeightsError


def convert_flow(found: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors under our names, and the configuration. Raises WeightsError when they do not fit."""
    try:
        tensors = rename_all(found, raft_rules(set(found)))
    except ValueError as error:
        raise WeightsError(f"{path} does not fit: {error}") from error
    size = raft_size_of(set(tensors))
    with torch.device("meta"):
        wanted = shapes_of(RAFT(size))
    mismatch = compare({name: tensor.shape for name, tensor in tensors.items()}, wanted)
    if mismatch:
        raise WeightsError(f"{path} does not fit RAFT: {mismatch.sentence()}")
    return tensors, {"_class_name": "RAFT", "size": size}


def random_flow(name: str, make: Callable[[str, tuple[int, ...]], Tensor]) -> dict[str, Tensor]:
    """Random weights of the large network under the names of the authors' file, or of torchvision's."""
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


def _numbers(key: str, shape: tuple[int, ...], make: Callable[[str, tuple[int, ...]], Tensor]) -> Tensor:
    """Batch norms also hold a counter and a variance, which is not negative."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    return torch.ones(shape).half() if key.endswith("running_var") else make(key, shape)
