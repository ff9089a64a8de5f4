"""Metrics that the package pyiqa computes: NRQM, MUSIQ, and CLIP-IQA with either set of prompts.

pyiqa is not for commercial use (PolyForm-Noncommercial-1.0.0, parts under S-Lab 1.0), so it is an extra and is imported
here only. It would fetch weights by itself; it is given files of the folder of weights instead. The weights of MUSIQ
are read by Limpid, without running what is in the file; NRQM's are read by SciPy, CLIP's by TorchScript.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.metrics.files import stamp
from limpid.metrics.kinds import NotMeasurableError

HOW_TO_INSTALL = (
    "also needs the package pyiqa, which is not for commercial use (PolyForm-Noncommercial-1.0.0, parts S-Lab 1.0): "
    'pip install "limpid-video[pyiqa]"'
)
OFFICIAL_PROMPTS = ("Good photo.", "Bad photo.")
Judge = Callable[[torch.Tensor], torch.Tensor]


def pyiqa_installed() -> bool:
    """Whether the package pyiqa is there; whether it can be loaded shows only then."""
    return importlib.util.find_spec("pyiqa") is not None


@torch.no_grad()
def scores(judge: str, frames: np.ndarray, path: Path) -> list[float]:
    """Scores of a judge for each frame, RGB uint8 ``t h w 3``, on the CPU.

    ``judge``: ``nrqm``, ``musiq``, ``clipiqa`` or ``clipiqa-official``; ``path``: its weights. Raises
    NotMeasurableError where pyiqa or the weights cannot be loaded.
    """
    network = _judge(judge, *stamp(path))
    pictures = (torch.from_numpy(np.array(f, np.float32)).permute(2, 0, 1)[None] / 255 for f in frames)
    return [float(network(picture)) for picture in pictures]


@lru_cache(maxsize=1)
def _judge(judge: str, path: Path, _: int, __: int) -> Judge:
    """A judge, loaded with stdout redirected: pyiqa speaks there while it loads, and JSON may be read from it."""
    make = _package()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return _made(judge, make, path)
    except NotMeasurableError:
        raise
    except Exception as error:
        raise NotMeasurableError(f"pyiqa cannot load {path}: {type(error).__name__}: {error}") from error


def _package() -> Callable[..., Any]:
    try:
        from pyiqa import create_metric
    except ModuleNotFoundError as error:
        if error.name == "pyiqa":
            raise NotMeasurableError(HOW_TO_INSTALL) from error
        raise NotMeasurableError(f"pyiqa is installed, but lacks a package that it needs: {error}") from error
    except Exception as error:  # a torchvision that does not belong to this torch fails with RuntimeError
        raise NotMeasurableError(f"pyiqa is installed, but cannot be loaded: {error}") from error
    made: Callable[..., Any] = create_metric
    return made


def _made(judge: str, make: Callable[..., Any], path: Path) -> Judge:
    if judge == "musiq":
        return _musiq(make, path)
    if judge == "nrqm":
        found: Judge = make("nrqm", device="cpu", pretrained_model_path=str(path))
        return found
    metric = make("clipiqa", device="cpu", backbone=str(path))
    if judge == "clipiqa-official":
        from clip import tokenize  # comes with pyiqa

        metric.net.prompt_pairs = tokenize(list(OFFICIAL_PROMPTS))
    made: Judge = metric
    return made


def _musiq(make: Callable[..., Any], path: Path) -> Judge:
    from limpid.metrics.perceptual import read_tensors

    metric = make("musiq", device="cpu", pretrained=False)
    metric.net.load_state_dict({name.removeprefix("module."): t for name, t in read_tensors(path).items()})
    made: Judge = metric
    return made
