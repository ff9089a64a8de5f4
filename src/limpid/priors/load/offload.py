"""Offloading: which networks of a prior are on the device, in which format, and compiled or not, as `Placement` says.

On a CPU there is nothing to offload to: every kind of offloading is the same as none there.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from limpid.plan.allocator import trim_heap
from limpid.types import Placement

AnyModule = TypeVar("AnyModule", bound=nn.Module)

COMPILERS = ("g++", "clang++", "c++", "cl")


# ------------------------------------------------------------------------------------------ one network


def place_network(module: AnyModule, placement: Placement, dtype: torch.dtype | None = None) -> AnyModule:
    """Makes a network ready to run where it is: no gradients, its number format, convolution weights channels last.

    Args:
        dtype: another number format than that of the placement, see `vae_dtype`.
    """
    # ModelMixin.to would warn of modules to be kept in float32, of which there are none.
    nn.Module.to(module.eval().requires_grad_(False), dtype or placement.dtype)
    for parameter in module.parameters():
        parameter.data = _channels_last(parameter.data)
    return module


def _channels_last(weight: Tensor) -> Tensor:
    # Module.to(memory_format=...) knows one format for all and fails where 2-D and 3-D convolutions stand together.
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    return weight.to(memory_format=layouts[weight.ndim]) if weight.ndim in layouts else weight


def vae_dtype(placement: Placement) -> torch.dtype:
    """The number format an autoencoder needs: its activations are too large for float16, and bfloat16 has the range."""
    return torch.float32 if placement.dtype == torch.float16 else placement.dtype


# ---------------------------------------------------------------------------------------- several networks


class Parts:
    """The networks of a prior; `use` brings one to the device, as `Placement.offload` says.

    - ``"none"``: all are on the device from the beginning.
    - ``"model"``: a network is moved there when it is used, after the one before it was moved away.
    - ``"group"``: the layers of the denoiser (a network with ``enable_group_offload``, as those of diffusers have) are
      moved there and away one by one while it runs; others, autoencoders among them, as with ``"model"``.

    On a CPU `use` only looks up the name. Weights are taken as frozen: a change made on the device is lost.

    Args:
        load: brings a network to the device; only used by tests.
        unload: takes it away again; only used by tests.
    """

    def __init__(
        self,
        placement: Placement,
        /,
        *,
        load: Callable[[nn.Module], None] | None = None,
        unload: Callable[[nn.Module], None] | None = None,
        **networks: nn.Module,
    ) -> None:
        self.placement = placement
        self.networks = networks
        self.current: str | None = None
        """The network that is on the device and will have to leave it."""
        self._used: str | None = None
        self._homes: dict[str, Home] = {}
        self._load, self._unload = load, unload
        self._fixed = set(networks)
        """Names of networks that are not moved by `use`."""
        self._place()

    def use(self, name: str) -> nn.Module:
        """The network, ready to run on the device. Raises KeyError for a name that is not there."""
        network = self.networks[name]
        if name != self._used and self.placement.device.type == "cpu":
            # What another network worked with lies in pieces that this one has no use for.
            trim_heap()
        self._used = name
        if name not in self._fixed and name != self.current:
            # Away first, so that there are never two on the device.
            self.release()
            self._bring(name)
            self.current = name
        return network

    def release(self) -> None:
        """Takes away the network that `use` brought last; those that are always on the device stay."""
        if self.current is None:
            return
        name, self.current = self.current, None
        if self._unload is not None:
            self._unload(self.networks[name])
        else:
            self._homes[name].release()

    def drop(self, name: str) -> None:
        """Forgets a network that is not needed any more; its memory is free when nobody else holds it."""
        if name == self.current:
            self.release()
        del self.networks[name]
        self._homes.pop(name, None)

    def _place(self) -> None:
        device, offload = self.placement.device, self.placement.offload
        if device.type == "cpu":
            return
        for name, network in self.networks.items():
            if offload == "none":
                self._bring(name)
            elif offload == "group" and _takes_layers_in_turn(network):
                offload_layers(network, device)
            else:
                self._fixed.discard(name)

    def _bring(self, name: str) -> None:
        network, device = self.networks[name], self.placement.device
        if self._load is not None:
            self._load(network)
        elif name in self._fixed:
            network.to(device)
        else:
            self._homes.setdefault(name, Home(network, pin=device.type == "cuda")).load(device)


class Home:
    """The weights of a network in the memory of the machine, where they stay while copies of them are on a device.

    So leaving the device costs no copy, and with pinned memory (which the device reads by itself) coming costs least.
    """

    def __init__(self, network: nn.Module, *, pin: bool) -> None:
        self.pairs = [(tensor, _pinned(tensor.data) if pin else tensor.data) for tensor in _tensors(network)]
        self.release()

    def load(self, device: torch.device) -> None:
        """Copies to the device; the network then uses the copies."""
        for tensor, home in self.pairs:
            tensor.data = home.to(device, non_blocking=True, copy=True)

    def release(self) -> None:
        """The network uses what is at home; nothing refers to the copies any more."""
        for tensor, home in self.pairs:
            tensor.data = home


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _pinned(tensor: Tensor) -> Tensor:
    try:
        return tensor.pin_memory()
    except RuntimeError:
        # The system allows only so much pinned memory; the rest is moved more slowly.
        return tensor


def _takes_layers_in_turn(network: nn.Module) -> bool:
    # An autoencoder is small, is entered by encode and decode, which the hooks of diffusers do not see, and may use
    # weights of a layer without calling it.
    return hasattr(network, "enable_group_offload") and not hasattr(network, "decode")


def offload_layers(network: nn.Module, device: torch.device) -> None:
    """Group offloading of diffusers, layer by layer: the least memory on the device, and the most traffic.

    ``network`` is a ``ModelMixin``, all of whose layers are run by calling them: a layer of which only the weights are
    used stays where it is.
    """
    streams = device.type == "cuda"
    network.enable_group_offload(  # type: ignore[operator]  # a method of ModelMixin
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=streams,
        record_stream=streams,
    )


# --------------------------------------------------------------------------------------------- compiling


def compiled(module: AnyModule, placement: Placement, backend: str = "inductor") -> AnyModule:
    """A network whose calls are compiled by ``torch.compile`` if the placement asks for it; any sizes.

    Where that cannot work (no compiler, no triton, layers that are moved while they run, or the compilation fails)
    there is one `RuntimeWarning`, and the network runs as it is.
    """
    if not placement.compile:
        return module
    obstacle = _obstacle(placement, backend)
    if obstacle is not None:
        _warn(obstacle)
        return module
    # Importing it takes a second, which only those who compile should wait.
    from torch._dynamo.exc import TorchDynamoException

    plain = module.forward
    fast = torch.compile(plain, backend=backend, dynamic=True)

    @wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        try:
            return fast(*args, **kwargs)
        except TorchDynamoException as error:
            _warn(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
            module.forward = plain
            return plain(*args, **kwargs)

    module.forward = forward
    return module


def _obstacle(placement: Placement, backend: str) -> str | None:
    """The reason why compiling will not work, or None.

    It is asked before, because the failure itself would come after minutes of tracing.
    """
    device = placement.device.type
    if placement.offload == "group" and device != "cpu":
        return "layers are moved while they run (group offloading)"
    if backend != "inductor":
        return None
    if device == "cuda" and find_spec("triton") is None:
        return "triton is not installed"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *COMPILERS) if name):
        return "no C++ compiler is installed"
    return None


def _warn(why: str) -> None:
    warnings.warn(f"the denoiser is not compiled: {why}", RuntimeWarning, stacklevel=3)
