"""The checks of `gpu.py`: each yields rows, one measurement after the other, at full or at toy size."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.methods import find_method
from limpid.plan.device import choose_machine, empty_cache
from limpid.restoration.frame_kind import FrameKind
from limpid.restoration.stream import FrameStream
from limpid.settings import Settings

SHIPPED = ("small", "tiny")
LARGE = ("sd-x4-upscaler", "upscale-a-video", "diffvsr", "lavie-vsr", "mgld-vsr", "dc-vsr")
BOUNDS = {"float16": 0.01, "bfloat16": 0.05, "8 bits": 0.1}
"""Root mean square of the difference of values in [0, 1] that a number format may make, in a few steps."""
STEPS = 2
MIB = 2**20


@dataclass(kw_only=True)
class Place:
    """Where the checks run, at which size, and what they share."""

    device: torch.device
    toy: bool
    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    @property
    def dtypes(self) -> tuple[str, ...]:
        return ("float16", "bfloat16") if self.device.type == "cuda" else ("bfloat16",)

    @property
    def frames(self) -> int:
        """How many a check gives to a method, enough for a window."""
        return 2 if self.toy else 8

    def weights(self, name: str) -> Path:
        """A folder of random weights, made when it is first asked for."""
        if name not in self.made:
            source = make_random_weights(name, "tiny" if self.toy else "full", self.folder / f"official-{name}")
            convert_weights(name, source, self.folder / name)
            self.made[name] = self.folder / name
        return self.made[name]

    def settings(self, name: str, **changes: Any) -> Settings:
        if name in SHIPPED:
            return Settings(method=name, **changes)
        return Settings(method=name, weights=str(self.weights(name)), steps=STEPS, **changes)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """LR size: that which is asked for, or a toy's of about its shape."""
        return (16, 24) if self.toy else (height, width)


def pictures(frames: int, size: tuple[int, int]) -> list[Tensor]:
    """Smooth pictures that move, ``3 h w``."""
    y, x = torch.meshgrid(*(torch.linspace(0, 6, n) for n in size), indexing="ij")
    return [torch.stack([torch.sin(x * (c + 1) + y + t / 3) for c in range(3)]) * 0.4 + 0.5 for t in range(frames)]


class Ready:
    """A method made ready for one picture size; the first call loads, the others find everything there."""

    def __init__(
        self, settings: Settings, device: torch.device, dtype: str, size: tuple[int, int], frames: int
    ) -> None:
        kind = FrameKind(library="torch", dtype=torch.float32, height=size[0], width=size[1])
        machine = choose_machine(str(device), dtype)
        method = find_method(settings.method, settings)
        self.stream = FrameStream.make(method, settings, machine, Fraction(25), kind)
        self.frames, self.device = pictures(frames, size), device

    @property
    def prior(self) -> Any:
        return self.stream.restorer.prior

    def __call__(self) -> Tensor:
        fresh = dataclasses.replace(self.stream, carry={})
        return torch.stack(list(fresh.restore_shot(0, iter(self.frames))))

    def measured(self, **row: Any) -> tuple[Tensor, dict[str, Any]]:
        """What a call gives, and its row; on a GPU the second call, when all is loaded and chosen."""
        if self.device.type == "cuda":
            self()
            torch.cuda.reset_peak_memory_stats(self.device)
        began = time.perf_counter()
        out = self()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        took = time.perf_counter() - began
        peak = torch.cuda.max_memory_allocated(self.device) / MIB if self.device.type == "cuda" else None
        return out, {"seconds": took, "frames_per_s": len(out) / took, "peak_mib": peak, **row}


@contextmanager
def left_clean(device: torch.device) -> Iterator[None]:
    """Nothing of a check stays on the device."""
    try:
        yield
    finally:
        gc.collect()
        empty_cache(device)


def rms(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).square().mean().sqrt())


def judged(out: Tensor, reference: Tensor, bound: float) -> dict[str, Any]:
    error = rms(out, reference)
    return {"error": error, "within": error <= bound, "says": f"at most {bound:g}"}


def number_formats(place: Place) -> Iterator[dict[str, Any]]:
    """Every method on the device in few bits against float32 on the processor."""
    size = place.size(32, 32)
    for name in (*SHIPPED, *(LARGE[1::3] if place.toy else LARGE)):
        settings = place.settings(name)
        with left_clean(place.device):
            reference = Ready(settings, torch.device("cpu"), "float32", size, 2)()
            for dtype in place.dtypes:
                out = Ready(settings, place.device, dtype, size, 2)()
                yield {"method": name, "variant": dtype, **judged(out, reference, BOUNDS[dtype])}


def offloading(place: Place) -> Iterator[dict[str, Any]]:
    """All weights on the device, one network at a time, layers in turn: the same frames."""
    for name in ("upscale-a-video", "mgld-vsr", "dc-vsr")[: 1 if place.toy else 3]:
        plain: Tensor | None = None
        for offload in ("none", "model", "group"):
            with left_clean(place.device):
                ready = Ready(
                    place.settings(name, offload=offload), place.device, place.dtypes[-1], place.size(64, 64), 3
                )
                out, row = ready.measured(method=name, variant=f"offload {offload}")
                plain = out if plain is None else plain
                yield {**row, **judged(out, plain, 1e-3)}


def memory_ladder(place: Place) -> Iterator[dict[str, Any]]:
    """Less memory than the plan counts with: pieces become smaller, and the frames are made all the same."""
    for name in ("tiny", "sd-x4-upscaler")[: 1 if place.toy else 2]:  # there is nothing smaller than a toy
        with left_clean(place.device):
            ready = Ready(place.settings(name), place.device, place.dtypes[-1], place.size(180, 320), 4)
            ready.prior  # noqa: B018  (loaded before memory is short)
            with short_of_memory(ready, place.device):
                out = ready()
            taken = [dataclasses.asdict(rung) for _, rung in ready.stream.ladder.taken]
            numbers = bool(torch.isfinite(out).all())
            yield {
                "method": name,
                "variant": "short of memory",
                "within": bool(taken) and numbers,
                "says": str(taken)[:300],
            }


@contextmanager
def short_of_memory(ready: Ready, device: torch.device) -> Iterator[None]:
    """On a GPU a limit a little above what is taken already; elsewhere the first try fails as it would there."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated(device) + 600 * MIB) / total, device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        return
    restorer, tries = ready.stream.restorer, []

    def once(chunk: Any) -> Tensor:
        tries.append(chunk)
        if len(tries) == 1:
            raise torch.OutOfMemoryError("out of memory, for this check")
        return restorer(chunk)

    once.machine, once.method = restorer.machine, restorer.method  # type: ignore[attr-defined]
    ready.stream.restorer = once  # type: ignore[assignment]
    try:
        yield
    finally:
        ready.stream.restorer = restorer


def networks_of(prior: Any) -> dict[str, torch.nn.Module]:
    """The networks of a prior by name."""
    for value in vars(prior).values():
        found = getattr(value, "networks", None)
        if isinstance(found, dict):
            return found
    return {}


def speed(place: Place) -> Iterator[dict[str, Any]]:
    """Frames/s and peak memory of every method for 1280x720, plainly, in channels_last, by attention, compiled."""
    dtype, size = place.dtypes[-1], place.size(180, 320)
    for name in LARGE[:1] if place.toy else LARGE:
        with left_clean(place.device):
            ready = Ready(place.settings(name), place.device, dtype, size, place.frames)
            yield ready.measured(method=name, variant=f"{dtype}, {STEPS} steps")[1]
            for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
                if place.toy and backend is not SDPBackend.MATH:
                    continue
                yield with_attention(ready, name, backend)
            for network in networks_of(ready.prior).values():
                in_channels_last(network)
            yield ready.measured(method=name, variant="channels_last")[1]
            if not place.toy:
                yield compiled(place, name, dtype, size)


def in_channels_last(network: torch.nn.Module) -> None:
    """The weights of its convolutions over pictures; others have another number of dimensions."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def with_attention(ready: Ready, name: str, backend: SDPBackend) -> dict[str, Any]:
    try:
        with sdpa_kernel(backend):
            return ready.measured(method=name, variant=backend.name.lower())[1]
    except RuntimeError as error:
        return {"method": name, "variant": backend.name.lower(), "says": f"not possible: {str(error)[:120]}"}


def compiled(place: Place, name: str, dtype: str, size: tuple[int, int]) -> dict[str, Any]:
    began = time.perf_counter()
    ready = Ready(place.settings(name, compile=True), place.device, dtype, size, 8)
    out = ready.measured(method=name, variant="compiled")[1]
    return {**out, "says": f"{time.perf_counter() - began - 2 * out['seconds']:.0f} s to compile"}


def eight_bits(place: Place) -> Iterator[dict[str, Any]]:
    """Weights kept in 8 bits: layer by layer in float8 (diffusers), in int8 where torchao is installed."""
    name, dtype, size = "upscale-a-video", place.dtypes[-1], place.size(64, 64)
    reference = Ready(place.settings(name), place.device, dtype, size, 3)()
    with left_clean(place.device):
        ready = Ready(place.settings(name), place.device, dtype, size, 3)
        for network in networks_of(ready.prior).values():
            if hasattr(network, "enable_layerwise_casting"):
                network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=getattr(torch, dtype))
        out, row = ready.measured(method=name, variant="float8 weights")
        yield {**row, **judged(out, reference, BOUNDS["8 bits"])}
    if find_spec("torchao") is None:
        yield {"method": name, "variant": "int8 weights", "says": "torchao is not installed"}
        return
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    with left_clean(place.device):
        ready = Ready(place.settings(name), place.device, dtype, size, 3)
        for network in networks_of(ready.prior).values():
            quantize_(network, Int8WeightOnlyConfig())
        out, row = ready.measured(method=name, variant="int8 weights")
        yield {**row, **judged(out, reference, BOUNDS["8 bits"])}


def beside_diffusers(place: Place) -> Iterator[dict[str, Any]]:
    """The image model through diffusers' own pipeline and through Limpid, one picture, the same process."""
    from diffusers import StableDiffusionUpscalePipeline
    from upscaler_family import make_weights

    size, dtype = place.size(128, 128), place.dtypes[-1]
    make_weights(place.folder / "pair", "tiny" if place.toy else "full")
    pipe = StableDiffusionUpscalePipeline.from_pretrained(
        place.folder / "pair" / "diffusers", torch_dtype=getattr(torch, dtype)
    ).to(place.device)
    pipe.set_progress_bar_config(disable=True)

    image = pictures(1, size)[0][None].to(place.device, getattr(torch, dtype))
    call = partial(pipe, "a photo", image=image, num_inference_steps=STEPS, output_type="pt")
    call()
    if place.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place.device)
    began = time.perf_counter()
    call()
    took = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated(place.device) / MIB if place.device.type == "cuda" else None
    yield {"method": "diffusers", "variant": dtype, "seconds": took, "frames_per_s": 1 / took, "peak_mib": peak}
    del pipe, call
    with left_clean(place.device):
        settings = Settings(method="sd-x4-upscaler", weights=str(place.folder / "pair" / "image"), steps=STEPS)
        yield Ready(settings, place.device, dtype, size, 1).measured(method="sd-x4-upscaler", variant=dtype)[1]


def shipped_pictures(place: Place) -> Iterator[dict[str, Any]]:
    """What ships on inputs of 180p, 720p and 1080p."""
    for name, (height, width), dtype in product(SHIPPED, ((180, 320), (720, 1280), (1080, 1920)), place.dtypes):
        with left_clean(place.device):
            ready = Ready(place.settings(name), place.device, dtype, place.size(height, width), 4)
            yield ready.measured(method=name, variant=f"{width}x{height}, {dtype}")[1]


CHECKS: dict[str, Callable[[Place], Iterator[dict[str, Any]]]] = {
    "number formats": number_formats,
    "what ships": shipped_pictures,
    "memory ladder": memory_ladder,
    "offloading": offloading,
    "speed": speed,
    "diffusers": beside_diffusers,
    "8 bits": eight_bits,
}
"""By name; what is most worth knowing comes first."""
