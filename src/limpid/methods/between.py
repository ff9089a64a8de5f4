"""Two weight files of equal shape, faithful and vivid, and the networks on the line between them (`detail`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from limpid.durable.files import sha256_of
from limpid.priors.cleaned import Cleaner
from limpid.priors.small import SmallNetwork
from limpid.priors.tiny import TinyNetwork
from limpid.types import SettingsError, WeightsError

_Network = TypeVar("_Network", TinyNetwork, Cleaner, SmallNetwork)


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """A file, or a place on the line from it to a second of equal shape."""

    first: Path
    second: Path | None = None
    share: float = 0.0

    @classmethod
    def beside(cls, path: Path, first: str, second: str, detail: float | None, default: float) -> Between:
        """At ``detail`` (None: the default) towards the file ``second`` beside ``path``, if `end_beside` finds it.

        Raises SettingsError where ``detail`` was chosen, and it is not there.
        """
        other = end_beside(path, first, second)
        refuse_without(path, second if other is None else None, detail=detail)
        share = 0.0 if other is None else default if detail is None else float(detail)
        return cls(first=path, second=other, share=share)

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


def weights_file(weights: str | Path, name: str) -> Path:
    """The file itself, or that of the name in the folder of a training. Raises WeightsError."""
    path = Path(weights) / name if (Path(weights) / name).is_file() else Path(weights)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; leave out --weights for those that ship with Limpid")
    return path


def end_beside(path: Path, first: str, other: str) -> Path | None:
    """The file ``other`` beside ``path``, if it is there and ``path`` is the ``first`` of a folder of ends."""
    beside = path.with_name(other)
    return beside if path.name == first and beside.is_file() else None


def refuse_without(path: Path, missing: str | None, **given: float | None) -> None:
    """Raises SettingsError where something was chosen, and the file that it leads to is ``missing``."""
    for name, value in given.items():
        if missing is not None and value is not None:
            raise SettingsError(f"{name} {value:g} has no effect with {path}: {missing} is not beside it; leave it out")


@cache
def _sha256(path: Path) -> str:
    return sha256_of(path)
