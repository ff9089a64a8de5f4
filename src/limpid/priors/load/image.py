"""Files of image networks -> what is known of them, and a prior that is ready to run.

``.param`` and ``.bin`` run in ncnn; ``.pth`` and ``.safetensors`` in PyTorch, by the package `spandrel`, which knows
some forty architectures. A network is probed when it is met for the first time; what was found is kept in the user's
cache, by the hash of its files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from limpid.bounded import json_object, read_json
from limpid.checkpoints.folders import weights_root
from limpid.checkpoints.state_dicts import read_state
from limpid.durable.files import sha256_of, write_atomic
from limpid.priors.image import ImagePrior
from limpid.runtimes.files import NcnnFiles
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.probe import ImageNetworkFacts, probe_network
from limpid.runtimes.trial import enlarge_once, examine_network
from limpid.types import Placement, SettingsError, WeightsError

PROBE_VERSION = 1
"""Counted up when a probe finds other values for the same network."""
TORCH_ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors")


@dataclass(frozen=True, slots=True)
class ImageWeights:
    """The file of an image network that a user named; in ncnn it stands for two."""

    path: Path
    runtime: Literal["ncnn", "torch"]

    @staticmethod
    def of(model: str | Path) -> ImageWeights:
        """By its name. Raises WeightsError."""
        path = Path(model)
        if path.suffix.lower() in TORCH_ENDINGS:
            if not path.is_file():
                raise WeightsError(f"{path}: there is no such file")
            return ImageWeights(path, "torch")
        return ImageWeights(NcnnFiles.of(path).param, "ncnn")

    def digest(self) -> str:
        """Hash of the files, which identifies the network. Raises WeightsError."""
        return NcnnFiles.of(self.path).digest() if self.runtime == "ncnn" else sha256_of(self.path)

    def facts(self) -> ImageNetworkFacts:
        """What the network does: as it was found before, or by running it. Raises WeightsError or SettingsError."""
        place = weights_root() / "probed" / f"{self.digest()}-{PROBE_VERSION}.json"
        known = _recall_facts(place)
        if known is not None:
            return known
        found = examine_network(NcnnFiles.of(self.path)) if self.runtime == "ncnn" else _probe_in_torch(self.path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, json.dumps(found.to_dict()) + "\n")
        except OSError:
            pass  # it is found again next time
        return found

    def load(self, facts: ImageNetworkFacts, placement: Placement) -> ImagePrior:
        """The network, ready to run where the placement says."""
        if self.runtime == "torch":
            return ImagePrior(_in_torch(self.path, placement), facts)
        half = placement.dtype == torch.float16
        stem = NcnnFiles.of(self.path).stem
        network = NcnnNetwork(stem, threads=placement.threads, vulkan=placement.vulkan, half=half)
        return ImagePrior(_in_ncnn(network), facts)


def load_image_network(weights: ImageWeights, facts: ImageNetworkFacts, placement: Placement) -> ImagePrior:
    """`ImageWeights.load`, for a method."""
    return weights.load(facts, placement)


def _recall_facts(place: Path) -> ImageNetworkFacts | None:
    try:
        return ImageNetworkFacts.from_dict(json_object(read_json(place, 1 << 16)))
    except (OSError, ValueError):
        return None


def _in_ncnn(network: NcnnNetwork) -> Any:
    def enlarge(frames: Tensor) -> Tensor:
        pictures = np.ascontiguousarray(frames.float().cpu().numpy())
        return torch.from_numpy(np.stack([enlarge_once(network, picture) for picture in pictures]))

    return enlarge


# ---------------------------------------------------------------------------------------------- spandrel


def _in_torch(path: Path, placement: Placement) -> Any:
    """What enlarges frames by a network that spandrel knows. Raises WeightsError, or SettingsError without it."""
    model = _descriptor(path)
    dtype = placement.dtype if _supports(model, placement.dtype) else torch.float32
    model.model.to(placement.device, dtype).eval().requires_grad_(False)

    @torch.no_grad()
    def enlarge(frames: Tensor) -> Tensor:
        made: Tensor = model(frames.to(placement.device, dtype))
        return made.float()

    return enlarge


def _descriptor(path: Path) -> Any:
    try:
        spandrel = import_module("spandrel")
    except ImportError as error:
        raise SettingsError(
            f"{path.name} needs the package spandrel, which is not here: "
            "pip install spandrel, or limpid-video[spandrel]"
        ) from error
    state = read_state(path)
    try:
        model = spandrel.ModelLoader(device="cpu").load_from_state_dict(state)
    except Exception as error:
        says = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WeightsError(f"{path}: spandrel knows no network of this form ({says})") from error
    if getattr(model, "input_channels", 3) != 3 or getattr(model, "output_channels", 3) != 3:
        raise WeightsError(f"{path} is a network for {model.input_channels} channels; 3 are needed")
    return model


def _supports(model: Any, dtype: torch.dtype) -> bool:
    known = {torch.float16: "supports_half", torch.bfloat16: "supports_bfloat16"}
    return bool(getattr(model, known[dtype], False)) if dtype in known else True


def _probe_in_torch(path: Path) -> ImageNetworkFacts:
    enlarge = _in_torch(path, Placement(device=torch.device("cpu"), dtype=torch.float32))

    def once(picture: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(enlarge(torch.from_numpy(picture)[None])[0].numpy())
        except (RuntimeError, ValueError, AssertionError) as error:
            raise WeightsError(f"it could not be run: {' '.join(str(error).split())[:200]}") from error

    try:
        return probe_network(once)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be used: {error}") from error
