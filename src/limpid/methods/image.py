"""Any image network: the models that people have, with what Limpid gives films around them."""

from __future__ import annotations

from functools import partial

from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from limpid.consistency.detail_filter import DetailFilter
from limpid.cuts.base import Cuts
from limpid.cuts.blended import Blended
from limpid.cuts.cost import Cost
from limpid.cuts.local import Local
from limpid.diffusion.samplers import Euler
from limpid.method import Method, Strategy, Weights
from limpid.methods.common import SUMMARIES, only_one
from limpid.plan.segments import ALIGN_PX
from limpid.priors.load.image import ImageWeights, load_image_network
from limpid.runtimes.probe import ImageNetworkFacts
from limpid.types import Step, WeightsError

BLENDED_TILE_PX, BLENDED_OVERLAP_PX = 256, 32
"""Tiles of networks that look farther than a halo can be; their size belongs to the result."""
ONLY_STEP = Step(index=0, count=1, t=0.0, alpha=1.0, sigma=1.0, alpha_next=1.0, sigma_next=0.0)


def image(*, weights: str | None = None, consistency: str = "none") -> Method:
    """An image network from the files that a user names, frame by frame.

    How much it enlarges and how far it looks was found by running it (`limpid.runtimes.probe`). One that sees a known
    neighbourhood is cut with a halo, so that tiles show no seams; others in blended tiles. The colours are the
    network's own unless ``--color`` asks for the input's. ``consistency`` filter averages detail along the motion,
    which reaches as far as things move, and so needs blended tiles, too.
    """
    names = only_one("filter", "image", consistency)
    if weights is None:
        raise WeightsError(
            "the method image needs --weights MODEL: a .param beside its .bin (ncnn), or a .pth or .safetensors"
        )
    found = ImageWeights.of(weights)
    facts = found.facts()
    return Method(
        name="image",
        summary=SUMMARIES["image"],
        load=partial(load_image_network, found, facts),
        scale=facts.scale,
        steps=1,
        make_schedule=lambda num_steps: (ONLY_STEP,),
        sampler=Euler(),
        cuts=image_cuts(facts, whole=bool(names)),
        strategy=_detail_filter(facts.scale) if names else Strategy(),
        color="none",
        cost=Cost(latent_bytes_per_px=12 * facts.scale**2, work_bytes_per_px=facts.bytes_per_px),
        weights=Weights(digest=found.digest),
        options=frozenset({"color", "tile_px", "runtime"}),
        runtimes=(found.runtime,),
    )


def image_cuts(facts: ImageNetworkFacts, *, whole: bool = False) -> Cuts:
    """Halo and crop where the network sees little enough, and tiles can begin where it wants.

    ``whole``: frames are needed whole, with those beside them.
    """
    if facts.halo_px is None or ALIGN_PX % facts.align_px:
        return Blended(tile_px=BLENDED_TILE_PX, tile_overlap_px=BLENDED_OVERLAP_PX, context_frames=1 if whole else 0)
    if whole:
        return Blended(tile_overlap_px=2 * facts.halo_px, context_frames=1)
    return Local(reach_px=facts.halo_px)


def _detail_filter(scale: int) -> Strategy:
    fold, unfold = partial(pixel_shuffle, upscale_factor=scale), partial(pixel_unshuffle, downscale_factor=scale)
    return DetailFilter(pictures=fold, latents=unfold)
