"""DOVER: views against the authors' program, scores end to end, what is drawn and what is said of files and clips."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from limpid.checkpoints.renames import rename_all
from limpid.metrics import METRICS, Clips, measure
from limpid.metrics import dover as module
from limpid.metrics.dover import dover_scores
from limpid.metrics.dover_views import (
    FragmentGrid,
    Offsets,
    choose_frames,
    draw_offsets,
    fragments,
    normalised_view,
    resized_view,
)
from limpid.metrics.kinds import NotMeasurableError
from limpid.networks.dover.dover import DOVER, DOVER_KEYS, fuse_scores, make_dover


def synthetic(frames: int, height: int, width: int, seed: int) -> np.ndarray:
    """The reference run's clip: blocks that change every few frames on a gradient, uint8 ``t h w 3``."""
    t, y, x, c = np.meshgrid(*(np.arange(n, dtype=np.uint64) for n in (frames, height, width, 3)), indexing="ij")
    low = np.uint64(0xFFFFFFFF)
    a = (x // 5 * 73856093) ^ (y // 3 * 19349663) ^ (t // 4 * 83492791) ^ (c * 2971215073) ^ np.uint64(seed)
    a &= low
    a = ((a ^ (a >> np.uint64(15))) * np.uint64(2654435761)) & low
    a = ((a ^ (a >> np.uint64(13))) * np.uint64(1274126177)) & low
    value = ((a >> np.uint64(16)) & np.uint64(127)) + ((3 * x + 2 * y + 5 * t + 40 * c) & np.uint64(127))
    return value.astype(np.uint8)


def digest(view: np.ndarray) -> str:
    """The hash of a view in the order of the reference, channels first."""
    return hashlib.sha256(np.ascontiguousarray(view.transpose(3, 0, 1, 2)).tobytes()).hexdigest()


def legacy(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def test_the_synthetic_clip_is_that_of_the_reference() -> None:
    assert digest(synthetic(2, 3, 4, 0)) == "4fe2a032902cb77ce8ecf1f07ce7fbca828d1a96e3b0fa60a5e172fbefec46d8"


# ---------------------------------------------------------------------------------------------- views


def test_golden_frames(golden: Any) -> None:
    item = golden("dover_samplers")
    for row in item.meta["frames"]:
        found = choose_frames(row["N"], legacy(row["numpy_seed"]))
        for name in ("technical", "aesthetic"):
            assert found._asdict()[name].tolist() == item.cases[f"frames/N{row['N']}/{name}"].tolist(), row


@pytest.mark.parametrize("case", range(8))
def test_golden_fragments(case: int, golden: Any) -> None:
    item = golden("dover_samplers")
    row = item.meta["fragments"][case]
    options = row["options"]
    grid = FragmentGrid(cells=3, cell_px=8, group_frames=options["aligned"]) if options else FragmentGrid()
    frames = synthetic(row["T"], row["H"], row["W"], row["clip_seed"])
    chance = torch.Generator().manual_seed(row["torch_seed"])
    offsets = draw_offsets(row["H"], row["W"], grid.groups(row["T"]), chance, grid)
    for name, values in zip(("offset_h", "offset_w"), offsets, strict=True):
        assert np.array_equal(values, item.cases[f"fragments/case{case}/{name}"].numpy())
    view = fragments(frames, offsets, grid)
    stored = item.cases[f"fragments/case{case}/view"].numpy().transpose(1, 2, 3, 0)
    apart = view[row["stored_frames"]].astype(int) - stored
    assert np.abs(apart).max() <= int(row["upsampled"]) and (apart != 0).sum() <= 8
    if not row["upsampled"]:
        assert digest(view) == row["sha256_uint8_C_T_H_W"]


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("antialias", [False, True])
def test_golden_resize(case: int, antialias: bool, golden: Any) -> None:
    item = golden("dover_samplers")
    row = item.meta["resize"][case]
    frames = synthetic(row["T"], row["H"], row["W"], row["clip_seed"])[row["stored_frames"]]
    name = "view_antialias" if antialias else "view_no_antialias"
    wanted = item.cases[f"resize/case{case}/{name}"].numpy().transpose(1, 2, 3, 0)
    found = resized_view(frames, row["size"][0], antialias=antialias)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert (found != wanted).mean() < 0.02


def test_golden_colours(golden: Any) -> None:
    cases = golden("dover_samplers").cases
    levels = cases["normalise/in"].numpy().astype(np.uint8).T[None, :, None]
    assert torch.allclose(normalised_view(levels)[:, 0, :, 0], cases["normalise/out"], atol=1e-6)


def test_fragments_are_pixels_of_the_frame_in_their_places() -> None:
    grid = FragmentGrid(cells=2, cell_px=4, group_frames=1)
    frames = np.arange(2 * 12 * 16 * 3, dtype=np.int64).reshape(2, 12, 16, 3).astype(np.uint8)
    offsets = Offsets(np.array([[[0, 1], [0, 0]], [[2, 0], [1, 0]]]), np.array([[[3, 0], [0, 4]], [[0, 0], [2, 0]]]))
    view = fragments(frames, offsets, grid)
    assert np.array_equal(view[0, :4, :4], frames[0, 0:4, 3:7]) and np.array_equal(view[1, :4, :4], frames[1, 1:5, 0:4])
    assert np.array_equal(view[0, 4:, 4:], frames[0, 7:11, 10:14])


def test_small_frames_are_refused() -> None:
    frames = np.zeros((1, 31, 200, 3), np.uint8)
    with pytest.raises(NotMeasurableError, match="at least 32 pixels, not 200x31"):
        fragments(frames, draw_offsets(31, 200, 1, torch.Generator()))


# ---------------------------------------------------------------------------------------------- scores


class Brightness(torch.nn.Module):
    """Stands for a branch: the mean of what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, view: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return view.mean((1, 2, 3, 4))


class FakeDOVER:
    def __init__(self) -> None:
        self.technical, self.aesthetic = Brightness(), Brightness()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeDOVER:
    network = FakeDOVER()
    monkeypatch.setattr(module, "_network", lambda *key: network)
    (tmp_path / "DOVER.pth").write_bytes(b"")
    return network


def test_what_was_drawn_before_is_not_rated_again(fake: FakeDOVER, tmp_path: Path) -> None:
    small = dover_scores(synthetic(20, 224, 224, 0), tmp_path / "DOVER.pth")
    assert (fake.technical.calls, fake.aesthetic.calls, small.spread) == (3, 1, 0)
    assert small.mean == pytest.approx(small.draws[0])
    large = dover_scores(synthetic(10, 300, 300, 0), tmp_path / "DOVER.pth")
    assert fake.technical.calls == 3 + 9 and fake.aesthetic.calls == 2
    assert large.spread > 0 and large.mean.overall == pytest.approx(np.mean([d.overall for d in large.draws]))


def test_a_reader_of_the_table_is_told_of_draws_and_licence(fake: FakeDOVER, tmp_path: Path) -> None:
    names = [name for name in METRICS if name.startswith("dover")]
    found = measure(names, Clips(synthetic(8, 64, 64, 0)), tmp_path)
    assert all(found[n].value is not None and "3 draws" in found[n].note for n in names), found
    assert all(
        "non-commercial" in text for n in names for text in (found[n].note, METRICS[n].label, METRICS[n].licence)
    )
    assert fake.technical.calls == 3, "the four entries share one computation"


def test_files_that_are_not_dover_have_a_reason(tmp_path: Path) -> None:
    clips = Clips(np.zeros((2, 64, 64, 3), np.uint8))
    torch.save({"technical_head.fc_last.bias": torch.zeros(2)}, tmp_path / "DOVER.pth")
    assert "does not fit DOVER" in str(measure(["dover"], clips, tmp_path)["dover"])
    (tmp_path / "DOVER.pth").write_bytes(b"no pickle")
    assert "n/a" in str(measure(["dover"], clips, tmp_path)["dover"])


def recipe_weights(golden_folder: Path) -> dict[str, torch.Tensor]:
    """The reference run's weights under the published names: numbers from the names alone."""
    import json

    schema = json.loads((golden_folder / "schemas" / "dover.json").read_text())
    return {name: recipe_numbers(name, facts["shape"]) for name, facts in schema.items() if facts["dtype"] == "F32"}


def recipe_numbers(name: str, shape: list[int]) -> torch.Tensor:
    r = legacy(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("fc_last.weight"):
        r = 0.02 * r
    elif name.endswith("fc_last.bias"):
        r = 0 * r
    elif name.endswith(".bias"):
        r = 0.1 * r
    elif name.endswith(".gamma"):
        r = 0.5 + 0.2 * r
    elif len(shape) == 1:
        r = 1 + 0.1 * r
    elif "position_bias_table" not in name:
        r = 0.8 * r / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(r, np.float32))


@pytest.mark.skipif(not os.environ.get("LIMPID_SELF_CHECK"), reason="takes minutes; LIMPID_SELF_CHECK=1 runs it")
@pytest.mark.parametrize("run", range(2))
def test_golden_end_to_end(run: int, golden: Any, golden_folder: Path) -> None:
    item = golden("dover_full")
    row = item.meta["runs"][run]
    network = make_dover(recipe_weights(golden_folder), "the recipe")
    frames = synthetic(row["N"], row["H"], row["W"], row["clip_seed"])
    chosen = choose_frames(row["N"], legacy(row["numpy_seed"]))
    offsets = draw_offsets(row["H"], row["W"], 3, torch.Generator().manual_seed(row["torch_seed"]))
    view = fragments(frames[chosen.technical], offsets)
    clips = normalised_view(view).chunk(3, dim=1)
    with torch.no_grad():
        maps = torch.cat([network.technical(clip[None]) for clip in clips])
    wanted = item.cases[f"run{run}/technical_score_map"]
    assert float((maps - wanted).abs().max()) < 1e-4
    assert float(maps.mean()) == pytest.approx(row["technical_raw"], abs=1e-5)
    for name in ("no_antialias", "antialias"):
        small = normalised_view(resized_view(frames[chosen.aesthetic], 224, antialias=name == "antialias"))
        with torch.no_grad():
            raw = float(network.aesthetic(small[None]).mean())
        assert raw == pytest.approx(row[f"aesthetic_raw_{name}"], abs=1e-4)
        fused = fuse_scores(float(maps.mean()), raw)
        assert fused.overall == pytest.approx(row[f"fused_{name}"]["overall"], abs=2e-4)


def test_a_file_of_random_numbers_is_read_and_rated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real size, from a file in the published names, on one small clip that is drawn once."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in DOVER().state_dict().items()}
    theirs = {f"x{n}": name for n, name in enumerate(shapes)}
    assert rename_all(theirs, DOVER_KEYS) == theirs
    save_file({name: torch.full(shape, 0.01) for name, shape in shapes.items()}, tmp_path / "DOVER.safetensors")
    monkeypatch.setattr(module, "_rate", lambda branch, view: float(next(branch.parameters()).mean()))
    found = dover_scores(np.zeros((3, 64, 64, 3), np.uint8), tmp_path / "DOVER.safetensors")
    assert found.mean == pytest.approx(fuse_scores(0.01, 0.01))
