"""The files of tiny: two ends of equal shape, between which `detail` chooses, each with a cleaner for `denoise`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from limpid.durable.files import sha256_of
from limpid.method import Prior
from limpid.priors.cleaned import CleanedPrior, Cleaner, Cleaning, load_cleaner
from limpid.priors.cleaned_ncnn import placed_cleaner
from limpid.priors.tiny import TinyNetwork, load_tiny
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.types import Placement, SettingsError, WeightsError

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

_Network = TypeVar("_Network", TinyNetwork, Cleaner)


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """A file, or a place on the line from it to a second of equal shape."""

    first: Path
    second: Path | None = None
    share: float = 0.0

    def load(self, load: Callable[[Path], _Network]) -> _Network:
        """The network whose weights lie there; exact at the ends. Raises `WeightsError` for networks of two shapes."""
        if self.second is None or self.share == 0:
            return load(self.first)
        if self.share == 1:
            return load(self.second)
        network, other = load(self.first), load(self.second)
        if network.config != other.config:
            raise WeightsError(
                f"{self.first} and {self.second} are networks of different shapes: nothing lies between them"
            )
        with torch.no_grad():
            for here, there in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
                here.lerp_(there, self.share)
        return network

    def hashes(self) -> list[str]:
        """Hashes of what is read, and how it is mixed; at the ends that of the file, as if there were no other."""
        if self.second is None or self.share == 0:
            return [_sha256(self.first)]
        if self.share == 1:
            return [_sha256(self.second)]
        return [_sha256(self.first), _sha256(self.second), repr(self.share)]


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
    vivid, clean, vivid_clean = (_beside(path, name) for name in (VIVID_FILE, CLEAN_FILE, VIVID_CLEAN_FILE))
    _refuse_without(path, VIVID_FILE if vivid is None else None, detail=detail)
    _refuse_without(path, CLEAN_FILE if clean is None else None, denoise=denoise)
    share = 0.0 if vivid is None else TINY_DETAIL if detail is None else float(detail)
    return Ends(
        network=Between(first=path, second=vivid, share=share),
        clean=None if clean is None else Between(first=clean, second=vivid_clean if vivid else None, share=share),
        denoise=0.0 if clean is None else TINY_DENOISE if denoise is None else float(denoise),
    )


def weights_file(weights: str | Path) -> Path:
    """The file itself, or that in the folder of a training. Raises WeightsError."""
    path = Path(weights) / TINY_FILE if (Path(weights) / TINY_FILE).is_file() else Path(weights)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; leave out --weights for those that ship with Limpid")
    return path


def _beside(path: Path, name: str) -> Path | None:
    other = path.with_name(name)
    return other if path.name == TINY_FILE and other.is_file() else None


def _refuse_without(path: Path, missing: str | None, **given: float | None) -> None:
    for name, value in given.items():
        if missing is not None and value is not None:
            raise SettingsError(f"{name} {value:g} has no effect with {path}: {missing} is not beside it; leave it out")


@cache
def _sha256(path: Path) -> str:
    return sha256_of(path)
