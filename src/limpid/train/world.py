"""One process or many: where a process stands, how gradients meet, in which number format is computed.

Several processes are started by ``accelerate launch`` (or torchrun); without, accelerate is not even imported.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from limpid.plan.device import choose_device, cpu_has_fast_bf16
from limpid.types import SettingsError

PRECISIONS = ("auto", "float32", "bf16")


class World(Protocol):
    """All processes of a run as one of them sees them."""

    rank: int
    size: int
    device: torch.device
    sharded: bool
    """Whether each process has only a part of each weight (FSDP)."""

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are averaged over processes."""
        ...

    def unsynced(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Gradients inside the block stay in the process; for all but the last part of a batch."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """Sum over processes."""
        ...

    def wait(self) -> None:
        """Until all processes are here."""
        ...


class Alone:
    """One process."""

    rank, size, sharded = 0, 1, False

    def __init__(self, device: str = "auto") -> None:
        self.device = choose_device(device)

    def wrap(self, module: nn.Module) -> nn.Module:
        return module

    def unsynced(self, module: nn.Module) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def total(self, values: Tensor) -> Tensor:
        return values

    def wait(self) -> None:
        return None


class Launched:
    """One of several processes, through accelerate: data parallel, each with all weights (DDP)."""

    sharded = False

    def __init__(self, device: str = "auto") -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise SettingsError("several processes need accelerate; install limpid-video[train]") from error
        self.accelerator = Accelerator(cpu=device == "cpu")
        self.rank, self.size = self.accelerator.process_index, self.accelerator.num_processes
        self.device = self.accelerator.device

    def wrap(self, module: nn.Module) -> nn.Module:
        return cast(nn.Module, self.accelerator.prepare_model(module))

    def unsynced(self, module: nn.Module) -> AbstractContextManager[Any]:
        return cast(AbstractContextManager[Any], self.accelerator.no_sync(module))

    def total(self, values: Tensor) -> Tensor:
        return cast(Tensor, self.accelerator.reduce(values.to(self.device), "sum"))

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


class Sharded(Launched):
    """One of several processes that share weights, gradients and optimizers (FSDP, PyTorch's ``fully_shard``).

    The networks' own forward passes gather what they need, so a learner calls its networks and no methods inside them.
    """

    sharded = True

    def wrap(self, module: nn.Module) -> nn.Module:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.size,))
        network = module.get_submodule("network").to(self.device)
        for block in blocks_of(network):
            fully_shard(block, mesh=mesh)
        fully_shard(network, mesh=mesh)
        return module

    def unsynced(self, module: nn.Module) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()  # parts of gradients are kept shared out, or each process would hold them whole


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Layers that are gathered one at a time: the members of lists of layers, at any depth, inner ones first."""
    found = [entry for m in network.modules() if isinstance(m, nn.ModuleList) for entry in m]
    return [block for block in reversed(found) if any(True for _ in block.parameters())]


def enter_world(device: str = "auto") -> World:
    """The processes that this one was started with; ``accelerate launch --use_fsdp`` asks for shared weights."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Alone(device)
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")
    return Sharded(device) if sharded else Launched(device)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out; all processes must ask."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor.detach() if gather is None else cast(Tensor, gather()).detach()


def like(value: Tensor, example: Tensor) -> Tensor:
    """``value`` shared out as ``example`` is."""
    if getattr(example, "full_tensor", None) is None or value.shape != example.shape:
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(example, DTensor)
    return distribute_tensor(value.to(example.device), example.device_mesh, example.placements)


LEAST_BF16_FRAMES = 3
"""A convolution over three frames, on clips of two, gets a gradient in bfloat16 that oneDNN computes from memory which
nobody wrote (PyTorch 2.13 on a Zen 5: not a number 30 times of 30; with three frames and more it is right)."""


def choose_precision(name: str, device: torch.device, frames: int = LEAST_BF16_FRAMES) -> torch.dtype:
    """Number format of the forward passes; weights, gradients and averages are float32 in any case.

    "auto": bfloat16 where the device has instructions for it, but not on a processor for clips of fewer ``frames`` than
    `LEAST_BF16_FRAMES`. Raises SettingsError for names that are none.
    """
    if name not in PRECISIONS:
        raise SettingsError(f"precision {name!r} is unknown; there are {', '.join(PRECISIONS)}")
    if name != "auto":
        return torch.float32 if name == "float32" else torch.bfloat16
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and frames >= LEAST_BF16_FRAMES and cpu_has_fast_bf16()
    return torch.bfloat16 if fast else torch.float32
