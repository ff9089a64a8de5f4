"""The one loop: every method, local or blended, with any strategy, runs through `sample_segment`.

Local methods (`Method.local`): every denoiser call reads its tile and window with a halo of what one call can see
(`reach_px`, `reach_frames`), and only the core is kept, step by step, on the canvas of the whole segment. That is
exact: a kept pixel has seen just what it would see without cuts, padding only happens where the picture or the shot
really ends, and the sampler works pixel by pixel. Only the segment's own ends are wrong, by `reach_frames` more each
step, which is why a segment's halo must be ``method.halo_frames(steps)`` and is never returned.
All other methods: overlapping pieces, blended at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from limpid.color import apply_color_, steady_levels
from limpid.diffusion.noise import Stream, add_noise, noise_clip, start_scale
from limpid.diffusion.schedules import truncate
from limpid.method import ColorFix, Lane, LaneContext, Method, Prior, Strategy, View
from limpid.restoration.predict import Cut, decode, decode_grid, denoise_grid, encode, encode_grid, predict
from limpid.types import Scene, Segment, Step, Window

JOINT = "joint"
"""Name under which the clean latents after a segment's core are handed to the next segment of the shot."""
COLOR_FRAMES = 4
"""Frames whose colours are corrected at once; more would only cost memory."""


@torch.no_grad()
def sample_segment(
    method: Method,
    prior: Prior,
    lr: Tensor,
    segment: Segment,
    *,
    steps: tuple[Step, ...],
    seed: int,
    strength: float = 1.0,
    tile_px: int | None = None,
    window_frames: int | None = None,
    decode_tile_px: int | None = None,
    color: ColorFix | None = None,
    on_step: Callable[[int, int], None] | None = None,
    carry_in: Mapping[str, Tensor] | None = None,
    carry_out: dict[str, Tensor] | None = None,
    view: View | None = None,
) -> Tensor:
    """Restores one segment.

    ``lr``: the frames of ``segment.halo``, ``t 3 h w`` float32 in [0, 1], on the device to work on. ``steps``: the
    whole schedule, ``method.make_schedule(n)``; ``strength`` in (0, 1] is applied here. ``tile_px`` (LR pixels, with
    the overlap of blended methods, without the halo of local ones) and ``window_frames`` override the method's;
    ``decode_tile_px`` gives the decoder other tiles than the denoiser's. ``view`` (LR pixels): which part of a larger
    picture ``lr`` is; its edges are then wrong by what the method sees. ``on_step(done, total)`` is called after each
    step and may raise to stop. Returns the frames of ``segment.core``, ``t 3 H W`` float32 in [0, 1] with
    ``H = h * method.scale``; those of blended methods are on the CPU, because they are too many for an accelerator.
    """
    strategy, steps = method.strategy, truncate(steps, strength)
    strategy.check(steps)
    check_frames(method, lr, segment, len(steps))
    cut = Cut(
        tile_px=tile_px or method.tile_px,
        window_frames=window_frames or method.window_frames,
        decode_tile_px=decode_tile_px,
    )
    lanes = check_lanes(strategy.lanes(segment), segment)
    report = step_counter(on_step, len(lanes) * len(steps))
    carry_in, carry_out = carry_in or {}, {} if carry_out is None else carry_out
    clean: Tensor | None = None
    for before, lane in zip([None, *lanes], lanes, strict=False):
        context = lane_context(prior, lr, segment, lane, seed, view, carry_in, carry_out)
        from_noise = strength == 1.0 and method.start == "noise"
        z = start_latent(method, prior, context, steps[0], cut, from_noise=from_noise)
        z = denoise_lane(method, prior, context, z, steps, cut, report)
        clean = z if clean is None or before is None else join(strategy, clean, z, before, lane)
    assert clean is not None
    clean = clean[:, :, : len(segment.halo)]
    core = relative(segment.core, segment.halo.start)
    join_segments(method, clean, core, segment, carry_in, carry_out)
    one = len(lanes) == 1 and not lanes[0].padding
    condition = context.condition if one else prior.condition(lr, scene_of(segment, segment.halo, seed))
    grid = decode_grid(method, prior, cut, clean, core, segment.halo.start, segment)
    frames = decode(method, prior, clean, condition, grid, core)
    height, width = (method.scale * size for size in lr.shape[-2:])
    return colored(method, frames[..., :height, :width], lr, core, color or method.color)


def colored(method: Method, frames: Tensor, lr: Tensor, core: range, color: ColorFix) -> Tensor:
    """Frames of the core with corrected colours, in [0, 1]; ``lr`` holds those of the halo.

    The levels that blended methods are held to are steadied over the whole segment first; local ones have to give the
    same pixels for any cut, which rules that out.
    """
    targets = lr if method.local or color == "none" else steady_levels(lr)
    targets = targets[core.start : core.stop]
    frames = frames.float()
    for start in range(0, len(frames), COLOR_FRAMES):
        part = slice(start, start + COLOR_FRAMES)
        frames[part] = apply_color_(color, frames[part].to(lr.device), targets[part]).clamp_(0.0, 1.0)
    return frames


def join_segments(
    method: Method,
    clean: Tensor,
    core: range,
    segment: Segment,
    carry_in: Mapping[str, Tensor],
    carry_out: dict[str, Tensor],
) -> None:
    """Merge the first latents of a segment with what the one before made of them, and keep a tail for the next one.

    Both segments have denoised these frames, so that nothing jumps where they meet. Changes ``clean`` in place.
    """
    if JOINT in carry_in:
        tail = carry_in[JOINT].to(clean)[:, :, : len(core)]
        head = slice(core.start, core.start + tail.shape[2])
        clean[:, :, head] = method.strategy.merge(tail, clean[:, :, head])
    if method.joint_frames and segment.core.stop < segment.shot_stop:
        carry_out[JOINT] = clean[:, :, core.stop : core.stop + method.joint_frames].clone()


def denoise_lane(
    method: Method,
    prior: Prior,
    context: LaneContext,
    z: Tensor,
    steps: tuple[Step, ...],
    cut: Cut,
    report: Callable[[], None],
) -> Tensor:
    """All steps of one lane: noisy latent ``1 c t h w`` -> clean latent."""
    strategy, memory = method.strategy, None
    grid = denoise_grid(method, prior, cut, z, context.frames.start, context.segment)
    state = strategy.begin(context)
    for step in steps:
        prediction = predict(method, prior, z, step, context.condition, grid)
        x0 = strategy.on_x0(prediction.x0, step, context, state)
        draw = partial(canvas_noise, context, "ancestral", step.index, z)
        z, memory = method.sampler.step(z, x0, prediction.eps, step, memory, draw)
        z = strategy.on_latent(z, step, context, state).detach()
        report()
    return z


def start_latent(
    method: Method, prior: Prior, context: LaneContext, step: Step, cut: Cut, *, from_noise: bool
) -> Tensor:
    """Pure noise at the level of the first step, or the latent of the upscaled input noised to it."""
    height, width = prior.latent_size(*context.lr.shape[-2:])
    like = context.lr.new_empty(1, prior.latent_channels, 1, height, width)
    noise = canvas_noise(context, "init", 0, like, method.strategy)
    if from_noise:
        return noise.mul_(start_scale(step))
    grid = encode_grid(method, prior, cut, noise, context.frames.start, context.segment)
    return add_noise(encode(prior, context.condition, grid).to(noise), noise, step)


def canvas_noise(
    context: LaneContext, stream: Stream, step: int, like: Tensor, strategy: Strategy | None = None
) -> Tensor:
    """Noise for all frames of the lane, ``1 c t h w``, on the device of ``like``; a strategy may reschedule it."""
    frames = context.frames
    sources = frames if strategy is None else strategy.noise_frames(frames, context.segment, context.seed)
    _, channels, _, height, width = like.shape
    view = context.view
    if view is None:
        return noise_clip(context.seed, stream, sources, step, channels, height, width).to(like)
    rows, columns = slice(view.top, view.top + height), slice(view.left, view.left + width)
    # Frame by frame: noise of the whole picture for all frames may be more than the memory there is.
    whole = ((context.seed, stream, [frame], step, channels, view.height, view.width) for frame in sources)
    return torch.cat([noise_clip(*one)[..., rows, columns] for one in whole], dim=2).to(like)


def join(strategy: Strategy, left: Tensor, right: Tensor, before: Lane, lane: Lane) -> Tensor:
    """Appends a lane's clean latent; the frames that both have, padding too, are merged by the strategy."""
    shared = before.padded_stop - lane.window.start
    if shared == 0:
        return torch.cat([left, right], dim=2)
    middle = strategy.merge(left[:, :, -shared:], right[:, :, :shared])
    return torch.cat([left[:, :, :-shared], middle, right[:, :, shared:]], dim=2)


def lane_context(
    prior: Prior,
    lr: Tensor,
    segment: Segment,
    lane: Lane,
    seed: int,
    view: View | None,
    carry_in: Mapping[str, Tensor],
    carry_out: dict[str, Tensor],
) -> LaneContext:
    frames = relative(lane.window, segment.halo.start)
    lane_lr = reflected(lr, frames, lane.padding)
    return LaneContext(
        segment=segment,
        lane=lane,
        lr=lane_lr,
        condition=prior.condition(lane_lr, scene_of(segment, lane.window, seed, lane.padding)),
        seed=seed,
        view=None if view is None else latent_view(prior, view),
        carry_in=carry_in,
        carry_out=carry_out,
    )


def scene_of(segment: Segment, window: Window, seed: int, padding: int = 0) -> Scene:
    return Scene(seed=seed, frames=range(window.start, window.stop + padding), shot=segment.shot)


def reflected(lr: Tensor, frames: range, padding: int) -> Tensor:
    """``frames`` of ``lr`` and ``padding`` more, as if ``lr`` went on backwards after its last frame.

    Of a single frame all are that one.
    """
    if not padding:
        return lr[frames.start : frames.stop]
    last = len(lr) - 1
    round_trip = [*range(last + 1), *range(last - 1, 0, -1)]
    return lr[[round_trip[i % len(round_trip)] for i in range(frames.start, frames.stop + padding)]]


def latent_view(prior: Prior, view: View) -> View:
    (height, width), (top, left) = prior.latent_size(view.height, view.width), prior.latent_size(view.top, view.left)
    return View(height=height, width=width, top=top, left=left)


def relative(window: Window, start: int) -> range:
    return range(window.start - start, window.stop - start)


def check_frames(method: Method, lr: Tensor, segment: Segment, num_steps: int) -> None:
    """The frames are those of the halo, and the halo of a local method is wide enough for exact results."""
    if lr.ndim != 4 or lr.shape[1] != 3 or lr.shape[0] != len(segment.halo):
        raise ValueError(f"segment {segment.index} needs {len(segment.halo)} frames t 3 h w, got {tuple(lr.shape)}")
    needed = method.halo_frames(num_steps) if method.local else 0
    start = max(segment.core.start - needed, segment.shot_start)
    stop = min(segment.core.stop + needed, segment.shot_stop)
    if segment.halo.start > start or segment.halo.stop < stop:
        raise ValueError(f"segment {segment.index} needs frames {start} to {stop}, its halo is {segment.halo}")


def check_lanes(lanes: Iterable[Lane], segment: Segment) -> tuple[Lane, ...]:
    """Lanes must cover the halo in order: each begins inside or right after the one before, and ends after it."""
    lanes = tuple(lanes)
    windows = [lane.window for lane in lanes]
    covers = bool(windows) and windows[0].start == segment.halo.start and windows[-1].stop == segment.halo.stop
    spans = [(lane.window.start, lane.padded_stop) for lane in lanes]
    if not covers or any(not a[0] < b[0] <= a[1] < b[1] for a, b in pairwise(spans)):
        raise ValueError(f"lanes {windows} do not cover segment {segment.index}, frames {segment.halo}, in order")
    return lanes


def step_counter(on_step: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if on_step is not None:
            on_step(done, total)

    return report
