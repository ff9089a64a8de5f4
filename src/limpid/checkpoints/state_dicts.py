"""State dicts in the files of other people: names and tensors, whether pickled or in safetensors, and how wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.checkpoints.opcodes import Placeholder
from limpid.checkpoints.pickles import read_pickle
from limpid.checkpoints.sniff import is_safetensors
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.types import WeightsError

WRAPPINGS = ("ema", "params_ema", "state_dict", "model", "params")
"""Under which the tensors lie in files that hold more than them."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and memory-mapped tensors; nothing that may be hidden in the file is run. Raises WeightsError."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    return dict(SafetensorsFile(path)) if is_safetensors(head) else unwrap(read_pickle(path), path)


def unwrap(value: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds. Raises WeightsError when there is none."""
    while isinstance(value, Mapping) and not any(isinstance(entry, Tensor) for entry in value.values()):
        inner = next((value[name] for name in WRAPPINGS if isinstance(value.get(name), Mapping)), None)
        if inner is None:
            break
        value = inner
    if not isinstance(value, Mapping) or not any(isinstance(entry, Tensor) for entry in value.values()):
        what = f"its entries are {', '.join(map(str, list(value)[:5]))}" if isinstance(value, Mapping) else repr(value)
        raise WeightsError(f"{path} has no weights that could be found: {what[:300]}")
    odd = [f"{name}: {entry!r}" for name, entry in value.items() if isinstance(entry, Placeholder)]
    if odd:
        raise WeightsError(f"{path} has entries that are no tensors ({', '.join(odd[:3])})")
    tensors = {str(name): entry for name, entry in value.items() if isinstance(entry, Tensor)}
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors
