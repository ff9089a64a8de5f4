"""One prediction of the whole canvas: windows in time, attention phases, tiles in space, guidance, blend or crop."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from torch import Tensor

from limpid.method import Bank, Call, Condition, Denoise, Method, Phase, Prior
from limpid.restoration.shares import OnShare, parts_of, unheard
from limpid.tiling.blend import Blender, Grid
from limpid.types import Prediction, Step

_PLAIN = (Phase(name="plain"),)


def predict(
    method: Method,
    prior: Prior,
    z: Tensor,
    step: Step,
    condition: Condition,
    grid: Grid,
    on_share: OnShare = unheard,
) -> Prediction:
    """What the method's denoiser says of the whole canvas ``1 c t h w``.

    The prediction of overlapping pieces is their weighted mean; since eps and x0 are linear in each other for a given
    ``z``, blending both keeps ``z = alpha x0 + sigma eps``. Local networks' pieces are cropped.
    """
    attention, bank = method.attention, Bank()
    blended_x0, blended_eps = Blender(grid), Blender(grid)
    windows = range(len(grid.frames.spans))
    phases = _PLAIN if attention is None else attention.phases(step, grid.num_tiles)
    shares = parts_of(on_share, len(windows) * len(phases) * grid.num_tiles)
    for window in reversed(windows) if attention is not None and attention.descending(step) else windows:
        for phase in phases:
            for tile in range(grid.num_tiles):
                call = Call(step=step, phase=phase, window=window, tile=tile)
                prediction = predict_piece(method, prior, z, condition, grid, bank, call)
                if grid.is_single and phase.kept:
                    single = prediction
                elif phase.kept:
                    blended_x0.add(prediction.x0, window, tile)
                    blended_eps.add(prediction.eps, window, tile)
                next(shares)(1.0)
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


def encode(prior: Prior, condition: Condition, grid: Grid, on_share: OnShare = unheard) -> Tensor:
    """The clean latent of the upscaled input, ``1 c t h w``, put together from overlapping pieces."""
    if grid.is_single:
        clean = prior.encode(condition)
        on_share(1.0)
        return clean
    blender, shares = Blender(grid), parts_of(on_share, len(grid.frames.spans) * grid.num_tiles)
    for window in range(len(grid.frames.spans)):
        for tile in range(grid.num_tiles):
            blender.add(prior.encode(condition.crop(grid.window(window), grid.tile(tile))), window, tile)
            next(shares)(1.0)
    return blender.result()


def decode(
    method: Method,
    prior: Prior,
    z: Tensor,
    condition: Condition,
    grid: Grid,
    keep: range,
    on_share: OnShare = unheard,
) -> Tensor:
    """Clean latent ``1 c t h w`` -> frames ``t 3 H W`` of ``keep`` (counted from the first of ``z``), not clipped.

    Finished frames of blended methods are put together on the CPU: those of a segment are the largest thing there is.
    """
    shares = parts_of(on_share, len(grid.frames.spans) * grid.num_tiles)

    def made(window: int, tile: int) -> Tensor:
        piece = decode_piece(method, prior, z, condition, grid, window, tile)
        next(shares)(1.0)
        return piece

    first = made(0, 0)
    if grid.is_single:
        span = grid.frames.spans[0]
        return first[keep.start - span.start : keep.stop - span.start]
    blender = Blender(method.cuts.decoded(grid, first.shape[-1] // grid.tile(0).width))
    for window in range(len(grid.frames.spans)):
        for tile in range(grid.num_tiles):
            piece = first if window == tile == 0 else made(window, tile)
            blender.add(piece.transpose(0, 1), window, tile)
    origin = grid.frames.kept.start
    return blender.result().transpose(0, 1)[keep.start - origin : keep.stop - origin]


def decode_piece(
    method: Method, prior: Prior, z: Tensor, condition: Condition, grid: Grid, window: int, tile: int
) -> Tensor:
    """One decoder call: frames ``t 3 H W`` of one window and tile."""
    frames, rows, columns = grid.slices(window, tile)
    piece = prior.decode(z[..., frames, rows, columns], condition.crop(grid.window(window), grid.tile(tile)))
    return method.cuts.finished(piece)
