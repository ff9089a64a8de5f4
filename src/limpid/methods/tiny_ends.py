"""The files of tiny: two ends of equal shape, between which `detail` chooses, each with a cleaner for `denoise`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from limpid.method import Prior
from limpid.methods.between import Between, end_beside, refuse_without
from limpid.priors.cleaned import CleanedPrior, Cleaning, load_cleaner
from limpid.priors.cleaned_ncnn import placed_cleaner
from limpid.priors.tiny import load_tiny
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.types import Placement

TINY_FILE = "tiny.safetensors"
VIVID_FILE = "tiny_vivid.safetensors"
CLEAN_FILE = "tiny_clean.safetensors"
VIVID_CLEAN_FILE = "tiny_vivid_clean.safetensors"
"""Where they lie beside `TINY_FILE`, `detail` leads to the second, and `denoise` is the share of a cleaner before it:
the third, or the fourth before the vivid end."""
TINY_DETAIL = 0.48
"""As vivid as still gains 0.6 dB over bicubic (docs/tiny-look.md); 0 is the least error, 1 the most detail."""
TINY_DENOISE = 1.0
"""As the ends were trained. Less leaves more of the damage, and of the detail that the cleaner brings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The weights that run: those of the network, and of the cleaner before it with how much it does."""

    network: Between
    clean: Between | None = None
    denoise: float = 0.0

    @property
    def chosen(self) -> dict[str, float]:
        """What of it can be chosen, for the sidecar."""
        detail = {} if self.network.second is None else {"detail": self.network.share}
        return detail if self.clean is None else {**detail, "denoise": self.denoise}

    @property
    def cleaner(self) -> Between | None:
        """The cleaner, where it does anything."""
        return self.clean if self.denoise > 0 else None

    def load(self, placement: Placement) -> Prior:
        """Raises `WeightsError` for files that do not fit each other."""
        prior = placed_tiny(self.network.load(load_tiny), placement)
        if self.cleaner is None:
            return prior
        changes = placed_cleaner(self.cleaner.load(load_cleaner), placement)
        return CleanedPrior(prior, Cleaning(changes=changes, share=self.denoise))

    def digest(self) -> str:
        """Hash of what runs; of a file alone where no other has a part in it."""
        parts = self.network.hashes()
        if self.cleaner is not None:
            parts.append(" ".join([*self.cleaner.hashes(), repr(self.denoise)]))
        return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()


def find_ends(path: Path, detail: float | None, denoise: float | None) -> Ends:
    """Raises SettingsError where something was chosen, and its end is not beside ``path``."""
    network = Between.beside(path, TINY_FILE, VIVID_FILE, detail, TINY_DETAIL)
    clean, vivid_clean = (end_beside(path, TINY_FILE, name) for name in (CLEAN_FILE, VIVID_CLEAN_FILE))
    refuse_without(path, CLEAN_FILE if clean is None else None, denoise=denoise)
    second = vivid_clean if network.second else None
    return Ends(
        network=network,
        clean=None if clean is None else Between(first=clean, second=second, share=network.share),
        denoise=0.0 if clean is None else TINY_DENOISE if denoise is None else float(denoise),
    )
