"""Weights of the optical flow network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.types import WeightsError


def convert_flow(found: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors under our names, and the configuration. Raises WeightsError when they do not fit."""
    raise WeightsError(f"{path} cannot be converted yet")


def random_flow(name: str, make: Callable[[str, tuple[int, ...]], Tensor]) -> dict[str, Tensor]:
    """Random weights under the makers' names."""
    raise WeightsError(f"{name} cannot be made yet")
