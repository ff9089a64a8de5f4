"""Which runtime a network runs in: what the user asks for, or what was measured to be fastest on such a processor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from limpid.runtimes.package import has_ncnn, import_ncnn
from limpid.types import SettingsError

FAST_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
"""Flags of bfloat16 instructions in /proc/cpuinfo, x86 and ARM. Without, oneDNN emulates it, slower than float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRuntime:
    """One row of the table; the first that fits a processor decides."""

    any_flag: frozenset[str]
    """Flags of /proc/cpuinfo of which the processor has one; empty: any processor."""
    runtime: str
    because: str


RUNTIME_TABLE = (
    MeasuredRuntime(
        any_flag=FAST_BF16_FLAGS,
        runtime="torch",
        because="bfloat16 in PyTorch was faster than ncnn on a processor with such instructions",
    ),
    MeasuredRuntime(
        any_flag=frozenset({"avx2"}),
        runtime="ncnn",
        because="ncnn's Winograd convolutions were faster than float32 in PyTorch on AVX2",
    ),
    MeasuredRuntime(any_flag=frozenset(), runtime="torch", because="nothing was measured on such a processor"),
)
"""By figures of docs/runtimes.md."""


def measured_runtime(flags: Collection[str]) -> MeasuredRuntime:
    """The row for a processor with these flags."""
    return next(row for row in RUNTIME_TABLE if not row.any_flag or row.any_flag & set(flags))


def choose_runtime(asked: str, offered: Sequence[str], *, device: str, dtype: str, flags: Collection[str]) -> str:
    """ "torch" or "ncnn" for a network that can run in the ``offered`` ones.

    "auto" leaves torch only for a processor, where the package is there, the table says so, and no number format was
    asked for: float32 in PyTorch has the same bits for any cut, which ncnn has not.

    Args:
        device: kind of device: cpu, cuda, mps or vulkan.
        dtype: as asked for.

    Raises:
        SettingsError: the network does not run in what was asked for, or not on that device.
    """
    _check(asked, offered, device)
    if len(offered) == 1 or asked != "auto":
        chosen = offered[0] if asked == "auto" else asked
    elif device == "vulkan":
        chosen = "ncnn"
    elif device != "cpu" or dtype != "auto" or not has_ncnn():
        chosen = "torch"
    else:
        chosen = measured_runtime(flags).runtime
    if chosen == "ncnn":
        import_ncnn("runtime ncnn" if "torch" in offered else "a network in the files of ncnn")
    return chosen


def _check(asked: str, offered: Sequence[str], device: str) -> None:
    only = " or ".join(offered)
    if asked not in ("auto", *offered):
        raise SettingsError(f"runtime {asked} has no effect with this network, which runs in {only} only; leave it out")
    if device == "vulkan" and (asked == "torch" or "ncnn" not in offered):
        raise SettingsError(f"device is vulkan, where only ncnn computes, but this network is to run in {only}")
    if device in ("cuda", "mps") and "ncnn" in (asked, only):
        raise SettingsError(f"device is {device}, where ncnn does not compute; use --device cpu or vulkan")


def ncnn_dtype(asked: str, device: str) -> str:
    """The number format of a network in ncnn. Raises SettingsError for one that it has not on such a device."""
    known = ("float32", "float16") if device == "vulkan" else ("float32",)
    if asked not in ("auto", *known):
        raise SettingsError(f"dtype {asked} does not go with ncnn on {device}; it can be {' or '.join(known)}")
    return "float32" if asked == "auto" else asked
