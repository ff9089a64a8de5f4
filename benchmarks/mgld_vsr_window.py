"""Time and memory of MGLD-VSR's networks at full size on one window, with random weights.

    python benchmarks/mgld_vsr_window.py denoise|decode [--latent 64] [--frames 5] [--dtype float32] [--device cpu]

One call of the denoiser (structure encoder included), or of the decoder with the features that it follows. Prints wall
and processor time of the call, the weights, and the most memory that was used beside them.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.networks.autoencoder import CFWVAE
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.priors.load.offload import place_network
from limpid.types import Placement

MIB = 1 << 20
LR_PER_LATENT = 2


def filled(network: nn.Module, placement: Placement) -> nn.Module:
    """Numbers in place of none, without the seconds that usual initialisation takes."""
    network.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.02, 0.02)
    return place_network(network, placement).to(placement.device)


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def denoise(unet: Any, draw: Any, latent: int, frames: int) -> Tensor:
    shape = (1, 4, frames, latent, latent)
    out: Tensor = unet(draw(*shape), 500, structure=draw(*shape), encoder_hidden_states=draw(1, 77, 1024))
    return out


def decode(vae: Any, draw: Any, latent: int, frames: int) -> Tensor:
    pictures = draw(frames, 3, 8 * latent, 8 * latent)
    features = tuple(torch.cat(level) for level in zip(*(vae.features(p[None]) for p in pictures), strict=True))
    out: Tensor = vae.decode(draw(frames, 4, latent, latent), frames, features, 0.5)
    return out


class Peak:
    """The most memory while it is entered, in bytes: of the device, or of this process as seen every few ms."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.before, self.most, self.running = device, 0, 0, True

    def __enter__(self) -> Peak:
        self.before = self.most = self.now()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.watcher.join()
        if self.device.type == "cuda":
            self.most = torch.cuda.max_memory_allocated(self.device)

    def now(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def watch(self) -> None:
        while self.running:
            self.most = max(self.most, self.now())
            time.sleep(0.005)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("denoise", "decode"))
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    placement = Placement(device=torch.device(options.device), dtype=getattr(torch, options.dtype))
    with torch.device("meta"):
        empty = StructuredUNet() if options.what == "denoise" else CFWVAE()
    network = filled(empty, placement)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, device=placement.device, dtype=placement.dtype)

    started, used = time.perf_counter(), time.process_time()
    with Peak(placement.device) as peak:
        out = (denoise if options.what == "denoise" else decode)(network, draw, options.latent, options.frames)
        if placement.device.type == "cuda":
            torch.cuda.synchronize()
    wall, processor = time.perf_counter() - started, time.process_time() - used
    work = peak.most - peak.before
    pixels = options.frames * (LR_PER_LATENT * options.latent) ** 2
    print(f"{options.what} {options.frames} frames of {options.latent}x{options.latent} latents, {options.dtype}")
    print(f"{wall:.1f} s, {processor:.1f} s of processor time, {torch.get_num_threads()} threads")
    print(
        f"weights {weight_bytes(network) / MIB:.0f} MiB, work {work / MIB:.0f} MiB: {work / pixels:.0f} bytes per LR px"
    )
    print(f"whole process {peak.most / MIB:.0f} MiB; finite: {bool(out.isfinite().all())}")


if __name__ == "__main__":
    main()
