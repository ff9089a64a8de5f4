"""Teachers: picture networks in the files of ncnn (``.param`` and ``.bin``), run on processors by the package `ncnn`.

Real-ESRGAN's networks are given out in this form. The package is only needed to prepare clips with a teacher and for
benchmarks, so it is no requirement of Limpid.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from limpid.types import SettingsError, WeightsError

PAD_PX = 10
"""Mirrored around each frame and cut away afterwards, input pixels: networks pad with black."""


class NcnnTeacher:
    """Enlarges frames one by one with a network that takes ``data`` and gives ``output``, RGB in [0, 1].

    It can be sent to other processes; the network is read where it is first used.
    """

    def __init__(self, model: str | Path) -> None:
        """``model``: the ``.param`` file, or its path without the ending; ``.bin`` lies beside it.

        Raises:
            WeightsError: a file is missing. SettingsError: the package `ncnn` is.
        """
        path = Path(model)
        self.stem = path.with_suffix("") if path.suffix in (".param", ".bin") else path
        for file in self.files:
            if not file.is_file():
                raise WeightsError(f"{file}: there is no such file; a teacher is a .param and a .bin of ncnn")
        _import_ncnn()

    @property
    def files(self) -> tuple[Path, Path]:
        return Path(f"{self.stem}.param"), Path(f"{self.stem}.bin")

    @property
    def digest(self) -> str:
        """SHA-256 of both files, one after the other."""
        return hashlib.sha256(b"".join(file.read_bytes() for file in self.files)).hexdigest()

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """RGB uint8 ``t h w 3`` -> ``t s*h s*w 3``, with the network's own scale s."""
        return np.stack([self._one(frame) for frame in frames])

    def _one(self, frame: np.ndarray) -> np.ndarray:
        padded = np.pad(frame, ((PAD_PX, PAD_PX), (PAD_PX, PAD_PX), (0, 0)), mode="reflect")
        planes = np.ascontiguousarray(padded.astype(np.float32).transpose(2, 0, 1) / 255)
        large = _run(_network(self.stem), planes)
        scale = large.shape[1] // padded.shape[0]
        cut = PAD_PX * scale
        return np.asarray(np.rint(large.transpose(1, 2, 0)[cut:-cut, cut:-cut].clip(0, 1) * 255), np.uint8)


def _import_ncnn() -> Any:
    try:
        ncnn = import_module("ncnn")
    except ImportError as error:
        raise SettingsError("a teacher needs the package ncnn, which is not here: pip install ncnn") from error
    return ncnn


@cache
def _network(stem: Path) -> Any:
    ncnn = _import_ncnn()
    network = ncnn.Net()
    network.opt.use_vulkan_compute = False
    network.opt.num_threads = 1
    if network.load_param(f"{stem}.param") or network.load_model(f"{stem}.bin"):
        raise WeightsError(f"{stem}.param: ncnn cannot read this network")
    return network


def _run(network: Any, planes: np.ndarray) -> np.ndarray:
    ncnn = _import_ncnn()
    extractor = network.create_extractor()
    given = ncnn.Mat(planes)  # looks into the memory of planes, which lives until the end of this function
    extractor.input("data", given)
    failed, output = extractor.extract("output")
    if failed:
        raise WeightsError("ncnn could not run the teacher: its input must be called data, its output output")
    return np.array(output)
