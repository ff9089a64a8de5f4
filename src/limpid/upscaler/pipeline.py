"""`LimpidPipeline`: `limpid.Upscaler` as programs that know diffusers expect it, ``from_pretrained`` and a call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch

from limpid.bounded import quoted
from limpid.checkpoints.folders import INDEX
from limpid.checkpoints.index import read_model_index
from limpid.checkpoints.verify import broken_files
from limpid.methods import method_names
from limpid.restoration.frame_kind import FrameKind
from limpid.types import InputError, SettingsError, WeightsError
from limpid.upscaler import hub
from limpid.upscaler.upscaler import Upscaler

OutputType = Literal["np", "pt", "pil"]
_KINDS: dict[str, tuple[Any, Any]] = {"np": ("numpy", np.dtype(np.float32)), "pt": ("torch", torch.float32)}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class PipelineOutput:
    """What a call gives."""

    frames: list[Any]
    """One entry, the video: ``t H W 3`` floats for "np", ``t 3 H W`` floats for "pt", a list of images for "pil"."""

    def __getitem__(self, index: int) -> list[Any]:
        """``output[0]`` is `frames`, as in diffusers."""
        return (self.frames,)[index]


class LimpidPipeline:
    """A method with its weights, called with a video in memory; a thin shim over `limpid.Upscaler`.

    Films in files are for ``pipeline.upscaler.film``, which never holds all frames.

    Args:
        upscaler: what computes; the pixels are its own.
    """

    def __init__(self, upscaler: Upscaler) -> None:
        self.upscaler = upscaler

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        download: bool = False,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        torch_dtype: torch.dtype | None = None,
        **changes: Any,
    ) -> Self:
        """The pipeline of a folder that ``limpid weights convert`` or a training of Limpid wrote.

        Args:
            folder: with a ``model_index.json``; or a repository of such files on the Hugging Face hub, "org/name".
            download: whether a repository that is not here may be fetched. Needs the extra ``limpid-video[hub]``.
            revision, cache_dir: of a repository, as huggingface_hub takes them.
            torch_dtype: number format of the networks; the option ``dtype`` by the name it has in diffusers.
            changes: options by the names of `limpid.Settings`, for all calls.

        Raises:
            WeightsError: there is no such folder, or it is not whole; files are told by their sizes, downloaded ones
                by their hashes.
            SettingsError: an option does not fit the method, or a package is missing.
        """
        place = _place_of(folder, download=download, revision=revision, cache_dir=cache_dir)
        index = read_model_index(place / INDEX)
        for problem in broken_files(place, index.files, hashed=False):
            raise WeightsError(f"{place} is not whole: {problem}; see limpid weights verify {place}")
        if index.method not in method_names():
            raise WeightsError(f"{place} is for the method {quoted(index.method)}, which is not here (limpid methods)")
        if torch_dtype is not None:
            changes["dtype"] = str(torch_dtype).removeprefix("torch.")
        return cls(Upscaler(method=index.method, weights=str(place), **changes))

    def to(self, device: str | torch.device) -> Self:
        """Computes on another device from now on; returns itself."""
        moved = Upscaler(settings=self.upscaler.settings.replace(device=str(device)))
        self.upscaler.close()
        self.upscaler = moved
        return self

    def __call__(
        self,
        video: Any,
        prompt: str | None = None,
        *,
        num_inference_steps: int | None = None,
        generator: torch.Generator | None = None,
        output_type: OutputType = "np",
        fps: Fraction | float | str = 25,
        cuts: Iterable[int] = (),
        **changes: Any,
    ) -> PipelineOutput:
        """Restore a video.

        Args:
            video: its frames: an array ``t h w 3``, a tensor ``t 3 h w``, or a list of images; see `limpid.restore`.
            num_inference_steps, generator: the options ``steps`` and ``seed`` as diffusers has them; of a generator
                its first seed is taken.
            output_type: what the frames of the result are.
            changes: other options for this call, ``negative_prompt`` and ``guidance_scale`` for instance; also
                ``on_event`` and ``stop`` of `Upscaler.frames`.

        Raises:
            InputError: the video is none.
            SettingsError: an option does not fit.
        """
        if isinstance(video, str | Path):
            raise InputError(f"{video} is a path; pipeline.upscaler.film({str(video)!r}) restores files")
        if output_type not in get_args(OutputType):
            raise SettingsError(f"output_type is {quoted(output_type)}; it can be {', '.join(get_args(OutputType))}")
        seed = None if generator is None else generator.initial_seed()
        named = {"prompt": prompt, "steps": num_inference_steps, "seed": seed}
        chosen = {**{name: value for name, value in named.items() if value is not None}, **changes}
        if not len(video):
            raise InputError("the video has no frames")
        kind = FrameKind.of(video[0])
        tensors = (kind.to_tensor(frame, index) for index, frame in enumerate(video))
        restored = self.upscaler.frames(tensors, fps=fps, cuts=cuts, **chosen)
        return PipelineOutput(frames=[_video_of(restored, output_type)])


def _place_of(folder: str | Path, *, download: bool, revision: str | None, cache_dir: str | Path | None) -> Path:
    """Where the files lie. Nothing is fetched unless that is asked for."""
    if Path(folder).is_dir() or not _REPOSITORY.fullmatch(str(folder)):
        return Path(folder)
    name = str(folder)
    if download:
        return hub.downloaded(name, revision=revision, cache_dir=cache_dir)
    found = hub.cached(name, revision=revision, cache_dir=cache_dir)
    if found is None:
        raise WeightsError(
            f"{name} is no folder here, and was not downloaded; download=True fetches it from the Hugging Face hub"
        )
    return found


def _video_of(restored: Iterable[torch.Tensor], output_type: OutputType) -> Any:
    library, dtype = _KINDS.get(output_type, ("PIL", np.dtype(np.uint8)))
    tensors = list(restored)
    height, width = tensors[0].shape[-2:]
    kind = FrameKind(library=library, dtype=dtype, height=height, width=width)
    frames = [kind.from_tensor(frame) for frame in tensors]
    return torch.stack(frames) if output_type == "pt" else np.stack(frames) if output_type == "np" else frames
