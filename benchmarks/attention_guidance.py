"""What guidance by self-attention and attention propagation cost, on Stable Video Diffusion's U-Net, random weights.

    python benchmarks/attention_guidance.py --what guidance      # one guided prediction: cfg, DSSAG, SAG+CFG, PAG+CFG
    python benchmarks/attention_guidance.py --what propagation   # one step over 2 windows x 4 tiles: off, SAP, TAP
    python benchmarks/attention_guidance.py --what memory        # one full-size layer: fused, and scores written out

Sides take turns, so that all of them see the same busy machine; figures are medians over ``--runs``. On a CPU they are
processor time, which other work on the machine does not lengthen as much. ``--size full`` is the real network and the
paper's tiles (a GPU, or patience); ``small`` has a fifth of its channels and tiles of 16x16x2. ``memory`` measures each
side in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from limpid.attention.fused import attend, attend_with_more, softened_queries
from limpid.consistency.attention_propagation import AttentionPropagation
from limpid.diffusion.schedules import karras_steps
from limpid.guidance.choice import choose_guidance
from limpid.method import Guidance
from limpid.restoration.predict import predict
from limpid.tiling.blend import Axis, Grid

SIZES = {
    "full": {"widths": (320, 640, 1280, 1280), "heads": (5, 10, 20, 20), "context": 1024, "tile": 64, "frames": 14},
    "small": {"widths": (64, 128, 256, 256), "heads": (1, 2, 4, 4), "context": 64, "tile": 16, "frames": 2},
}
STEPS = karras_steps(4, 0.002, 700.0)
MIB = 2**20


class Networks(dict[str, Any]):
    use = dict.__getitem__


def make_prior(size: dict[str, Any], device: torch.device, dtype: torch.dtype) -> Any:
    from diffusers import UNetSpatioTemporalConditionModel

    from limpid.priors.dc_vsr import DCVSRPrior, SVDConditioning, spatial_self_attentions
    from limpid.priors.load.offload import place_network
    from limpid.types import Placement

    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=size["widths"], num_attention_heads=size["heads"], cross_attention_dim=size["context"]
    )
    torch.set_default_dtype(torch.float32)
    place_network(unet, Placement(device=device, dtype=dtype)).to(device)
    return DCVSRPrior(
        networks=Networks(unet=unet),
        self_attentions=spatial_self_attentions(unet),
        conditioning=SVDConditioning(),
        device=device,
        dtype=dtype,
        embedding_channels=size["context"],
    )


def drawn(prior: Any, frames: int, edge: int) -> tuple[Tensor, Any]:
    from limpid.priors.dc_vsr import DCVSRCondition

    z = torch.randn(1, 4, frames, edge, edge, device=prior.device)
    condition = DCVSRCondition(
        latent=torch.randn_like(z).to(prior.dtype),
        embedding=torch.zeros(1, frames, prior.embedding_channels, device=prior.device, dtype=prior.dtype),
        time_ids=torch.tensor([[7.0, 127.0, 0.0]], device=prior.device, dtype=prior.dtype),
    )
    return z, condition


class Parts:
    """What `predict` asks a method for."""

    def __init__(self, attention: AttentionPropagation | None = None, guidance: Guidance | None = None) -> None:
        self.attention, self.guidance = attention, guidance


def in_turns(sides: dict[str, Callable[[], Any]], runs: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each run, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(runs + 1):
        for name, call in sides.items():
            begun = clock(device)
            call()
            if number:
                times[name].append(clock(device) - begun)
        print(f"  round {number}: {', '.join(sides)} done", file=sys.stderr, flush=True)
    return times


def clock(device: torch.device) -> float:
    """Seconds: of the processor for what runs there, of the wall for what runs elsewhere."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def report(times: dict[str, list[float]], reference: str, calls: dict[str, int]) -> None:
    base = times[reference]
    for name, found in times.items():
        # a ratio of neighbours in time is steadier than a ratio of medians
        ratio = median(a / b for a, b in zip(found, base, strict=True))
        seconds = median(found)
        print(f"| {name} | {calls[name]} | {seconds:.3f} s | {min(found):.3f} to {max(found):.3f} s | {ratio:.2f}x |")


@torch.no_grad()
def guidance(options: argparse.Namespace) -> None:
    size, device = SIZES[options.size], torch.device(options.device)
    prior: Any = make_prior(size, device, getattr(torch, options.dtype))
    z, condition = drawn(prior, size["frames"], size["tile"])
    whole = Grid(*(Axis.overlapping(count, None, 0) for count in z.shape[2:]))
    names: Any = ("none", "cfg", "dssag", "sag", "pag")
    sides = {}
    for name in names:
        parts: Any = Parts(guidance=choose_guidance(name, None, default_scale=2.0))
        sides[name] = lambda parts=parts: predict(parts, prior, z, STEPS[1], condition, whole)
    times = in_turns(sides, options.runs, device)
    report(times, "dssag", {"none": 1, "cfg": 2, "dssag": 2, "sag": 3, "pag": 3})


@torch.no_grad()
def propagation(options: argparse.Namespace) -> None:
    size, device = SIZES[options.size], torch.device(options.device)
    prior: Any = make_prior(size, device, getattr(torch, options.dtype))
    tile, frames = size["tile"], size["frames"]
    edge, count = tile * 3 // 2, frames * 3 // 2
    z, condition = drawn(prior, count, edge)
    space = Axis.overlapping(edge, tile, tile // 2, "gaussian")
    grid = Grid(Axis.overlapping(count, frames, frames // 2, "gaussian"), space, space)
    plan: Any = Parts(attention=AttentionPropagation())
    off: Any = Parts()
    sides = {
        "off": lambda: predict(off, prior, z, STEPS[0], condition, grid),
        "SAP": lambda: predict(plan, prior, z, STEPS[0], condition, grid),
        "TAP": lambda: predict(plan, prior, z, STEPS[1], condition, grid),
    }
    pieces = grid.num_tiles * len(grid.frames.spans)
    times = in_turns(sides, options.runs, device)
    report(times, "off", {"off": pieces, "SAP": 2 * pieces, "TAP": pieces})
    both = median((a + b) / 2 / c for a, b, c in zip(times["SAP"], times["TAP"], times["off"], strict=True))
    print(f"mean of a step of SAP and one of TAP: {both:.2f}x")


# ------------------------------------------------------------------------------------------------- memory

KEYS = {"own keys": 4096, "SAP, 28 tiles": 4096 + 28 * 256, "TAP, 4 frames": 5 * 4096}
"""How many a query looks at in a layer of the paper's tiles."""


def explicit(q: Tensor, k: Tensor, v: Tensor, gamma: float) -> Tensor:
    largest = q.abs().amax((-2, -1), keepdim=True) * k.abs().amax((-2, -1), keepdim=True)
    scores = q @ k.transpose(-1, -2) / ((gamma**2 * largest).clamp(min=1) * q.shape[-1] ** 0.5)
    return scores.softmax(dim=-1) @ v


def fused(q: Tensor, k: Tensor, v: Tensor, gamma: float) -> Tensor:
    def soften(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(softened_queries(q, k, gamma), k, v)

    own, more = slice(4096), slice(4096, None)
    if k.shape[-2] == 4096:
        return soften(q, k, v)
    return attend_with_more(q, k[..., own, :], v[..., own, :], k[..., more, :], v[..., more, :], soften)


@torch.no_grad()
def one_layer(side: str, keys: int, frames: int, threads: int) -> None:
    """Prints the time of one call and by how much memory grew, the second of two calls counting."""
    torch.set_num_threads(threads)
    q = torch.randn(frames, 5, 4096, 64)
    k, v = (torch.randn(frames, 5, keys, 64) for _ in range(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        begun = time.process_time()
        {"fused": fused, "explicit": explicit}[side](q, k, v, 0.7)
        took = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"s": took, "mib": peak / 1024}))


def memory(options: argparse.Namespace) -> None:
    print("| a query looks at | | time | memory beyond inputs |\n|---|---|---|---|")
    for label, keys in KEYS.items():
        for side in ("fused", "explicit"):
            found = []
            for _ in range(options.runs):
                task = ["--what", "layer", "--side", side, "--keys", str(keys), "--frames", str(options.frames)]
                command = [sys.executable, __file__, *task, "--threads", str(options.threads)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found.append(json.loads(done.stdout.strip().splitlines()[-1]))
            seconds, mib = (median(run[key] for run in found) for key in ("s", "mib"))
            print(f"| {label} ({keys}) | {side} | {seconds:.2f} s | {mib:.0f} MiB |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["guidance", "propagation", "memory", "layer"], default="guidance")
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=1, help="of --what memory")
    parser.add_argument("--side", choices=["fused", "explicit"], default="fused", help="of --what layer")
    parser.add_argument("--keys", type=int, default=4096, help="of --what layer")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.what == "layer":
        one_layer(options.side, options.keys, options.frames, options.threads)
    else:
        {"guidance": guidance, "propagation": propagation, "memory": memory}[options.what](options)


if __name__ == "__main__":
    main()
