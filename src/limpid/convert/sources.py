"""Finding the makers' files below the folders that a person gives, and the tensors in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.checkpoints.configs import read_config
from limpid.checkpoints.folders import CARD, file_facts
from limpid.checkpoints.state_dicts import read_state
from limpid.types import WeightsError

RANDOM_MARK = "limpid_random.json"
"""In a folder of the makers' format that `limpid.convert.random_weights` wrote."""
COMMON_NAMES = ("config.json", "diffusion_pytorch_model", "model", "pytorch_model", "scheduler_config.json")


@dataclass(kw_only=True)
class MakersFiles:
    """The makers' files: a folder, or one file of them; further folders are looked through afterwards."""

    given: Path
    others: tuple[Path, ...] = ()
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every file that was read, with its hash and size."""

    def __post_init__(self) -> None:
        if not self.given.exists():
            raise WeightsError(f"{self.given} does not exist")
        if (self.given / CARD).is_file():
            raise WeightsError(f"{self.given} is converted already; the makers' files are needed")

    @property
    def random(self) -> bool:
        """Whether a folder of random weights is among them."""
        return any((root / RANDOM_MARK).is_file() for root in self.roots())

    def roots(self) -> Iterator[Path]:
        """Folders in which names are looked up: as given, then those inside."""
        first = self.given if self.given.is_dir() else self.given.parent
        for root in (first, *self.others):
            yield root
            yield from sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ()

    def find(self, *names: str) -> Path | None:
        """The first file that is there. Names that say enough may also lie outside of their folder."""
        if self.given.is_file() and any(Path(name).name == self.given.name for name in names):
            return self.given
        for root in self.roots():
            for name in names:
                places = [root / name]
                if not Path(name).name.startswith(COMMON_NAMES):
                    places.append(root / Path(name).name)
                for place in places:
                    if place.is_file():
                        return place
        return None

    def need(self, *names: str) -> Path:
        """`find`, or WeightsError."""
        found = self.find(*names)
        if found is None:
            more = f" or {' or '.join(map(str, self.others))}" if self.others else ""
            raise WeightsError(f"{' or '.join(names)} is not in {self.given}{more}")
        return found

    def use(self, path: Path) -> Path:
        """Remembers the file for the card, by its name inside the folder that was given."""
        inside = [root for root in (self.given, *self.others) if path.is_relative_to(root) and path != root]
        name = path.relative_to(inside[0]).as_posix() if inside else path.name
        if name not in self.used:
            self.used[name] = file_facts(path)
        return path

    def read_json(self, path: Path) -> dict[str, Any]:
        return read_config(self.use(path))

    def read_tensors(self, path: Path) -> dict[str, Tensor]:
        """Names and memory-mapped tensors. Raises WeightsError."""
        tensors = read_state(path)
        self.use(path)
        return tensors
