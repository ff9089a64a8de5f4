"""The files of tiny: two ends of equal shape, between which `detail` chooses, and a cleaner for `denoise`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from limpid.method import Prior
from limpid.priors.cleaned import CleanedPrior, load_cleaner
from limpid.priors.tiny import load_between, load_tiny
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.types import Placement, SettingsError, WeightsError

TINY_FILE = "tiny.safetensors"
VIVID_FILE = "tiny_vivid.safetensors"
CLEAN_FILE = "tiny_clean.safetensors"
"""Where they lie beside `TINY_FILE`, `detail` leads to the first, and `denoise` is the share of the second."""
TINY_DETAIL = 0.68
"""Where people look best at it (docs/tiny-look.md); 0 is the least error, 1 the most detail."""
TINY_DENOISE = 0.0
"""Clean footage loses texture by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The weights that run: one file, or a place on the line to a second; and how much a cleaner before them does."""

    faithful: Path
    vivid: Path | None = None
    clean: Path | None = None
    detail: float = 0.0
    denoise: float = 0.0

    @property
    def chosen(self) -> dict[str, float]:
        """What of it can be chosen, for the sidecar."""
        there = {"detail": (self.vivid, self.detail), "denoise": (self.clean, self.denoise)}
        return {name: value for name, (path, value) in there.items() if path is not None}

    @property
    def cleaner(self) -> Path | None:
        """The cleaner's file, where it does anything."""
        return self.clean if self.denoise > 0 else None

    def load(self, placement: Placement) -> Prior:
        """Raises `WeightsError` for files that do not fit each other."""
        if self.vivid is None:
            network = load_tiny(self.faithful)
        else:
            network = load_between(self.faithful, self.vivid, self.detail)
        prior = placed_tiny(network, placement)
        return prior if self.cleaner is None else CleanedPrior(prior, load_cleaner(self.cleaner), self.denoise)

    def digest(self) -> str:
        """Hash of what runs: at the ends of detail that of the file, as if there were no other."""
        if self.vivid is None or self.detail == 0:
            parts = [_sha256(self.faithful)]
        elif self.detail == 1:
            parts = [_sha256(self.vivid)]
        else:
            parts = [_sha256(self.faithful), _sha256(self.vivid), repr(self.detail)]
        if self.cleaner is not None:
            parts.append(f"{_sha256(self.cleaner)} {self.denoise!r}")
        return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()


def find_ends(path: Path, detail: float | None, denoise: float | None) -> Ends:
    """Raises SettingsError where something was chosen, and its end is not beside ``path``."""
    vivid, clean = (_beside(path, name) for name in (VIVID_FILE, CLEAN_FILE))
    _refuse_without(path, VIVID_FILE if vivid is None else None, detail=detail)
    _refuse_without(path, CLEAN_FILE if clean is None else None, denoise=denoise)
    return Ends(
        faithful=path,
        vivid=vivid,
        clean=clean,
        detail=0.0 if vivid is None else TINY_DETAIL if detail is None else float(detail),
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
    return hashlib.sha256(path.read_bytes()).hexdigest()
