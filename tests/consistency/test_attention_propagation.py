"""SAP and TAP in the engine against loops written from the equations; what switches them off; what a bank holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.attention.layers import sampled_positions
from limpid.consistency.attention_bank import Kept, LayerSize, bank_bytes, store
from limpid.consistency.attention_propagation import AttentionPropagation, key_deviation, most_detailed
from limpid.cuts.blended import Blended
from limpid.diffusion.schedules import karras_steps
from limpid.guidance.arithmetic import extrapolated
from limpid.guidance.classifier_free import ClassifierFree
from limpid.guidance.dssag import DetailSuppression, suppression
from limpid.method import Bank, Method
from limpid.restoration.predict import predict
from limpid.tiling.blend import Axis, Blender, Grid
from limpid.types import Prediction, Step

from ..attention.explicit import AttentionStack, Told, softmax_attention

STEPS = karras_steps(4, 0.5, 4.0)
SIZE = (8, 7, 9, 6)
"""Channels, frames, rows, columns."""
GRID = Grid(Axis.overlapping(7, 4, 2), Axis.overlapping(9, 6, 3), Axis.overlapping(6, 4, 2))
OUTER = (0, 1, 3, 4)


@pytest.fixture
def z() -> Tensor:
    return torch.randn(1, *SIZE, generator=torch.Generator().manual_seed(0))


def method(attention: Any = None, guidance: Any = None) -> Any:
    return Method(
        name="fake",
        summary="",
        load=lambda placement: AttentionStack(),  # type: ignore[arg-type, return-value]
        scale=1,
        steps=4,
        make_schedule=lambda n: STEPS,
        sampler=None,  # type: ignore[arg-type]
        cuts=Blended(),
        attention=attention,
        guidance=guidance,
    )


def run(z: Tensor, step: Step, grid: Grid = GRID, **parts: Any) -> Prediction:
    prior: Any = AttentionStack()
    return predict(method(**parts), prior, z, step, Told(), grid)


def same(actual: Prediction, expected: Prediction) -> None:
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def pieces(grid: Grid, windows: list[int]) -> Iterator[tuple[int, list[int]]]:
    for window in windows:
        yield window, list(range(grid.num_tiles))


# ----------------------------------------------------------------------------------- written from the paper


def explicit_sap(z: Tensor, step: Step, rate: float, told: Told, attend: Any = softmax_attention) -> Prediction:
    """DC-VSR section 3.1: per temporal tile, subsampled keys of all spatial tiles, then DC-VSR Eq. 2 with both sets."""
    prior, x0, eps = AttentionStack(), Blender(GRID), Blender(GRID)
    for window, tiles in pieces(GRID, list(range(len(GRID.frames.spans)))):
        kept: dict[int, list[tuple[Tensor, Tensor]]] = {i: [] for i in OUTER}
        for tile in tiles:
            piece = z[(..., *GRID.slices(window, tile))]
            height, width = piece.shape[-2:]
            chosen = [r * width + c for r in sampled_positions(height, rate) for c in sampled_positions(width, rate)]

            def collect(i: int, q: Tensor, k: Tensor, v: Tensor, chosen: Any = chosen, kept: Any = kept) -> Tensor:
                if i in OUTER:
                    kept[i].append((k[:, :, chosen], v[:, :, chosen]))
                return attend(q, k, v) if i in OUTER else softmax_attention(q, k, v)

            prior.explicit(piece, step, told, collect)

        def extended(i: int, q: Tensor, k: Tensor, v: Tensor, kept: Any = kept) -> Tensor:
            if i not in OUTER:
                return softmax_attention(q, k, v)
            more_k, more_v = (torch.cat([pair[n] for pair in kept[i]], dim=2) for n in (0, 1))
            return attend(q, torch.cat([k, more_k], dim=2), torch.cat([v, more_v], dim=2))

        for tile in tiles:
            done = prior.explicit(z[(..., *GRID.slices(window, tile))], step, told, extended)
            x0.add(done.x0, window, tile)
            eps.add(done.eps, window, tile)
    return Prediction(x0.result(), eps.result())


def explicit_tap(z: Tensor, step: Step, frames: int, *, backward: bool, told: Told, attend: Any) -> Prediction:
    """DC-VSR section 3.2: keys of the L most detailed frames of the tile before, for every frame of this one."""
    prior, x0, eps = AttentionStack(), Blender(GRID), Blender(GRID)
    windows = list(range(len(GRID.frames.spans)))
    before: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for window, tiles in pieces(GRID, windows[::-1] if backward else windows):
        after: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        for tile in tiles:

            def extended(
                i: int, q: Tensor, k: Tensor, v: Tensor, tile: int = tile, then: Any = before, now: Any = after
            ) -> Tensor:
                if i not in OUTER:
                    return softmax_attention(q, k, v)
                detail = [float(frame.std(dim=1, correction=0).mean()) for frame in k]
                best = sorted(range(len(k)), key=lambda f: -detail[f])[:frames]
                now[(i, tile)] = torch.cat([k[f] for f in best], dim=1), torch.cat([v[f] for f in best], dim=1)
                if (i, tile) not in then:
                    return attend(q, k, v)
                more_k, more_v = (x.expand(len(k), -1, -1, -1) for x in then[(i, tile)])
                return attend(q, torch.cat([k, more_k], dim=2), torch.cat([v, more_v], dim=2))

            done = prior.explicit(z[(..., *GRID.slices(window, tile))], step, told, extended)
            x0.add(done.x0, window, tile)
            eps.add(done.eps, window, tile)
        before = after
    return Prediction(x0.result(), eps.result())


@pytest.mark.parametrize("rate", [1 / 16, 0.3, 1.0])
def test_sap_is_what_the_equations_say(z: Tensor, rate: float) -> None:
    same(run(z, STEPS[0], attention=AttentionPropagation(spatial_rate=rate)), explicit_sap(z, STEPS[0], rate, Told()))


@pytest.mark.parametrize("index", [1, 3])
@pytest.mark.parametrize("frames", [1, 3, 9])
def test_tap_is_what_the_equations_say(z: Tensor, index: int, frames: int) -> None:
    actual = run(z, STEPS[index], attention=AttentionPropagation(temporal_frames=frames))
    told = {"backward": index == 3, "told": Told(), "attend": softmax_attention}
    same(actual, explicit_tap(z, STEPS[index], frames, **told))


@pytest.mark.parametrize("index", [0, 1])
def test_guidance_branches_have_banks_of_their_own(z: Tensor, index: int) -> None:
    """With DSSAG: its softened attention weighs the appended keys too, and each branch sees only its own."""
    step, gamma = STEPS[index], suppression(STEPS[index], 0.5)
    assert gamma > 0

    def soft(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return softmax_attention(q, k, v, gamma)

    def branch(told: Told, attend: Any) -> Prediction:
        if index == 0:
            return explicit_sap(z, step, 0.3, told, attend)
        return explicit_tap(z, step, 2, backward=False, told=told, attend=attend)

    plan = AttentionPropagation(spatial_rate=0.3, temporal_frames=2)
    actual = run(z, step, attention=plan, guidance=DetailSuppression(scale=2.5))
    same(actual, extrapolated(branch(Told(0.0), soft), branch(Told(), softmax_attention), 2.5))


class BothToo(Told):
    """A condition for two branches in one batch, which `AttentionStack` tells apart by nothing: both are told 0.5."""

    def crop(self, *cut: Any) -> BothToo:
        return self

    def unconditional(self) -> BothToo:
        return self

    def both(self) -> BothToo:
        return self


@pytest.mark.parametrize("index", [0, 1])
def test_two_branches_in_one_batch_are_kept_apart(z: Tensor, index: int) -> None:
    prior: Any = AttentionStack()
    told: Any = BothToo()
    plan = AttentionPropagation(spatial_rate=0.3, temporal_frames=2)
    guided = [
        predict(method(plan, ClassifierFree(scale=3.0, batched=batched)), prior, z, STEPS[index], told, GRID)
        for batched in (False, True)
    ]
    same(guided[1], guided[0])


# --------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_nothing_to_propagate_is_no_propagation(z: Tensor, index: int) -> None:
    plan = AttentionPropagation(spatial_rate=0.0, temporal_frames=0)
    off, plain = run(z, STEPS[index], attention=plan), run(z, STEPS[index])
    assert len(plan.phases(STEPS[index], 2)) == 1
    for one, other in zip(off, plain, strict=True):
        assert torch.equal(one, other)


def test_one_tile_with_sap_is_plain_and_costs_one_call(z: Tensor) -> None:
    """It has no other tiles to look at."""
    single = Grid(GRID.frames, Axis.overlapping(9, None, 0), Axis.overlapping(6, None, 0))
    plan = AttentionPropagation(temporal_frames=0)
    same(run(z, STEPS[0], single, attention=plan), run(z, STEPS[0], single))
    assert [phase.name for phase in plan.phases(STEPS[0], 1)] == ["plain"]
    assert len(plan.phases(STEPS[0], 2)) == 2


def test_one_temporal_tile_with_tap_is_plain(z: Tensor) -> None:
    grid = Grid(Axis.overlapping(7, None, 0), GRID.rows, GRID.columns)
    same(run(z, STEPS[1], grid, attention=AttentionPropagation()), run(z, STEPS[1], grid))


def test_schemes_and_directions_take_turns() -> None:
    plan = AttentionPropagation()
    steps = karras_steps(8, 0.05, 4.0)
    names = [[phase.name for phase in plan.phases(step, 2)] for step in steps]
    assert names == [["collect", "apply"], ["propagate"]] * 4
    assert [i for i, step in enumerate(steps) if plan.descending(step)] == [3, 7]
    assert all(plan.phases(step, 2)[-1].kept for step in steps)


def test_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="spatial_rate"):
        AttentionPropagation(spatial_rate=1.5)
    with pytest.raises(ValueError, match="temporal_frames"):
        AttentionPropagation(temporal_frames=-1)


@pytest.mark.parametrize("index", [0, 1])
def test_a_failing_network_is_left_as_it_was(z: Tensor, index: int) -> None:
    prior: Any = AttentionStack()
    found, prior.fail_at_call = prior.processors(), 7
    with pytest.raises(RuntimeError, match="the network failed"):
        predict(method(AttentionPropagation(), DetailSuppression(scale=2.0)), prior, z, STEPS[index], Told(), GRID)
    assert prior.processors() == found and all(a is b for a, b in zip(prior.processors(), found, strict=True))


# ------------------------------------------------------------------------------------- detail of frames


def test_the_frames_whose_keys_deviate_most_are_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    detail = torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0, 0.0])
    offset = torch.randn(6, 2, 1, 4, generator=generator) * 50
    k = torch.randn(6, 2, 30, 4, generator=generator) * detail[:, None, None, None] + offset
    v = torch.arange(6.0)[:, None, None, None].expand(6, 2, 30, 4)
    assert key_deviation(k).argsort(descending=True).tolist() == [1, 3, 4, 2, 0, 5], "a common vector counts nothing"
    keys, values = most_detailed(k, v, clips=1, frames=3)
    assert keys.shape == (1, 2, 90, 4)
    assert values[0, 0, ::30, 0].tolist() == [1.0, 3.0, 4.0], "in the order of time"
    assert torch.equal(keys[0, :, 30:60], k[3])


def test_each_clip_of_a_batch_chooses_its_own_frames() -> None:
    k = torch.randn(4, 2, 9, 4, generator=torch.Generator().manual_seed(0))
    k[0] *= 9
    k[3] *= 9
    keys, _ = most_detailed(k, k, clips=2, frames=1)
    assert torch.equal(keys, k[[0, 3]])


# --------------------------------------------------------------------------------------------- the bank


def held(bank: Bank) -> int:
    return sum(entry.bytes for entry in bank.values())


class Watching(AttentionPropagation):
    """Notes the most that the bank held at a barrier, before and after it."""

    def barrier(self, bank: Bank, *where: Any) -> None:
        PEAKS.append(held(bank))
        super().barrier(bank, *where)
        PEAKS.append(held(bank))


PEAKS: list[int] = []


@pytest.mark.parametrize(("index", "name"), [(0, "spatial"), (1, "temporal")])
def test_memory_is_what_the_plan_says(index: int, name: str) -> None:
    PEAKS.clear()
    grid = Grid(Axis.overlapping(16, 4, 2), Axis.overlapping(9, 6, 3), Axis.overlapping(6, 4, 2))
    z = torch.randn(1, 8, 16, 9, 6)
    plan = Watching(spatial_rate=0.3, temporal_frames=3)
    run(z, STEPS[index], grid, attention=plan, guidance=DetailSuppression(scale=2.0))
    layers = [LayerSize(height=6, width=4, channels=8)] * 4
    options: dict[str, Any] = {"spatial_rate": 0.3, "temporal_frames": 3, "window_frames": 4, "itemsize": 4}
    said = bank_bytes(layers, tiles=grid.num_tiles, **options)[name]
    transient = said // 9 if name == "spatial" else 0
    assert max(PEAKS) == said - transient, "four layers and two branches, and for SAP one layer and branch twice"


def test_memory_of_a_bank_is_none_where_nothing_is_propagated() -> None:
    layers = [LayerSize(height=6, width=4, channels=8)]
    said = bank_bytes(layers, spatial_rate=0.0, temporal_frames=0, window_frames=4, tiles=9)
    assert said == {"spatial": 0, "temporal": 0}


def test_what_exceeds_the_device_goes_to_the_processor() -> None:
    """Shown with the device that has no memory at all."""
    bank: Bank = {}
    there = torch.zeros(1, 1, 4, 2, device="meta")
    store(bank, "first", Kept(there, there), device_bytes=64)
    assert bank["first"].keys.device.type == "meta"
    moved: list[Callable[..., Any]] = []

    class Big:
        device, element_size, numel = there.device, there.element_size, there.numel

        def cpu(self) -> Tensor:
            moved.append(self.cpu)
            return torch.zeros(1, 1, 4, 2)

    big: Any = Big()
    store(bank, "second", Kept(big, big), device_bytes=64)
    assert len(moved) == 2 and bank["second"].keys.device.type == "cpu"
    store(bank, "first", Kept(big, big), device_bytes=64)
    assert len(moved) == 2, "what is replaced does not count"
