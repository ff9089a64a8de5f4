"""Captions as embeddings, while training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from limpid.plan.allocator import free_memory
from limpid.priors.text import TextEncoder

REMEMBERED = 4096
"""Embeddings kept; captions of one epoch come back in the next."""


class Texts:
    """``keep``: the encoder stays in memory, because captions come with the clips. Without, only the empty text is
    known, and the encoder is freed at once."""

    def __init__(self, folder: Path, device: torch.device, *, keep: bool) -> None:
        encoder = TextEncoder.load(folder, device, torch.float32)
        self.known = {"": encoder.encode([""]).clone()}
        self.encoder = encoder if keep else None
        if not keep:
            del encoder
            free_memory()

    def embed(self, captions: Sequence[str]) -> Tensor:
        """``b n c``, float32; no gradient."""
        return torch.cat([self._one(text if self.encoder else "") for text in captions])

    def _one(self, text: str) -> Tensor:
        if text not in self.known and self.encoder is not None:
            if len(self.known) >= REMEMBERED:
                self.known.pop(next(key for key in self.known if key))
            self.known[text] = self.encoder.encode([text]).clone()
        return self.known[text]
