"""Frames of callers as tensors, and restored frames in the kind that came in: numpy, torch or PIL."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from limpid.types import InputError
from limpid.video.picture import quantise


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameKind:
    """What the frames are, so that results can be given back in the same form."""

    library: Literal["numpy", "torch", "PIL"]
    dtype: Any
    height: int
    width: int

    @classmethod
    def of(cls, frame: Any) -> FrameKind:
        """Raises InputError for what is no frame."""
        shape = tuple(getattr(frame, "shape", ()))
        if isinstance(frame, Tensor) and len(shape) == 3 and shape[0] == 3 and frame.is_floating_point():
            return cls(library="torch", dtype=frame.dtype, height=shape[1], width=shape[2])
        known = isinstance(frame, np.ndarray) and (frame.dtype in (np.uint8, np.uint16) or frame.dtype.kind == "f")
        if known and len(shape) == 3 and shape[2] == 3:
            return cls(library="numpy", dtype=frame.dtype, height=shape[0], width=shape[1])
        if _is_pil(frame) and frame.mode == "RGB":
            return cls(library="PIL", dtype=np.dtype(np.uint8), height=frame.height, width=frame.width)
        raise InputError(
            f"a frame is {_described(frame)}; "
            "give numpy arrays h w 3, float torch tensors 3 h w, or RGB images of PIL (image.convert('RGB'))"
        )

    @property
    def most(self) -> float:
        """What stands for 1.0."""
        whole = self.library != "torch" and self.dtype.kind == "u"
        return float(np.iinfo(self.dtype).max) if whole else 1.0

    def to_tensor(self, frame: Any, index: int) -> Tensor:
        """``3 h w`` float32 in [0, 1] on the CPU."""
        if FrameKind.of(frame) != self:
            raise InputError(f"frame {index} is not like the first one: {FrameKind.of(frame)} instead of {self}")
        if self.library == "torch":
            tensor: Tensor = frame.detach().to("cpu", torch.float32)
            return tensor
        scaled = np.divide(np.asarray(frame).transpose(2, 0, 1), np.float32(self.most), dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(scaled))

    def from_tensor(self, frame: Tensor) -> Any:
        """``3 H W`` in [0, 1] -> a frame as they came."""
        if self.library == "torch":
            return frame.to(self.dtype)
        if self.dtype.kind == "f":
            return np.ascontiguousarray(frame.permute(1, 2, 0).numpy(), dtype=self.dtype)
        # Rounded where files are, so that both give the same pixels.
        whole = quantise(frame[None], 8 * self.dtype.itemsize, frame.shape[1], frame.shape[2])[0]
        return import_module("PIL.Image").fromarray(whole) if self.library == "PIL" else whole


def _is_pil(frame: Any) -> bool:
    """Whether it is an image of PIL, which is not imported here: whoever has such an image has imported it."""
    return any(f"{kind.__module__}.{kind.__name__}" == "PIL.Image.Image" for kind in type(frame).__mro__)


def _described(frame: Any) -> str:
    if _is_pil(frame):
        return f"a PIL image of mode {frame.mode}"
    words = (type(frame).__name__, getattr(frame, "dtype", ""), tuple(getattr(frame, "shape", ())))
    return " ".join(str(word) for word in words)
