"""Safetensors written tensor by tensor, so that a file of gigabytes needs the memory of its largest tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.bounded import cut
from limpid.types import WeightsError

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""As the format calls them (https://github.com/huggingface/safetensors, "Format")."""
ALIGNMENT = 8
MAX_HEADER_BYTES = 32 << 20
MAX_NAMES = 200_000
"""Networks have some thousand tensors, and some hundred kB that list them."""


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    check: Callable[[str, Tensor], None] = lambda name, tensor: None,
) -> None:
    """Write ``tensors``, floating point ones as ``dtype`` if one is given; only one of them is copied at a time.

    ``check`` is shown every tensor as it is written, and may raise.
    """
    kinds = {name: _kind(tensor, dtype) for name, tensor in tensors.items()}
    # wide numbers first, so that every tensor begins at a multiple of its own number's size
    order = sorted(tensors, key=lambda name: (-kinds[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name in order:
        end = position + tensors[name].numel() * kinds[name].itemsize
        shape = list(tensors[name].shape)
        header[name] = {"dtype": NAMES[kinds[name]], "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            tensor = tensors[name].detach().to(kinds[name])
            check(name, tensor)
            file.write(_bytes(tensor))


def _kind(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype


def _bytes(tensor: Tensor) -> memoryview:
    array = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return array.data


def check_header(path: Path) -> None:
    """Raises WeightsError for a safetensors file with a header that is far too long to be one."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if length > MAX_HEADER_BYTES:
        raise WeightsError(f"{path} is no safetensors file, or its table of tensors is far too long")


class SafetensorsFile(Mapping[str, Tensor]):
    """The tensors of a safetensors file, memory-mapped, by name. Raises WeightsError when it is damaged."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        check_header(path)
        try:
            self.file: Any = safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            says = cut(str(error), 200)
            raise WeightsError(f"{path} cannot be read: it is truncated, damaged or missing ({says})") from error
        self.names = dict.fromkeys(self.file.keys())  # type: ignore[no-untyped-call]
        if len(self.names) > MAX_NAMES:
            raise WeightsError(f"{path} has {len(self.names)} tensors, far too many")

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        tensor: Tensor = self.file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
