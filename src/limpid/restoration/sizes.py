"""How a method is cut on one picture size: planning a whole file and streaming both ask here."""

from __future__ import annotations

from fractions import Fraction

from limpid.cuts.base import Sizes
from limpid.method import Method
from limpid.plan.device import Machine
from limpid.plan.memory import Budget
from limpid.settings import Settings


def sizes_of(
    method: Method, settings: Settings, machine: Machine, *, width: int, height: int, fps: Fraction, budget: Budget
) -> Sizes:
    """Segments, chunks and tiles for an input of ``width`` x ``height`` and the memory there is."""
    value_bytes = machine.torch_dtype.itemsize
    return method.cuts.sizes(
        method.demand(settings, width=width, height=height, fps=fps, bytes_per_value=value_bytes, budget=budget)
    )
