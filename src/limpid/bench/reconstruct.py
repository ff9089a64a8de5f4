"""An autoencoder by itself: true frames to latents and back, with no denoiser between (DiffVSR Table 4)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_CHUNK_FRAMES = 8
"""Frames that the decoder sees at once, as in its training."""


def reconstruct(job: dict[str, Any]) -> dict[str, Any]:
    """Encode the clip ``source`` to the means of its latents and decode them into PNG files in ``target``.

    ``settings`` of the job: ``weights``, a folder of converted weights whose ``vae`` is measured; ``device``;
    ``shape``, the frames, height and width that are wanted of the source.
    """
    import time

    import torch

    from limpid.bench.frames import cropped, read_frames, write_frames
    from limpid.checkpoints.folders import read_card
    from limpid.plan.device import choose_device
    from limpid.priors.load.upscaler import UpscalerFiles, load_autoencoder
    from limpid.types import Placement

    settings = job["settings"]
    folder, device = Path(settings["weights"]), choose_device(settings.get("device", "auto"))
    count, height, width = settings["shape"]
    frames = cropped(read_frames(Path(job["source"]), count)[0], height, width)
    vae = load_autoencoder(UpscalerFiles(folder=folder), Placement(device=device, dtype=torch.float32))
    start = time.perf_counter()
    pixels = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    with torch.inference_mode():
        made = torch.cat([_through(vae, pixels[part].to(device)).cpu() for part in decoder_chunks(count)])
    seconds = time.perf_counter() - start
    write_frames(Path(job["target"]), made.permute(0, 2, 3, 1).numpy())
    return {"restore_s": round(seconds, 6), "device": str(device), "random_weights": read_card(folder).random}


def _through(vae: Any, frames: torch.Tensor) -> torch.Tensor:
    """Frames ``t 3 H W`` in [-1, 1] to uint8."""
    mean, _ = vae.encode(frames, num_frames=len(frames))
    made = vae.decode(mean, num_frames=len(frames)).float()
    levels: torch.Tensor = made.clamp(-1, 1).add(1).mul(127.5).round().byte()
    return levels


def decoder_chunks(count: int) -> list[slice]:
    """Chunks that the decoder takes one by one: of equal length as far as that can be, without overlap."""
    number = -(-count // _CHUNK_FRAMES)
    starts = [index * count // number for index in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(starts)]
