"""Latents that a decoder learns from: those of the trained denoiser, from a folder, or imitated with noise.

A denoiser's latents are not those of the encoder: they lack some of the detail and have errors of their own, which the
decoder should learn to live with. So Upscale-A-Video and MGLD-VSR run the denoiser over all training clips beforehand.
Here a file per clip, found again by what the LR clip looks like; ``limpid train latents`` makes them
(`limpid.train.latents_run`)::

    make_latents(clips, denoiser(method, prior, steps), folder)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.checkpoints.tensor_files import write_safetensors
from limpid.method import Method, Prior
from limpid.plan.segments import Rung
from limpid.restoration.chunk import Chunk
from limpid.restoration.loop import sample_segment
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.types import InputError, Segment, Step, Window

LATENT = "latent"


def clip_key(lr: Tensor) -> str:
    """Names an LR clip ``t 3 h w`` in [0, 1] by its pixels at 8 bits."""
    pixels = (lr.float() * 255).round().to(torch.uint8).cpu().contiguous()
    return hashlib.sha256(f"{tuple(pixels.shape)}".encode() + pixels.numpy().tobytes()).hexdigest()[:32]


def make_latents(
    batches: Iterable[ClipBatch],
    denoise: Callable[[Tensor], Tensor],
    folder: Path,
    on_clip: Callable[[bool], None] = lambda new: None,
) -> int:
    """Runs a denoiser on all clips, and says how many were new.

    ``denoise``: an LR clip ``t 3 h w`` in [0, 1] to the latent ``t c h w`` as the denoiser has it. What is there
    already is kept, so that an interrupted run goes on. ``on_clip`` is told after each clip whether it was new.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for lr in (lr for batch in batches for lr in batch.lr):
        path = _path(folder, lr)
        new = not path.exists()
        if new:
            unfinished = path.with_suffix(".part")
            write_safetensors(unfinished, {LATENT: denoise(lr)}, torch.float16)
            unfinished.replace(path)
        made += new
        on_clip(new)
    return made


def denoiser(
    method: Method, prior: Prior, steps: tuple[Step, ...], *, seed: int = 0, device: torch.device | str = "cpu"
) -> Callable[[Tensor], Tensor]:
    """A method without its decoder, for `make_latents`; ``prior`` is the method's, loaded on ``device``."""
    whole = replace(method, cuts=method.cuts.decoded_at_once(), color="none")

    def run(lr: Tensor) -> Tensor:
        seen: list[Tensor] = []
        window = Window(start=0, stop=len(lr))
        segment = Segment(index=0, shot=0, shot_start=0, shot_stop=len(lr), core=window, halo=window)
        size = max(lr.shape[-2:])
        chunk = Chunk(frames=lr.to(device), segment=segment, rung=Rung(chunk_frames=len(lr), decode_tile_px=size))
        sample_segment(whole, _Listening(prior, seen), chunk, steps=steps, seed=seed)
        (latent,) = seen
        return latent[0].transpose(0, 1)

    return run


class _Listening:
    """A prior whose decoder only keeps what it is given."""

    def __init__(self, prior: Prior, seen: list[Tensor]) -> None:
        self._prior, self._seen = prior, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._prior, name)

    def decode(self, z: Tensor, condition: Any) -> Tensor:
        self._seen.append(z.float())
        height, width = (size * self._prior.scale for size in z.shape[-2:])
        return z.new_zeros(z.shape[2], 3, height, width)


def _path(folder: Path, lr: Tensor) -> Path:
    return folder / f"{clip_key(lr)}.safetensors"


@dataclass(frozen=True, kw_only=True)
class LatentSource:
    """Where the latents of a batch come from."""

    folder: Path | None = None
    """Written by `make_latents`; the clips must be the same ones, neither cropped nor turned anew. None: imitated."""
    noise: float = 0.1
    """Imitated: the encoder's mean with noise of up to this deviation, drawn for each clip; latents have about 1."""

    def note(self) -> str:
        """What the user must know of it."""
        if self.folder is not None:
            return f"latents are those in {self.folder}; previews of clips that it lacks are of imitated ones"
        return (
            f"latents of the denoiser are imitated by the encoder's with noise up to {self.noise}; the papers run the "
            "trained denoiser over all clips beforehand"
        )

    def inside(self, assets: Path | None) -> LatentSource:
        """With the folder ``latents`` of ``assets``, where there is one and no other was given."""
        found = assets is not None and self.folder is None and (assets / "latents").is_dir()
        return replace(self, folder=assets / "latents") if assets is not None and found else self

    def clips(self, vae: Any, batch: ClipBatch, random: ClipRandom, *, preview: bool = False) -> Tensor:
        """``(b t) c h w`` in units of the autoencoder, ready to be decoded; no gradient.

        ``preview``: latents that are not in the folder are imitated. Raises InputError where they are needed.
        """
        with torch.no_grad():
            if self.folder is None or (preview and not all(_path(self.folder, lr).is_file() for lr in batch.lr)):
                return self.imitated(vae, batch, random)
            return stored(self.folder, batch.lr) / float(vae.config.scaling_factor)

    def imitated(self, vae: Any, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """The encoder's mean of the HR clips, with noise."""
        t, device = batch.hr.shape[1], batch.hr.device
        mean: Tensor = vae.encode(batch.hr.flatten(0, 1) * 2 - 1, num_frames=t)[0].float()
        deviation = self.noise * random.uniform("latent deviation", (1, 1, 1, 1), device)
        noise = random.normal("latent noise", (t, *mean.shape[1:]), device)
        return mean + (deviation * noise / float(vae.config.scaling_factor)).flatten(0, 1)


def stored(folder: Path, clips: Tensor) -> Tensor:
    """Latents ``(b t) c h w`` of LR clips ``b t 3 h w``. Raises InputError when one was not made."""
    found = []
    for lr in clips:
        path = _path(folder, lr)
        if not path.is_file():
            raise InputError(
                f"{folder} has no latents of an LR clip of {tuple(lr.shape)}; make them for these very clips (limpid "
                "train latents), and train without random crops, flips and degradation"
            )
        found.append(load_file(path)[LATENT].to(lr.device).float())
    return torch.cat(found)
