"""Which networks stay on the device between calls: the fastest kind of offloading that fits."""

from __future__ import annotations

from collections.abc import Mapping

from limpid.plan.memory import GIB
from limpid.types import Offload


def choose_offload(weights_bytes: Mapping[str, int], work_bytes: int, budget_bytes: int) -> tuple[Offload, str]:
    """The fastest kind of offloading that fits, and why, in a sentence.

    Args:
        weights_bytes: per network that is used again and again, in its number format.
        work_bytes: what the largest call needs besides weights.
        budget_bytes: what may be used of the device.
    """
    total = sum(weights_bytes.values())
    work = f"{_gib(work_bytes)} of work"
    if total + work_bytes <= budget_bytes:
        return "none", f"{_gib(total)} of weights and {work} fit into {_gib(budget_bytes)}: all stays on the device"
    largest = max(weights_bytes, key=lambda name: weights_bytes[name], default="")
    most = weights_bytes.get(largest, 0)
    if len(weights_bytes) > 1 and most + work_bytes <= budget_bytes:
        reason = f"{_gib(total)} of weights and {work} do not fit into {_gib(budget_bytes)} at once"
        return "model", f"{reason}: one network at a time is on the device"
    if work_bytes <= budget_bytes:
        reason = f"{largest} with {_gib(most)} of weights and {work} do not fit into {_gib(budget_bytes)}"
        return "group", f"{reason}: layers are on the device one after the other, which is slow"
    reason = f"{work} alone does not fit into {_gib(budget_bytes)}"
    return "group", f"{reason}: layers are on the device one after the other, and smaller tiles or windows are needed"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
