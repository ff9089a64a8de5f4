"""Writes ``tests/flow/data/raft.npz``: flow by torchvision's RAFT with weights and frames that follow from a formula.

    pip install torch torchvision numpy          # in an environment of its own
    python scripts/make_raft_fixture.py tests/flow/data/raft.npz

Weights and frames are not stored: the test makes the same ones again by `formula_state` and `formula_frames`. Stored
are the names and shapes of torchvision's tensors and every third pixel of the flow (3 and 8 have no common divisor, so
all positions inside the 8x8 blocks of the upsampling occur).
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

HEIGHT, WIDTH, PAIRS = 128, 136, 2
ITERATIONS = (1, 4)
EVERY = 3


def hashed(name: str, count: int) -> np.ndarray:
    """Numbers in [-1, 1), the same on every machine: integer hash of the position, seeded by the name."""
    x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    return np.asarray(x / 2**31 - 1, np.float64)


def formula_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor, float32, of a size that keeps activations near one; ``num_batches_tracked`` is zero."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    values = hashed(name, int(np.prod(shape))).reshape(shape)
    if len(shape) == 4:
        gain = 0.2 if "flow_head.conv2" in name else 4.0 if name == "mask_predictor.conv.weight" else 1.0
        values = values * gain * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1 + 0.5 * values
    elif len(shape) == 1 and name.endswith(".1.weight"):
        values = 1 + 0.2 * values
    else:
        values = 0.1 * values
    return values.astype(np.float32)


def formula_state(shapes: dict[str, Any]) -> dict[str, np.ndarray]:
    """All tensors, by torchvision's names."""
    return {name: formula_weight(name, tuple(shape)) for name, shape in shapes.items()}


def formula_frames() -> tuple[np.ndarray, np.ndarray]:
    """``PAIRS 3 HEIGHT WIDTH`` in [-1, 1], float32: blocks of random brightness, the second frame moved by 3 and 5."""
    fine = hashed("frames", PAIRS * 3 * 40 * 40).reshape(PAIRS, 3, 40, 40)
    large = np.repeat(np.repeat(fine, 4, 2), 4, 3).astype(np.float32)
    first = large[..., 8 : 8 + HEIGHT, 8 : 8 + WIDTH]
    second = large[..., 5 : 5 + HEIGHT, 3 : 3 + WIDTH]
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def reference(size: str) -> dict[str, Any]:
    """Flows by torchvision, and its names and shapes."""
    import torch

    # Where torchvision's compiled operators do not fit torch, its import fails for want of these; RAFT uses neither.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.models import optical_flow

    network = getattr(optical_flow, f"raft_{size}")(weights=None).eval()
    shapes = {name: list(t.shape) for name, t in network.state_dict().items()}
    network.load_state_dict({name: torch.from_numpy(v) for name, v in formula_state(shapes).items()})
    first, second = (torch.from_numpy(f) for f in formula_frames())
    with torch.no_grad():
        flows = network(first, second, num_flow_updates=max(ITERATIONS))
    found: dict[str, Any] = {f"{size}_names": np.array(json.dumps(shapes))}
    for number in ITERATIONS:
        flow = flows[number - 1].numpy()
        print(f"{size}, {number} iterations: largest flow {np.abs(flow).max():.2f} px")
        found[f"{size}_{number}"] = flow[..., ::EVERY, ::EVERY]
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(sys.argv[1]), **reference("large"), **reference("small"))
