"""A network in ncnn, ready to run on the processor or on a Vulkan device."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limpid.runtimes.package import import_ncnn
from limpid.runtimes.writing import NcnnGraph
from limpid.types import WeightsError

OUT_OF_MEMORY = -100
"""What layers of ncnn return when they get no memory."""


class NcnnNetwork:
    """Runs pictures ``c h w``, float32, one by one; the same bits each time for one number of threads."""

    def __init__(self, stem: Path, *, threads: int = 1, vulkan: int | None = None, half: bool = False) -> None:
        """Reads ``stem.param`` and ``stem.bin``.

        Args:
            vulkan: number of the Vulkan device; None: the processor.
            half: float16 instead of float32, on a Vulkan device.

        Raises:
            WeightsError: ncnn cannot read them. SettingsError: the package is missing.
        """
        self.ncnn = import_ncnn("this network")
        self.net = self.ncnn.Net()
        option = self.net.opt
        option.num_threads = threads
        option.use_vulkan_compute = vulkan is not None
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(option, name, half)
        if vulkan is not None:
            self.net.set_vulkan_device(vulkan)
        if self.net.load_param(f"{stem}.param") or self.net.load_model(f"{stem}.bin"):
            raise WeightsError(f"{stem}.param: ncnn cannot read this network")

    @classmethod
    def of_graph(cls, graph: NcnnGraph, **where: Any) -> NcnnNetwork:
        """A network that was just put together; ncnn reads files only, which are deleted again."""
        with tempfile.TemporaryDirectory(prefix="limpid-ncnn-") as folder:
            graph.save(Path(folder) / "network")
            return cls(Path(folder) / "network", **where)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(self.net.input_names())

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(self.net.output_names())

    def mat(self, picture: np.ndarray, *, shared: bool = False) -> Any:
        """What ncnn reads of a float32 array ``c h w``.

        ``shared``: it looks into the array's memory, which must stay as it is. A network whose first layer works in
        place (ReLU, a sum with a number) crashes on memory that is not its own.
        """
        if picture.dtype != np.float32 or not picture.flags.c_contiguous:
            raise ValueError(f"ncnn reads plain float32 arrays, not {picture.dtype} with strides {picture.strides}")
        mat = self.ncnn.Mat(picture)
        return mat if shared else mat.clone()

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str], *, packed: bool = False) -> list[Any]:
        """What the network makes of pictures (`mat`), by name.

        ``packed``: in ncnn's own layout, to be given to it again, and without a copy; else for `numpy.array`. Raises
        MemoryError where memory runs out, WeightsError where the network cannot be run.
        """
        extractor = self.net.create_extractor()
        for name, given in inputs.items():
            if extractor.input(name, given):
                raise WeightsError(f"the network has no input called {name!r}")
        return [self._extract(extractor, name, packed) for name in outputs]

    def _extract(self, extractor: Any, name: str, packed: bool) -> Any:
        failed, found = extractor.extract(name, int(packed))
        if failed == OUT_OF_MEMORY:
            raise MemoryError("ncnn is out of memory")
        if failed:
            raise WeightsError(f"ncnn could not run the network as far as {name!r}")
        return found
