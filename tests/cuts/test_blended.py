"""How blended methods are cut to fit two memories, and the reasons that a dry run shows."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import method
from hypothesis import given
from hypothesis import strategies as st

from limpid.consistency.propagation import AUTHORS_STEPS, LatentPropagation
from limpid.cuts.blended import Blended
from limpid.cuts.blended_memory import BlendedLoad, blended_load
from limpid.cuts.cost import Cost, Demand
from limpid.method import Method, Weights
from limpid.plan.memory import Budget
from limpid.settings import Settings

GIB = 1 << 30


@pytest.fixture
def large() -> Method:
    return large_method()


def large_method(**changes: Any) -> Method:
    values: dict[str, Any] = {
        "scale": 4,
        "window_frames": 8,
        "window_overlap_frames": 2,
        "segment_grid_frames": 6,
        "joint_frames": 4,
        "tile_overlap_px": 64,
        "decode_frames": 8,
        "work_bytes_per_px": 80_000,
        "decode_bytes_per_px": 120_000,
        "weights_bytes": {"unet": 3 * GIB, "vae": GIB // 2},
    }
    return method(**{**values, **changes})


def chosen(m: Method, budget: Budget, width: int = 320, height: int = 180, **settings: Any) -> Any:
    demand = demand_of(m, budget, width, height, **settings)
    sizes = m.cuts.sizes(demand)
    rung, peak_bytes = sizes.rung(sizes.cutting.longest_frames)
    values = {f.name: getattr(sizes, f.name) for f in dataclasses.fields(sizes)}
    return SimpleNamespace(**{**values, "rung": rung, "peak_bytes": peak_bytes}), load_of(m, demand)


def demand_of(m: Method, budget: Budget, width: int, height: int, value_bytes: int = 4, **settings: Any) -> Demand:
    options = Settings(steps=30, **settings)
    size = {"width": width, "height": height, "fps": Fraction(25)}
    return m.demand(options, **size, bytes_per_value=value_bytes, budget=budget)


def load_of(m: Method, demand: Demand) -> BlendedLoad:
    assert isinstance(m.cuts, Blended)
    return blended_load(m.cuts, demand)


def test_plenty_of_memory_needs_no_tiles_and_gives_no_reasons(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=1 << 40), width=160, height=120)
    assert choice.rung.tile_px is None and choice.rung.decode_tile_px == 160
    assert choice.offload == "none" and not choice.reasons


def test_the_decoder_has_tiles_where_attention_would_take_longest(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=1 << 40))
    assert choice.rung.tile_px is None and choice.rung.decode_tile_px == 160
    assert choice.reasons == ("the decoder works on tiles of 160 px: attention over more is slow",)


def test_a_cpu_shares_its_memory_with_the_finished_frames(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=10 * GIB))
    assert choice.peak_bytes <= 10 * GIB
    assert not choice.rung.batched_guidance
    assert any("tiles of" in reason for reason in choice.reasons)
    assert any("the decoder works on tiles" in reason for reason in choice.reasons)


def test_a_gpu_with_little_memory_offloads_and_says_why(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=15 * GIB // 2, host=16 * GIB))
    assert choice.offload == "model"
    assert any("one network at a time" in reason for reason in choice.reasons)
    asked, _ = chosen(large, Budget(device=24 * GIB, host=16 * GIB), offload="group")
    assert asked.offload == "group" and "as asked for" in asked.reasons[0]


def test_guidance_goes_in_one_batch_where_a_gpu_has_room(large: Method) -> None:
    assert chosen(large, Budget(device=80 * GIB, host=64 * GIB))[0].rung.batched_guidance
    assert not chosen(large, Budget(device=8 * GIB, host=64 * GIB))[0].rung.batched_guidance


def test_segments_become_shorter_when_their_result_would_not_fit(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=8 * GIB), width=1920, height=1080)
    assert choice.cutting.frames % 6 == 0
    assert choice.cutting.frames < 54
    assert any("segments have" in reason for reason in choice.reasons)


def test_what_the_user_asks_for_is_kept(large: Method) -> None:
    choice, _ = chosen(large, Budget(device=4 * GIB), tile_px=96, segment_frames=12, window_frames=4)
    assert (choice.rung.tile_px, choice.cutting.frames, choice.rung.window_frames) == (96, 12, 4)


def test_a_shot_is_propagated_whole_where_memory_allows() -> None:
    m = large_method(strategy=LatentPropagation(steps=AUTHORS_STEPS))
    assert chosen(large_method(), Budget(device=1 << 40))[0].cutting.longest_frames == 107
    choice, _ = chosen(m, Budget(device=1 << 40))
    assert (choice.cutting.frames, choice.cutting.longest_frames) == (252, 503)
    assert (choice.cutting.halo_frames, choice.cutting.after_frames) == (12, 12)
    assert choice.reasons[0] == (
        "shots of up to 503 frames are kept consistent as a whole; "
        "in longer ones a segment of 252 sees 12 frames before it and 12 after it"
    )
    little, _ = chosen(m, Budget(device=12 * GIB))
    assert little.cutting.longest_frames < 503 and little.peak_bytes <= 12 * GIB
    # a small GPU in a large machine: its memory is not for latents alone
    small_gpu, load = chosen(m, Budget(device=8 * GIB, host=1 << 40), width=640, height=360)
    assert small_gpu.cutting.longest_frames * load.latent_bytes <= 2 * GIB
    assert chosen(m, Budget(device=8 * GIB), segment_frames=900)[0].cutting.frames == 900


@given(st.integers(16, 2000), st.integers(16, 2000), st.integers(30, 38), st.booleans())
def test_more_memory_never_means_smaller_pieces(width: int, height: int, power: int, gpu: bool) -> None:
    m = large_method()

    def at(power: int) -> Any:
        budget = Budget(device=1 << power, host=64 * GIB if gpu else None)
        return chosen(m, budget, width=width, height=height)[0]

    small, big = at(power), at(power + 1)
    edge = max(width, height)
    assert (small.rung.tile_px or edge) <= (big.rung.tile_px or edge)
    assert small.rung.decode_tile_px <= big.rung.decode_tile_px
    assert small.cutting.frames <= big.cutting.frames


def test_half_the_bytes_per_number_halve_weights_and_work(large: Method) -> None:
    full, half = (load_of(large, demand_of(large, Budget(device=GIB), 64, 64, size)) for size in (4, 2))
    assert half.work_bytes_per_px * 2 == full.work_bytes_per_px
    assert half.resident_bytes("none") * 2 == full.resident_bytes("none")
    assert full.resident_bytes("model") == 3 * GIB > full.resident_bytes("group")


def test_a_method_without_figures_is_planned_all_the_same() -> None:
    unknown = dataclasses.replace(large_method(), cost=Cost(), weights=Weights())
    choice, _ = chosen(unknown, Budget(device=2 * GIB))
    assert choice.peak_bytes > 0


def test_keys_and_values_between_calls_are_counted_and_said() -> None:
    """Those beyond the device's part lie on the host, and make segments shorter there."""
    keeps = large_method(kept_bytes=lambda width, height, frames, tile_px: width * height * frames * 20_000)
    kept = 320 * 180 * 8 * 20_000
    for budget in (Budget(device=64 * GIB), Budget(device=64 * GIB, host=64 * GIB)):
        (with_kept, _), (without, _) = chosen(keeps, budget, tile_px=96), chosen(large_method(), budget, tile_px=96)
        assert with_kept.peak_bytes - without.peak_bytes == kept
        assert "up to 8.58 GiB of keys and values are kept" in with_kept.reasons[-1]
    part = large_method(kept_bytes=keeps.cost.kept_bytes, kept_device_bytes=GIB)
    for host, shorter in ((64, False), (9, True)):
        budget = Budget(device=64 * GIB, host=host * GIB)
        (some, _), (without, _) = chosen(part, budget, tile_px=96), chosen(large_method(), budget, tile_px=96)
        assert (some.cutting.frames < without.cutting.frames) == shorter
        assert shorter or some.peak_bytes - without.peak_bytes == GIB
