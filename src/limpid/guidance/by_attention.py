"""What the guidances by weaker self-attention (DSSAG, SAG, PAG) have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class ByAttention:
    """Hyper-parameters that all of them have, and what follows from calls of differently patched networks."""

    scale: float
    """w; each guidance says what it weighs."""
    classifier_free: bool = True
    """Whether the method can be told less than it is (no prompt), so that CFG is part of the guidance."""

    @property
    def changes_attention(self) -> bool:
        return True

    def in_one_batch(self) -> Self:
        """As it is: a layer is patched for one call and plain for another, so they cannot be made together."""
        return self
