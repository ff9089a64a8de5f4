"""The method that runs unless another is chosen: the sharper of the two models that ship with Limpid."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from limpid.cuts.cost import Cost
from limpid.cuts.local import Local
from limpid.diffusion.samplers import Euler
from limpid.flow.aligned import FLOW_BYTES_PER_PX, PICTURE_BYTES_PER_PX, SEARCH_BYTES_PER_PX
from limpid.method import Method, Prior, Weights
from limpid.methods.between import Between, weights_file
from limpid.methods.common import SUMMARIES
from limpid.methods.image import ONLY_STEP
from limpid.priors.small import load_small, read_small_config
from limpid.priors.small_ncnn import placed_small
from limpid.types import Placement

SMALL_FILE = "small.safetensors"
SMALL_VIVID_FILE = "small_vivid.safetensors"
"""Where it lies beside `SMALL_FILE`, `detail` leads to it."""
SMALL_WEIGHTS = Path(str(files("limpid") / "weights" / SMALL_FILE))
SMALL_DETAIL = 0.72
"""As vivid as still gains 0.6 dB over bicubic (docs/small-look.md); 0 is the least error, 1 the most detail."""


def small(*, weights: str | Path = SMALL_WEIGHTS, detail: float | None = None) -> Method:
    """Ours: a network of plain convolutions at the size of the input that ships with the package.

    One call, no noise: it has no steps and no strategies, which have nothing to work on. A run that is given a seed
    says that it has no effect; who always gives one, as node editors do, should not be refused. ``detail``, 0 to 1,
    interpolates between the weights of two ends, as that of `limpid.methods.tiny.tiny`.
    """
    path = weights_file(weights, SMALL_FILE)
    ends = Between.beside(path, SMALL_FILE, SMALL_VIVID_FILE, detail, SMALL_DETAIL)
    config = read_small_config(path)

    def load(placement: Placement) -> Prior:
        return placed_small(ends.load(load_small), placement)

    return Method(
        name="small",
        summary=SUMMARIES["small"],
        load=load,
        scale=config.scale,
        steps=1,
        make_schedule=lambda num_steps: (ONLY_STEP,),
        sampler=Euler(),
        cuts=Local(
            reach_frames=config.radius_frames,
            reach_px=config.radius_px,
            decode_reach_px=2,
            neighbours=config.neighbours,
        ),
        cost=Cost(
            latent_bytes_per_px=12 * config.scale**2,
            work_bytes_per_px=config.work_bytes_per_px,
            direct_bytes_per_px=config.work_bytes_per_px,
            flow_bytes_per_px=FLOW_BYTES_PER_PX * len(config.neighbours),
            moving_bytes_per_px=PICTURE_BYTES_PER_PX * (2 * config.radius_frames + 1) + SEARCH_BYTES_PER_PX,
        ),
        weights=Weights(digest=lambda: " ".join(ends.hashes())),
        options=frozenset({"seed", "color", "tile_px", "runtime"}),
        runtimes=("torch", "ncnn"),
        chosen={} if ends.second is None else {"detail": ends.share},
    )
