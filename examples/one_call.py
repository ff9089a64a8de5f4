"""One call of each paper's denoiser, on random weights of a small network: what goes in, what comes out.

    python examples/one_call.py [METHOD ...]

Needs the extra ``models``. The weights are made and converted in a temporary folder, as those of the makers would be.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.methods import find_method
from limpid.settings import Settings
from limpid.types import Placement, Prediction, Scene

LARGE = ("upscale-a-video", "diffvsr", "mgld-vsr", "dc-vsr")


@torch.no_grad()
def one_call(name: str, folder: Path, frames: int = 5, size_px: int = 32) -> Prediction:
    """What the denoiser of a method says of pure noise, told of ``frames`` random LR frames."""
    make_random_weights(name, "tiny", folder / "makers")
    convert_weights(name, folder / "makers", folder / "ours")
    method = find_method(name, Settings(method=name, weights=str(folder / "ours")))
    prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    lr = torch.rand(frames, 3, size_px, size_px)
    condition = prior.condition(lr, Scene(seed=0, frames=range(frames), shot=0))
    step = method.make_schedule(method.steps)[0]
    z = torch.randn(1, prior.latent_channels, frames, *prior.latent_size(size_px, size_px))
    return prior.denoise(z * (step.sigma if step.alpha == 1 else 1.0), step, condition)


def main(names: list[str]) -> None:
    for name in names or LARGE:
        with tempfile.TemporaryDirectory() as folder:
            x0 = one_call(name, Path(folder)).x0
        print(f"{name}: x0 and eps are b c t h w = {tuple(x0.shape)}; x0 has a spread of {float(x0.std()):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
