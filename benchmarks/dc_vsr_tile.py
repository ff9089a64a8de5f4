"""Time and memory of DC-VSR's networks at full size on one tile, with random weights.

    python benchmarks/dc_vsr_tile.py denoise|decode|encode [--latent 64] [--frames 14] [--threads 1]
                                     [--dtype float32] [--device cpu]

One call of the denoiser (what a tile costs per guidance branch), of the decoder, or of the encoder, each as the prior
makes it. Prints wall and processor time of the call, the weights, and the most memory that was used beside them.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from mgld_vsr_window import LR_PER_LATENT, MIB, Peak, filled, weight_bytes
from torch import Tensor

from limpid.convert.dc_vsr_configs import SVD_UNET_CONFIG, SVD_VAE_CONFIG
from limpid.methods.dc_vsr import STEPS, schedule
from limpid.networks.by_name import make_official
from limpid.priors.dc_vsr import DCVSRCondition, DCVSRPrior, SVDConditioning
from limpid.priors.load.offload import Parts
from limpid.types import Placement, Scene


def make_prior(network: str, placement: Placement) -> tuple[DCVSRPrior, int]:
    """A prior that has only this network, and the bytes of its weights."""
    made = filled(make_official(f"svd_{network}", SVD_UNET_CONFIG if network == "unet" else SVD_VAE_CONFIG), placement)
    only: Any = {network: made}
    return DCVSRPrior(
        networks=Parts(placement, **only),
        self_attentions=(),
        conditioning=SVDConditioning(),
        device=placement.device,
        dtype=placement.dtype,
    ), weight_bytes(made)


def call(what: str, prior: DCVSRPrior, z: Tensor) -> Tensor:
    frames, edge = z.shape[2], LR_PER_LATENT * z.shape[-1]
    if what == "encode":
        lr = torch.rand(frames, 3, edge, edge)
        return prior.condition(lr, Scene(seed=0, frames=range(frames), shot=0)).latent
    numbers = {"device": z.device, "dtype": prior.dtype}
    condition = DCVSRCondition(
        latent=torch.randn_like(z, dtype=prior.dtype),
        embedding=torch.zeros(1, frames, prior.embedding_channels, **numbers),
        time_ids=torch.tensor([[7.0, 127.0, 0.0]], **numbers),
    )
    if what == "decode":
        return prior.decode(z, condition)
    return prior.denoise(z, schedule(STEPS)[STEPS // 2], condition).x0


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("denoise", "decode", "encode"))
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    placement = Placement(device=torch.device(options.device), dtype=getattr(torch, options.dtype))
    prior, weights = make_prior("unet" if options.what == "denoise" else "vae", placement)
    z = torch.randn(1, 4, options.frames, options.latent, options.latent, device=placement.device)
    started, used = time.perf_counter(), time.process_time()
    with Peak(placement.device) as peak:
        out = call(options.what, prior, z)
        if placement.device.type == "cuda":
            torch.cuda.synchronize()
    wall, processor = time.perf_counter() - started, time.process_time() - used
    work = peak.most - peak.before
    pixels = options.frames * (LR_PER_LATENT * options.latent) ** 2
    print(f"{options.what} {options.frames} frames of {options.latent}x{options.latent} latents, {options.dtype}")
    print(f"{wall:.1f} s, {processor:.1f} s of processor time, {torch.get_num_threads()} threads")
    print(f"weights {weights / MIB:.0f} MiB, work {work / MIB:.0f} MiB: {work / pixels:.0f} bytes per LR px and frame")
    print(f"whole process {peak.most / MIB:.0f} MiB; finite: {bool(out.isfinite().all())}")


if __name__ == "__main__":
    main()
