"""Memory arithmetic of blended methods: how large pieces become, and why: segment, tiles, decoder tiles, offloading.

Two memories count. On the device lie the weights and the work of one network call at a time; on the host the finished
frames of a segment, which are sixteen times the input. On a CPU both are the same memory. Every choice comes with its
reason, for the reader of a dry run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from limpid.choices import AskedOffload
from limpid.cuts.base import Sizes
from limpid.cuts.cost import Demand
from limpid.plan.offload import choose_offload
from limpid.plan.segments import (
    FINISHED_COPIES,
    LEAST_SEGMENT_FRAMES,
    LEAST_TILE_PX,
    LONG_SEGMENT_S,
    SEGMENT_S,
    UNKNOWN_WORK_BYTES,
    Cutting,
    Rung,
    choose_cutting,
    tile_choices,
)
from limpid.types import Offload

if TYPE_CHECKING:
    from limpid.cuts.blended import Blended

HOST_PART = 0.5
"""Part of a CPU's budget that finished frames may take; the rest is for networks."""
LATENT_PART = 0.25
"""Part of the device's budget that latents of a long segment may take."""
LATENT_COPIES = 8
"""Latents, predictions and their sums, all of the whole segment, in float32."""
MOST_TILE_PX = 512
"""Attention takes time with the square of a tile's area, and the networks were trained on far smaller ones."""
MOST_DECODE_TILE_PX = 192
"""The decoder attends from every latent pixel of a tile to every other. Beyond this that takes longer than overlapping
tiles, and at 320x180 longer than all its convolutions."""


@dataclass(frozen=True, kw_only=True)
class BlendedLoad:
    """What a blended method costs on a picture size; bytes are those of the number format it runs in."""

    width: int
    height: int
    window_frames: int
    decode_frames: int
    work_bytes_per_px: int
    """Peak memory of one denoiser call, per LR pixel and frame."""
    decode_bytes_per_px: int
    weights_bytes: Mapping[str, int]
    frame_bytes: int
    """Size of one finished frame on the host, its copies included."""
    latent_bytes: int
    """Size of one frame's latents on the device."""
    kept_bytes: int = 0
    """Size of the keys and values that tiles see of each other."""
    kept_device_bytes: int | None = None
    """How much of ``kept_bytes`` may lie on the device, the rest being on the host; None: all. From `Cost`."""

    @property
    def kept_on_device(self) -> int:
        return self.kept_bytes if self.kept_device_bytes is None else min(self.kept_bytes, self.kept_device_bytes)

    def area(self, tile_px: int | None) -> int:
        return min(self.width, tile_px or self.width) * min(self.height, tile_px or self.height)

    def denoise_bytes(self, tile_px: int | None, *, batched: bool = False) -> int:
        return self.window_frames * self.area(tile_px) * self.work_bytes_per_px * (2 if batched else 1)

    def decode_bytes(self, tile_px: int | None) -> int:
        return self.decode_frames * self.area(tile_px) * self.decode_bytes_per_px

    def work_bytes(self, rung: Rung, segment_frames: int) -> int:
        """Peak memory of the largest network call on the device, with the latents of a segment."""
        decode_tile = rung.decode_tile_px or rung.tile_px
        calls = self.denoise_bytes(rung.tile_px, batched=rung.batched_guidance), self.decode_bytes(decode_tile)
        return max(calls) + segment_frames * self.latent_bytes + self.kept_on_device

    def resident_bytes(self, offload: Offload) -> int:
        """Weights that lie on the device at once."""
        sizes = sorted(self.weights_bytes.values())
        if (
            offload == "group"
        ):  # a few layers of the largest, or all of another one: see `limpid.priors.load.offload.Parts`
            return max(sizes[-1] // 8, *sizes[:-1], 0) if sizes else 0
        return sum(sizes) if offload == "none" else max(sizes, default=0)


def blended_load(cuts: Blended, demand: Demand) -> BlendedLoad:
    """The load of a method by its own figures, which are for float32."""
    cost, bytes_per_value = demand.cost, demand.bytes_per_value
    width, height = demand.width, demand.height
    window = demand.window_frames or cuts.window_frames or max(cuts.segment_grid_frames, 8)
    work = cost.work_bytes_per_px or UNKNOWN_WORK_BYTES
    kept = 0 if cost.kept_bytes is None else cost.kept_bytes(width, height, window, demand.tile_px or cuts.tile_px)
    return BlendedLoad(
        width=width,
        height=height,
        window_frames=window,
        decode_frames=cuts.decode_frames or window,
        work_bytes_per_px=work * bytes_per_value // 4,
        # decoders that overflow in float16 run in float32
        decode_bytes_per_px=cost.decode_bytes_per_px or work,
        weights_bytes={name: size * bytes_per_value // 4 for name, size in demand.weights_bytes.items()},
        frame_bytes=12 * demand.scale**2 * width * height * FINISHED_COPIES,
        latent_bytes=width * height * cost.latent_bytes_per_px * LATENT_COPIES,
        kept_bytes=kept * bytes_per_value // 4,
        kept_device_bytes=cost.kept_device_bytes,
    )


def kept_reasons(load: BlendedLoad) -> tuple[str, ...]:
    """What is said of memory between network calls."""
    if not load.kept_bytes:
        return ()
    return (f"up to {load.kept_bytes / (1 << 30):.2f} GiB of keys and values are kept, which tiles see of each other",)


def choose_sizes(cuts: Blended, demand: Demand) -> Sizes:
    """Segment length by the host's memory, then offloading and tiles by the device's."""
    load, budget = blended_load(cuts, demand), demand.budget
    cutting, reasons = _cut(cuts, demand, load)
    frames = cutting.longest_frames + cutting.halo_frames + cutting.after_frames
    held = cutting.longest_frames * load.frame_bytes + load.kept_bytes - load.kept_on_device
    room = budget.device if budget.host is not None else max(budget.device - held, budget.device // 4)
    first = Rung(chunk_frames=cutting.longest_frames, window_frames=demand.window_frames)
    offload, why = _offload(demand.offload, load, first, room, frames, on_host=budget.host is None)
    left = room - load.resident_bytes(offload) - frames * load.latent_bytes - load.kept_on_device
    rung, tile_reasons = _tiles(demand.tile_px or cuts.tile_px, load, first, left, batch=budget.host is not None)
    peak = load.resident_bytes(offload) + load.work_bytes(rung, frames) + (held if budget.host is None else 0)

    def at_first(longest: int) -> tuple[Rung, int]:
        return replace(rung, chunk_frames=longest), peak

    said = (*reasons, *why, *tile_reasons, *kept_reasons(load))
    return Sizes(cutting=cutting, rung=at_first, offload=offload, reasons=said)


def _cut(cuts: Blended, demand: Demand, load: BlendedLoad) -> tuple[Cutting, tuple[str, ...]]:
    budget = demand.budget
    room = budget.host if budget.host is not None else _room_beside_networks(load, budget.device)
    room -= load.kept_bytes - load.kept_on_device
    room -= sum(demand.around) * load.latent_bytes  # frames of the halo are not decoded
    affordable = max(room // (load.frame_bytes + load.latent_bytes), 1)
    if demand.whole_shots:
        affordable = min(affordable, max(int(budget.device * LATENT_PART) // load.latent_bytes, LEAST_SEGMENT_FRAMES))
    make = partial(
        choose_cutting,
        fps=demand.fps,
        around=demand.around,
        segment_frames=demand.segment_frames,
        grid_frames=cuts.segment_grid_frames,
        joint_frames=cuts.joint_frames,
        least_s=LONG_SEGMENT_S if demand.whole_shots else SEGMENT_S,
    )
    cutting, free = make(affordable_frames=affordable), make()
    reasons = (_reach(cutting),) if demand.whole_shots else ()
    if cutting == free:
        return cutting, reasons
    gib = load.frame_bytes * free.frames / (1 << 30)
    return cutting, (
        f"segments have {cutting.frames} frames instead of {free.frames}, whose result would take {gib:.1f} GiB",
        *reasons,
    )


def _reach(cutting: Cutting) -> str:
    """What is said of a strategy that reaches over whole shots: where it does."""
    return (
        f"shots of up to {cutting.longest_frames} frames are kept consistent as a whole; in longer ones a segment of "
        f"{cutting.frames} sees {cutting.halo_frames} frames before it and {cutting.after_frames} after it"
    )


def _room_beside_networks(load: BlendedLoad, budget_bytes: int) -> int:
    """For finished frames, on a CPU: not so much that the smallest tiles would not fit any more."""
    least = max(load.denoise_bytes(LEAST_TILE_PX), load.decode_bytes(LEAST_TILE_PX))
    return min(int(budget_bytes * HOST_PART), budget_bytes - load.resident_bytes("none") - least - load.kept_on_device)


def _offload(
    asked: AskedOffload, load: BlendedLoad, first: Rung, room: int, frames: int, *, on_host: bool
) -> tuple[Offload, tuple[str, ...]]:
    if on_host:
        return "none", ()
    if asked != "auto":
        return asked, (f"offload {asked}, as asked for",)
    least = replace(first, tile_px=LEAST_TILE_PX, decode_tile_px=LEAST_TILE_PX)
    offload, why = choose_offload(load.weights_bytes, load.work_bytes(least, frames), room)
    return offload, (why,)


def _tiles(
    asked: int | None, load: BlendedLoad, first: Rung, room: int, *, batch: bool
) -> tuple[Rung, tuple[str, ...]]:
    """The largest tiles that fit, the smallest when none does; guidance in one batch where that is faster."""
    edge = max(load.width, load.height)
    whole = (None,) if edge <= MOST_TILE_PX else ()
    sizes = (*whole, *(t for t in tile_choices(edge) if t <= MOST_TILE_PX)) or (None,)
    tile = asked or next((t for t in sizes if load.denoise_bytes(t) <= room), sizes[-1])
    batched = batch and load.denoise_bytes(tile, batched=True) <= room
    decode_sizes = [t for t in (edge, *tile_choices(edge)) if t <= MOST_DECODE_TILE_PX] or [edge]
    decode_tile = next((t for t in decode_sizes if load.decode_bytes(t) <= room), decode_sizes[-1])
    rung = replace(first, tile_px=tile, decode_tile_px=decode_tile, batched_guidance=batched)
    reasons = []
    if tile is not None and asked is None:
        need = load.denoise_bytes(None) / (1 << 30)
        why = f"one call over whole frames needs {need:.1f} GiB" if edge <= MOST_TILE_PX else "the frame is large"
        reasons.append(f"tiles of {tile} px: {why}")
    if decode_tile < edge:
        need = load.decode_bytes(None) / (1 << 30)
        why = "attention over more is slow" if decode_tile == decode_sizes[0] else f"whole frames need {need:.1f} GiB"
        reasons.append(f"the decoder works on tiles of {decode_tile} px: {why}")
    return rung, tuple(reasons)
