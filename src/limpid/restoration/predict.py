"""One prediction of the whole canvas: windows in time, attention phases, tiles in space, guidance, blend or crop."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from limpid.method import Bank, Call, Condition, Denoise, Method, Phase, Prior
from limpid.tiling.blend import Axis, Blender, Grid, kinds_of_axes
from limpid.types import Prediction, Segment, Step

PLAIN = (Phase(name="plain"),)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How finely a segment is cut. Lengths are those of the method unless a user or the memory plan asks for others."""

    tile_px: int | None
    window_frames: int | None
    decode_tile_px: int | None = None
    """None: the decoder has the denoiser's tiles."""


def denoise_grid(method: Method, prior: Prior, cut: Cut, z: Tensor, start: int, segment: Segment) -> Grid:
    """The cut of one denoiser call over latents ``z`` whose first frame is the absolute frame ``start``."""
    tile, frames = cut.tile_px, cut.window_frames
    count = z.shape[2]
    if method.local:
        time = Axis.haloed(count, frames, method.reach_frames)
    elif method.released_cuts_compat:
        time = Axis.visited(count, frames, method.window_overlap_frames)
    else:
        overlap = _fitting(method.window_overlap_frames, frames)
        time = Axis.overlapping(count, frames, overlap, method.window_weights, start - segment.shot_start)
    return Grid(time, *_space(method, prior, z, tile, method.reach_px, method.tile_overlap_px))


def decode_grid(
    method: Method, prior: Prior, cut: Cut, z: Tensor, keep: range | None, start: int, segment: Segment
) -> Grid:
    """The cut of the decoder over ``z``, in latent pixels, for the frames ``keep`` (counted from the first of ``z``).

    ``keep`` None means all. Temporal chunks of blended methods lie on a grid counted from the shot's first frame.
    """
    count = z.shape[2]
    keep = range(count) if keep is None else keep
    if method.local:
        time = Axis.haloed(count, method.decode_frames or cut.window_frames, method.decode_reach_frames, keep)
    elif method.released_cuts_compat:
        time = Axis.chunked(count, method.decode_frames).touching(keep)
    else:
        overlap = _fitting(method.decode_overlap_frames, method.decode_frames)
        time = Axis.overlapping(count, method.decode_frames, overlap, offset=start - segment.shot_start).touching(keep)
    if cut.decode_tile_px is None:
        return Grid(time, *_space(method, prior, z, cut.tile_px, method.decode_reach_px, method.tile_overlap_px))
    overlap_px = method.decode_tile_overlap_px
    return Grid(time, *_space(method, prior, z, cut.decode_tile_px, method.decode_reach_px, overlap_px))


def encode_grid(method: Method, prior: Prior, cut: Cut, z: Tensor, start: int, segment: Segment) -> Grid:
    """The cut of the encoder for latents like ``z``: the decoder's, because they work at the same sizes.

    Local methods run on tiles from beginning to end, so they encode what they are given at once.
    """
    if method.local:
        return Grid(*(Axis.haloed(count, None, 0) for count in z.shape[-3:]))
    return decode_grid(method, prior, cut, z, None, start, segment)


def _space(
    method: Method, prior: Prior, z: Tensor, tile_px: int | None, reach_px: int, overlap_px: int
) -> tuple[Axis, Axis]:
    tile = None if tile_px is None else max(prior.latent_size(tile_px, tile_px))
    if method.local:
        halo = max(prior.latent_size(reach_px, reach_px)) if reach_px else 0
        rows, columns = (Axis.haloed(count, tile, halo) for count in z.shape[-2:])
        return rows, columns
    wanted = max(prior.latent_size(overlap_px, overlap_px)) if overlap_px else 0
    overlap = _fitting(wanted, tile)
    kinds = kinds_of_axes(method.tile_weights)
    rows, columns = (
        Axis.overlapping(count, tile, overlap, kind) for count, kind in zip(z.shape[-2:], kinds, strict=True)
    )
    return rows, columns


def _fitting(overlap: int, length: int | None) -> int:
    """Pieces that became shorter than planned overlap by half at most, so that every step makes progress."""
    return overlap if length is None else min(overlap, length // 2)


def predict(method: Method, prior: Prior, z: Tensor, step: Step, condition: Condition, grid: Grid) -> Prediction:
    """What the method's denoiser says of the whole canvas ``1 c t h w``.

    The prediction of overlapping pieces is their weighted mean; since eps and x0 are linear in each other for a given
    ``z``, blending both keeps ``z = alpha x0 + sigma eps``. Local networks' pieces are cropped.
    """
    attention, bank = method.attention, Bank()
    blended_x0, blended_eps = Blender(grid), Blender(grid)
    windows = range(len(grid.frames.spans))
    for window in reversed(windows) if attention is not None and attention.descending(step) else windows:
        for phase in PLAIN if attention is None else attention.phases(step):
            for tile in range(grid.num_tiles):
                call = Call(step=step, phase=phase, window=window, tile=tile)
                prediction = predict_piece(method, prior, z, condition, grid, bank, call)
                if grid.is_single and phase.kept:
                    single = prediction
                elif phase.kept:
                    blended_x0.add(prediction.x0, window, tile)
                    blended_eps.add(prediction.eps, window, tile)
            if attention is not None:
                attention.barrier(bank, step, phase, window)
    return single if grid.is_single else Prediction(x0=blended_x0.result(), eps=blended_eps.result())


def predict_piece(
    method: Method, prior: Prior, z: Tensor, condition: Condition, grid: Grid, bank: Bank, call: Call
) -> Prediction:
    """One window and tile: guidance around the network calls, each patched with what attention propagation asks for."""
    frames, rows, columns = grid.slices(call.window, call.tile)
    piece = z[..., frames, rows, columns]
    piece_condition = condition.crop(grid.window(call.window), grid.tile(call.tile))
    denoise = patched_denoiser(method, prior, bank, call)
    if method.guidance is None:
        return denoise(piece, piece_condition, call.branch)
    return method.guidance.predict(prior, denoise, piece, call.step, piece_condition)


def patched_denoiser(method: Method, prior: Prior, bank: Bank, call: Call) -> Denoise:
    """`Denoise` for one piece: every guidance branch has keys and values of its own in the bank."""

    def denoise(z: Tensor, condition: object, branch: str) -> Prediction:
        here = replace(call, branch=branch, shape=tuple(z.shape))
        with nullcontext() if method.attention is None else method.attention.patch(prior, bank, here):
            return prior.denoise(z, call.step, condition)

    return denoise


def encode(prior: Prior, condition: Condition, grid: Grid) -> Tensor:
    """The clean latent of the upscaled input, ``1 c t h w``, put together from overlapping pieces."""
    if grid.is_single:
        return prior.encode(condition)
    blender = Blender(grid)
    for window in range(len(grid.frames.spans)):
        for tile in range(grid.num_tiles):
            blender.add(prior.encode(condition.crop(grid.window(window), grid.tile(tile))), window, tile)
    return blender.result()


def decode(method: Method, prior: Prior, z: Tensor, condition: Condition, grid: Grid, keep: range) -> Tensor:
    """Clean latent ``1 c t h w`` -> frames ``t 3 H W`` of ``keep`` (counted from the first of ``z``), not clipped.

    Finished frames of blended methods are put together on the CPU: those of a segment are the largest thing there is.
    """
    first = decode_piece(method, prior, z, condition, grid, 0, 0)
    if grid.is_single:
        span = grid.frames.spans[0]
        return first[keep.start - span.start : keep.stop - span.start]
    factor, (down, across) = first.shape[-1] // grid.tile(0).width, kinds_of_axes(method.tile_weights)
    blender = Blender(Grid(grid.frames, grid.rows.scaled(factor, down), grid.columns.scaled(factor, across)))
    for window in range(len(grid.frames.spans)):
        for tile in range(grid.num_tiles):
            piece = first if window == tile == 0 else decode_piece(method, prior, z, condition, grid, window, tile)
            blender.add(piece.transpose(0, 1), window, tile)
    origin = grid.frames.kept.start
    return blender.result().transpose(0, 1)[keep.start - origin : keep.stop - origin]


def decode_piece(
    method: Method, prior: Prior, z: Tensor, condition: Condition, grid: Grid, window: int, tile: int
) -> Tensor:
    """One decoder call: frames ``t 3 H W`` of one window and tile."""
    frames, rows, columns = grid.slices(window, tile)
    piece = prior.decode(z[..., frames, rows, columns], condition.crop(grid.window(window), grid.tile(tile)))
    return piece if method.local else piece.to("cpu", torch.float32)
