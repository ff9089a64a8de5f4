"""The one loop: every method, whatever its geometry and strategy, runs through `sample_segment`.

The pieces of a call, how they meet and how far a segment's halo has to reach are for the method's geometry
(`limpid.cuts`). Local networks read their pieces with a halo of what one call can see, and only the core is kept, step
by step, on the canvas of the whole segment; that is exact, because the sampler works pixel by pixel. All others blend
overlapping pieces at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from limpid.color import apply_color_
from limpid.cuts.base import Canvas, Cut
from limpid.diffusion.noise import NoiseStream, add_noise, noise_clip, start_scale
from limpid.diffusion.schedules import truncate
from limpid.method import Lane, LaneContext, Method, Prior, Strategy, View
from limpid.restoration.chunk import Carry, Chunk
from limpid.restoration.predict import decode, encode, predict
from limpid.restoration.shares import OnShare, parts_of
from limpid.types import ColorFix, Scene, Segment, Step, Window

JOINT = "joint"
"""Name under which the clean latents after a segment's core are handed to the next segment of the shot."""
COLOR_FRAMES = 4
"""Frames whose colours are corrected at once; more would only cost memory."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One chunk with everything that is the same for all of its lanes."""

    method: Method
    prior: Prior
    chunk: Chunk
    lr: Tensor
    """The frames of the chunk, ``t 3 h w``."""
    told: Tensor
    """And what the prior is told of them, ``t c h w``, see `limpid.restoration.chunk.Chunk.told`."""
    steps: tuple[Step, ...]
    seed: int
    cut: Cut
    from_noise: bool
    """Whether the first latent is pure noise, or the noised input."""
    parts: Iterator[OnShare]
    """What the next step, encoding or decoding tells its share to."""


@torch.no_grad()
def sample_segment(
    method: Method,
    prior: Prior,
    chunk: Chunk,
    *,
    steps: tuple[Step, ...],
    seed: int,
    strength: float = 1.0,
    color: ColorFix | None = None,
    cut: Cut | None = None,
) -> Tensor:
    """Restores the core of one chunk, whose frames lie on the device to work on.

    ``steps``: the whole schedule, ``method.make_schedule(n)``; ``strength`` in (0, 1] is applied here. ``cut`` (None:
    what the method's geometry makes of the chunk's rung) says how finely pieces are cut. Returns the frames of
    ``chunk.segment.core``, ``t 3 H W`` float32 in [0, 1] with ``H = h * method.scale``; those of blended methods are on
    the CPU, because they are too many for an accelerator.
    """
    steps = truncate(steps, strength)
    method.strategy.check(steps)
    lr, chunk = chunk.lr(), chunk.with_neighbours(method.cuts.neighbours, kept=False)
    check_frames(method, lr, chunk.segment, len(steps))
    lanes = check_lanes(method.strategy.lanes(chunk.segment), chunk.segment)
    from_noise = strength == 1.0 and method.start == "noise"
    work = Work(
        method=method,
        prior=prior,
        chunk=chunk,
        lr=lr,
        told=torch.stack([chunk.told(n, frame) for n, frame in enumerate(lr)]) if chunk.neighbours else lr,
        steps=steps,
        seed=seed,
        cut=method.cuts.cut(chunk.rung) if cut is None else cut,
        from_noise=from_noise,
        parts=parts_of(chunk.on_share, num_parts(method, len(lanes), len(steps), from_noise=from_noise)),
    )
    chunk.on_share(0.0)
    frames = causal(work, lanes) if method.strategy.causal else joined(work, lanes)
    height, width = (method.scale * size for size in lr.shape[-2:])
    return colored(method, frames[..., :height, :width], lr, chunk.core, color or method.color)


def joined(work: Work, lanes: tuple[Lane, ...]) -> Tensor:
    """Frames of the core, decoded when all lanes are clean and joined; at most two lanes are alive at once."""
    method, prior, segment = work.method, work.prior, work.chunk.segment
    clean: Tensor | None = None
    for before, lane in zip([None, *lanes], lanes, strict=False):
        context = lane_context(work, lane, work.chunk.carry_in, work.chunk.carry_out)
        z, context = sample_lane(work, context, method.strategy.begin(context))
        clean = z if clean is None or before is None else join(method.strategy, clean, z, before, lane)
    assert clean is not None
    clean, core = clean[:, :, : len(segment.halo)], work.chunk.core
    merge_joint(method, clean, work.chunk)
    one = len(lanes) == 1 and not lanes[0].padding
    condition = context.condition if one else prior.condition(work.told, scene_of(segment, segment.halo, work.seed))
    grid = method.cuts.decode_grid(canvas_of(prior, clean, segment, segment.halo.start), work.cut, core)
    return decode(method, prior, clean, condition, grid, core, next(work.parts))


def causal(work: Work, lanes: tuple[Lane, ...]) -> Tensor:
    """Frames of the core, lane after lane: each is decoded before the next begins, which is handed what it left.

    What the last lane leaves is handed to the next segment of the shot, so lanes may not reach beyond the core.
    """
    method, prior, segment = work.method, work.prior, work.chunk.segment
    if segment.core != segment.halo or any(lane.padding for lane in lanes):
        raise ValueError(f"segment {segment.index} has frames around its core, which a causal strategy cannot use")
    parts: list[Tensor] = []
    carry: Carry = work.chunk.carry_in
    for lane in lanes:
        left: dict[str, Tensor] = {}
        context = lane_context(work, lane, carry, left)
        state = method.strategy.begin(context)
        z, context = sample_lane(work, context, state)
        keep = range(len(lane.window))
        grid = method.cuts.decode_grid(canvas_of(prior, z, segment, lane.window.start), work.cut, keep)
        parts.append(decode(method, prior, z, context.condition, grid, keep, next(work.parts)))
        method.strategy.on_frames(parts[-1], context, state)
        carry = left
    work.chunk.carry_out.update(carry)
    return torch.cat(parts)


def sample_lane(work: Work, context: LaneContext, state: Any) -> tuple[Tensor, LaneContext]:
    """A lane from noise to its clean latent ``1 c t h w``, and the context with what the network was told."""
    condition = work.method.strategy.on_condition(context.condition, context, state)
    context = replace(context, condition=condition)
    return denoise_lane(work, context, start_latent(work, context), state), context


def denoise_lane(work: Work, context: LaneContext, z: Tensor, state: Any) -> Tensor:
    """All steps of one lane: noisy latent ``1 c t h w`` -> clean latent."""
    method, prior, strategy = work.method, work.prior, work.method.strategy
    grid = method.cuts.denoise_grid(canvas_of(prior, z, context.segment, context.frames.start), work.cut)
    memory = None
    for step in work.steps:
        # D(z; sigma): what the network says of the whole canvas, as x0 and eps
        prediction = predict(method, prior, z, step, context.condition, grid, next(work.parts))
        # x0 <- strategy(x0): propagation along the flow
        x0 = strategy.on_x0(prediction.x0, step, context, state)
        # z <- a x0 + b eps (+ noise), with eps of the prediction as it was
        draw = partial(canvas_noise, context, "ancestral", step.index, z)
        z, memory = method.sampler.step(z, x0, prediction.eps, step, memory, draw)
        # z <- z - gradient: guidance by an energy of the latent
        z = strategy.on_latent(z, step, context, state).detach()
    return z


def start_latent(work: Work, context: LaneContext) -> Tensor:
    """Pure noise at the level of the first step, or the latent of the upscaled input noised to it."""
    method, prior, step = work.method, work.prior, work.steps[0]
    height, width = prior.latent_size(*context.lr.shape[-2:])
    like = context.lr.new_empty(1, prior.latent_channels, 1, height, width)
    noise = canvas_noise(context, "init", 0, like, method.strategy)
    if work.from_noise:
        return noise.mul_(start_scale(step))
    grid = method.cuts.encode_grid(canvas_of(prior, noise, context.segment, context.frames.start), work.cut)
    return add_noise(encode(prior, context.condition, grid, next(work.parts)).to(noise), noise, step)


def canvas_of(prior: Prior, z: Tensor, segment: Segment, start: int) -> Canvas:
    """Where latents ``z``, whose first frame has the absolute number ``start``, lie in their shot."""

    def latents(edge_px: int) -> int:
        return max(prior.latent_size(edge_px, edge_px))

    _, _, frames, height, width = z.shape
    return Canvas(frames=frames, height=height, width=width, first=start - segment.shot_start, latents=latents)


def colored(method: Method, frames: Tensor, lr: Tensor, core: range, color: ColorFix) -> Tensor:
    """Frames of the core with corrected colours, in [0, 1]; ``lr`` holds those of the halo."""
    targets = lr if color == "none" else method.cuts.levels(lr)
    targets = targets[core.start : core.stop]
    frames = frames.float()
    for start in range(0, len(frames), COLOR_FRAMES):
        part = slice(start, start + COLOR_FRAMES)
        frames[part] = apply_color_(color, frames[part].to(lr.device), targets[part]).clamp_(0.0, 1.0)
    return frames


def merge_joint(method: Method, clean: Tensor, chunk: Chunk) -> None:
    """Merge the first latents of a segment with what the one before made of them, and keep a tail for the next one.

    Both segments have denoised these frames, so that nothing jumps where they meet. Changes ``clean`` in place.
    """
    core, joint = chunk.core, method.cuts.joint_frames
    if JOINT in chunk.carry_in:
        tail = chunk.carry_in[JOINT].to(clean)[:, :, : len(core)]
        head = slice(core.start, core.start + tail.shape[2])
        clean[:, :, head] = method.strategy.merge(tail, clean[:, :, head])
    if joint and chunk.segment.core.stop < chunk.segment.shot_stop:
        chunk.carry_out[JOINT] = clean[:, :, core.stop : core.stop + joint].clone()


def canvas_noise(
    context: LaneContext, stream: NoiseStream, step: int, like: Tensor, strategy: Strategy | None = None
) -> Tensor:
    """Noise for all frames of the lane, ``1 c t h w``, on the device of ``like``; a strategy may reschedule it."""
    frames = context.frames
    sources = frames if strategy is None else strategy.noise_frames(frames, context.segment, context.seed)
    _, channels, _, height, width = like.shape
    view = context.view
    if view is None:
        return noise_clip(context.seed, stream, sources, step, channels, height, width).to(like)
    part = {"rows": range(view.top, view.top + height), "columns": range(view.left, view.left + width)}
    return noise_clip(context.seed, stream, sources, step, channels, view.height, view.width, **part).to(like)


def join(strategy: Strategy, left: Tensor, right: Tensor, before: Lane, lane: Lane) -> Tensor:
    """Appends a lane's clean latent; the frames that both have, padding too, are merged by the strategy."""
    shared = before.padded_stop - lane.window.start
    if shared == 0:
        return torch.cat([left, right], dim=2)
    middle = strategy.merge(left[:, :, -shared:], right[:, :, :shared])
    return torch.cat([left[:, :, :-shared], middle, right[:, :, shared:]], dim=2)


def lane_context(work: Work, lane: Lane, carry_in: Carry, carry_out: dict[str, Tensor]) -> LaneContext:
    """What the strategy may look at while a lane is denoised."""
    segment, view = work.chunk.segment, work.chunk.view
    lr, told = (
        reflected(frames, relative(lane.window, segment.halo.start), lane.padding) for frames in (work.lr, work.told)
    )
    return LaneContext(
        segment=segment,
        lane=lane,
        lr=lr,
        condition=work.prior.condition(told, scene_of(segment, lane.window, work.seed, lane.padding)),
        seed=work.seed,
        view=None if view is None else latent_view(work.prior, view),
        carry_in=carry_in,
        carry_out=carry_out,
    )


def scene_of(segment: Segment, window: Window, seed: int, padding: int = 0) -> Scene:
    """Which frames a prior is shown."""
    return Scene(seed=seed, frames=range(window.start, window.stop + padding), shot=segment.shot)


def reflected(lr: Tensor, frames: range, padding: int) -> Tensor:
    """``frames`` of ``lr`` and ``padding`` more, as if ``lr`` went on backwards after its last frame.

    A single frame is repeated.
    """
    if not padding:
        return lr[frames.start : frames.stop]
    last = len(lr) - 1
    round_trip = [*range(last + 1), *range(last - 1, 0, -1)]
    return lr[[round_trip[i % len(round_trip)] for i in range(frames.start, frames.stop + padding)]]


def latent_view(prior: Prior, view: View) -> View:
    """A part of a picture in latent pixels."""
    (height, width), (top, left) = prior.latent_size(view.height, view.width), prior.latent_size(view.top, view.left)
    return View(height=height, width=width, top=top, left=left)


def relative(window: Window, start: int) -> range:
    """Absolute frames counted from ``start``."""
    return range(window.start - start, window.stop - start)


def check_frames(method: Method, lr: Tensor, segment: Segment, num_steps: int) -> None:
    """The frames are those of the halo, and the halo is wide enough for the method's geometry. Raises ValueError."""
    if lr.ndim != 4 or lr.shape[1] != 3 or lr.shape[0] != len(segment.halo):
        raise ValueError(f"segment {segment.index} needs {len(segment.halo)} frames t 3 h w, got {tuple(lr.shape)}")
    method.cuts.check_halo(segment, num_steps)


def check_lanes(lanes: Iterable[Lane], segment: Segment) -> tuple[Lane, ...]:
    """Lanes must cover the halo in order: each begins inside or right after the one before, and ends after it."""
    lanes = tuple(lanes)
    windows = [lane.window for lane in lanes]
    covers = bool(windows) and windows[0].start == segment.halo.start and windows[-1].stop == segment.halo.stop
    spans = [(lane.window.start, lane.padded_stop) for lane in lanes]
    if not covers or any(not a[0] < b[0] <= a[1] < b[1] for a, b in pairwise(spans)):
        raise ValueError(f"lanes {windows} do not cover segment {segment.index}, frames {segment.halo}, in order")
    return lanes


def num_parts(method: Method, lanes: int, steps: int, *, from_noise: bool) -> int:
    """What a chunk's time is counted in: steps, and encodings and decodings, each of which takes about as long."""
    encodings, decodings = 0 if from_noise else lanes, lanes if method.strategy.causal else 1
    return lanes * steps + encodings + decodings
