"""Where and in which number format to compute, and what must be known of the machine for results to repeat."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from limpid.bounded import quoted
from limpid.plan.allocator import keep_freed_memory
from limpid.plan.attention_kernels import attention_by, check_kernel
from limpid.plan.memory import MOST_BYTES, USABLE_PART, Budget, cpu_budget, free_bytes
from limpid.plan.runtime import FAST_BF16_FLAGS, choose_runtime, ncnn_dtype
from limpid.runtimes.package import VULKAN, ncnn_version, vulkan_devices, vulkan_index
from limpid.types import Offload, Placement, SettingsError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the network runs."""

    device: str
    dtype: str
    threads: int
    model: str
    """Name of the processor or GPU: other ones may round differently."""
    runtime: str = "torch"
    """What the network runs in: torch or ncnn."""
    attention_kernel: str = "auto"
    """Kernel of attention, see `limpid.plan.attention_kernels`: another one rounds differently."""

    @property
    def torch_device(self) -> torch.device:
        """Where PyTorch's part of the work is done: ncnn takes pictures from the host and gives them back."""
        return torch.device("cpu" if self.device.startswith(VULKAN) else self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    def placement(self, *, offload: Offload = "none", compile: bool = False) -> Placement:
        return Placement(
            device=self.torch_device,
            dtype=self.torch_dtype,
            offload=offload,
            compile=compile,
            runtime=self.runtime,
            threads=self.threads,
            vulkan=vulkan_index(self.device) if self.device.startswith(VULKAN) else None,
        )

    def budget(self, *, most: int | None = MOST_BYTES) -> Budget:
        """What the planner may count on; ``most`` bytes for small models, which more memory makes hardly faster."""
        host = cpu_budget(most=most)
        if self.torch_device.type == "cuda":
            free = torch.cuda.mem_get_info(self.torch_device)[0]
            return Budget(device=int(free * (1 + USABLE_PART) / 2), host=host)
        return Budget(device=host, free=free_bytes())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def choose_machine(
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    *,
    runtime: str = "auto",
    runtimes: Sequence[str] = ("torch",),
    attention_kernel: str = "auto",
) -> Machine:
    """Resolve what the user asked for. Raises SettingsError when the asked device, runtime or kernel is not there.

    ``runtimes``: those that the method's network can run in.
    """
    in_ncnn = runtime == "ncnn" or tuple(runtimes) == ("ncnn",)
    chosen = "cpu" if device == "auto" and in_ncnn else _name_of(device)
    kind = chosen.partition(":")[0]
    runs_in = choose_runtime(runtime, runtimes, device=kind, dtype=dtype, flags=cpu_flags())
    machine = Machine(
        device=chosen,
        dtype=ncnn_dtype(dtype, kind) if runs_in == "ncnn" else choose_dtype(dtype, torch.device(chosen)),
        threads=threads or torch.get_num_threads(),
        model=vulkan_devices()[vulkan_index(chosen)] if kind == VULKAN else device_model(torch.device(chosen)),
        runtime=runs_in,
        attention_kernel=attention_kernel,
    )
    check_kernel(attention_kernel, machine.torch_device, machine.dtype)
    return machine


def _name_of(device: str) -> str:
    """The full name of a device that is here: ``vulkan:0`` for ``vulkan``, what was found for ``auto``."""
    return f"{VULKAN}:{vulkan_index(device)}" if device.startswith(VULKAN) else str(choose_device(device))


def choose_device(name: str) -> torch.device:
    """ "auto": cuda, else mps, else cpu. Raises SettingsError when a device is asked for that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name.startswith(VULKAN):
        raise SettingsError(f"device is {quoted(name)}, where only ncnn computes; PyTorch needs cpu, cuda or mps")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(f"device is {quoted(name)}; there is no such device") from None
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("device is mps, but PyTorch finds no Apple GPU here; use --device cpu")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        hint = "this PyTorch was built without CUDA" if torch.version.cuda is None else "no driver or no GPU answers"
        raise SettingsError(f"device is {device}, but {hint}; use --device cpu, or see `limpid doctor`")
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise SettingsError(f"device is {device}, but there are {count} CUDA devices; the last one is cuda:{count - 1}")


def choose_dtype(name: str, device: torch.device) -> str:
    """ "auto": bfloat16 where the device has instructions for it, else float16 on accelerators and float32 on CPUs."""
    if name != "auto":
        if name == "float16" and device.type == "cpu":
            raise SettingsError("dtype float16 is for GPUs; on a CPU use float32, or bfloat16 where it is fast")
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "mps":
        return "float32"
    return "bfloat16" if cpu_has_fast_bf16() else "float32"


def cpu_has_fast_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor itself computes in bfloat16 and oneDNN is there to use it."""
    return bool(FAST_BF16_FLAGS & cpu_flags(cpuinfo)) and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Instruction set flags as Linux names them; empty elsewhere."""
    return set(_cpuinfo_field(cpuinfo, "flags", "Features").split())


def _cpuinfo_field(cpuinfo: Path, *names: str) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in values if name.strip() in names), "")


def device_model(device: torch.device) -> str:
    """A name under which the same arithmetic can be expected."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _cpuinfo_field(Path("/proc/cpuinfo"), "model name", "CPU part") or platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else f"{name} ({device.type})"


def versions(runtime: str = "torch") -> dict[str, str]:
    """Versions of what the bytes of a result depend on; that of ncnn where a network runs in it."""
    import limpid

    found = {
        "limpid": limpid.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in ("torch", "av", "numpy", "opencv-python-headless", "scenedetect-headless"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return {**found, "ncnn": ncnn_version()} if runtime == "ncnn" else found


@contextmanager
def computing(machine: Machine, *, keep_memory: bool = True) -> Iterator[None]:
    """The planned number of threads and kernel of attention, and arithmetic that repeats, while the block runs.

    Args:
        keep_memory: see `keep_freed_memory`; pays for small networks on large pictures.
    """
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    torch.set_num_threads(machine.threads)
    if keep_memory:
        keep_freed_memory()
    cudnn.deterministic, cudnn.benchmark = True, False
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        with attention_by(machine.attention_kernel):
            yield
    finally:
        torch.set_num_threads(threads)
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out on the device or for the process."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The CPU allocator, MPS and some CUDA libraries raise a plain RuntimeError.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def empty_cache(device: torch.device) -> None:
    """Give cached blocks back before a smaller try."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
