"""`tiny` without latents: what the loop gives from the mean of its noise, frame by frame, whatever the cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fakes import segment_of, video
from ncnn_here import needs_ncnn
from torch import Tensor

from limpid.color import apply_color_, low_pass_error
from limpid.method import DirectPrior
from limpid.methods import find_method, tiny
from limpid.plan.device import choose_machine
from limpid.plan.segments import Rung
from limpid.priors.patch_frames import PatchFrame, shrunk_bicubic
from limpid.priors.tiny import TinyPrior
from limpid.restoration.chunk import Chunk
from limpid.restoration.direct import is_direct, without_noise
from limpid.restoration.restorer import Restorer
from limpid.settings import Settings
from limpid.types import Placement
from limpid.video import quantise

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
METHOD = tiny(denoise=0)
(STEP,) = METHOD.make_schedule(1)


@pytest.fixture(scope="module")
def prior() -> TinyPrior:
    loaded = METHOD.load(CPU)
    assert isinstance(loaded, TinyPrior) and isinstance(loaded, DirectPrior)
    return loaded


def by_the_loop(prior: TinyPrior, lr: Tensor) -> Tensor:
    """The slow twin: latents of zero, denoised and decoded."""
    condition = prior.condition(lr)
    zero = torch.zeros(1, prior.latent_channels, len(lr), *prior.latent_size(*lr.shape[-2:]))
    frames = prior.decode(prior.denoise(zero, STEP, condition).x0, condition)
    return frames[..., : 4 * lr.shape[-2], : 4 * lr.shape[-1]]


@pytest.mark.parametrize(("frames", "size"), [(1, (18, 22)), (2, (17, 16)), (7, (16, 21))])
def test_it_is_the_step_from_the_mean_of_the_noise(prior: TinyPrior, frames: int, size: tuple[int, int]) -> None:
    lr = video(frames, *size)
    made = list(prior.direct(STEP)(iter(lr)))
    expected = by_the_loop(prior, lr)
    assert len(made) == frames
    for frame, wanted, low in zip(made, expected, lr, strict=True):
        assert (frame.picture(None) - wanted.clamp(0, 1)).abs().max() < 0.5 / 255
        assert (frame.shrunk() - torch.nn.functional.avg_pool2d(wanted, 4)).abs().max() < 0.5 / 255
        corrected = frame.picture(low_pass_error(low, frame.shrunk(), 4))
        by_frame = apply_color_("wavelet", wanted[None].clone(), low[None]).clamp(0, 1)[0]
        assert (corrected - by_frame).abs().max() < 0.5 / 255
        assert (
            frame.rounded(None).permute(1, 2, 0).numpy() == quantise(frame.picture(None)[None], 8, *_size(frame))
        ).all()


def _size(frame: PatchFrame) -> tuple[int, int]:
    return frame.size[0] * 4, frame.size[1] * 4


def test_the_small_filter_is_upscaling_and_shrinking() -> None:
    lr = video(1, 9, 11)[0]
    large = torch.nn.functional.interpolate(lr[None], scale_factor=4, mode="bicubic")
    assert (shrunk_bicubic(lr, 4) - torch.nn.functional.avg_pool2d(large, 4)[0]).abs().max() < 1e-6


def test_values_that_are_no_numbers_are_refused(prior: TinyPrior) -> None:
    lr = video(1, 16, 16)
    lr[0, 0, 3, 3] = torch.nan
    (frame,) = prior.direct(STEP)(iter(lr))
    with pytest.raises(ValueError, match="not numbers"):
        frame.rounded(None)


@pytest.mark.parametrize(
    ("method", "options", "direct"),
    [
        ({}, {}, True),
        ({}, {"color": "none"}, True),
        ({}, {"color": "adain"}, False),
        ({}, {"steps": 2}, False),
        ({}, {"strength": 0.5}, False),
        ({}, {"window_frames": 4}, False),
        ({"consistency": "noise"}, {}, False),
    ],
)
def test_only_runs_that_look_at_no_latents_go_this_way(
    method: dict[str, Any], options: dict[str, Any], direct: bool
) -> None:
    assert is_direct(tiny(**method), Settings(**options)) == direct


def restorer(**changes: Any) -> Restorer:
    machine = choose_machine("cpu", "float32")
    fields = {"method": find_method("tiny"), "settings": Settings(), "machine": machine, "width": 88, "height": 144}
    return Restorer(**{**fields, **changes})


@pytest.mark.parametrize("tile_px", [None, 16])
def test_pictures_for_the_encoder_are_the_rounded_ones_for_any_tiles(tile_px: int | None) -> None:
    lr, shares = video(3, 36, 22), []
    segment = segment_of((1, 3), (0, 3), (0, 3))
    chunk = Chunk(frames=lr, segment=segment, rung=Rung(chunk_frames=2, tile_px=tile_px), on_share=shares.append)
    plain = restorer()(chunk)
    assert shares == [i / (len(shares) - 1) for i in range(len(shares))], "every frame of every tile is told"
    assert len(shares) == (3 if tile_px is None else 2 * len(restorer().pieces((36, 22), chunk.rung)) + 1)
    assert (restorer(depth=8)(chunk).numpy() == quantise(plain, 8, 144, 88)).all()


@pytest.mark.parametrize(
    "machine", [("bfloat16", "torch"), pytest.param(("float32", "ncnn"), marks=needs_ncnn)], ids=lambda m: "-".join(m)
)
def test_frames_have_the_same_bytes_in_any_chunk_and_number_format(machine: tuple[str, str]) -> None:
    """Workers rely on it: units of a film begin anywhere, and nothing is computed twice."""
    dtype, runtime = machine
    lr, reach, length = video(14, 24, 22), METHOD.cuts.around(1, (0, 0))[0], 14
    chosen = choose_machine("cpu", dtype, 1, runtime=runtime, runtimes=METHOD.runtimes)  # type: ignore[arg-type]
    made = restorer(machine=chosen, height=96, depth=8)

    def pictures(start: int, stop: int) -> Tensor:
        halo = (max(start - reach, 0), min(stop + reach, length))
        segment = segment_of((start, stop), halo, (0, length))
        chunk = Chunk(frames=lr[slice(*halo)], segment=segment, rung=Rung(chunk_frames=stop - start))
        return made(chunk)

    whole = pictures(0, length)
    for cut in (1, 5, 6, 9):
        assert torch.equal(torch.cat([pictures(0, cut), pictures(cut, length)]), whole)


def test_a_seed_without_effect_is_spoken_of() -> None:
    assert without_noise(METHOD, Settings()) == []
    assert without_noise(METHOD, Settings(seed=3, steps=2)) == []
    (sentence,) = without_noise(METHOD, Settings(seed=3))
    assert sentence.startswith("seed 3 has no effect")
