"""DOVER: the numbers of the official modules, names of the published file, windows against a slow twin."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.checkpoints.renames import compare, rename_all
from limpid.networks.dover.aesthetic import AestheticBackbone
from limpid.networks.dover.dover import DOVER, DOVER_KEYS, Branch, ScoreHead, fuse_scores, make_dover
from limpid.networks.dover.technical import TechnicalBackbone
from limpid.networks.dover.windows import fragment_gate, join_windows, pair_index, place_windows, split_windows
from limpid.types import WeightsError

MEAN, SPREAD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])


def branch(item: Any, backbone: nn.Module) -> Branch:
    """A small branch with the official weights of an item."""
    config = item.meta["config"]
    found = Branch(backbone, ScoreHead(config["head_in_channels"], config["head_hidden_channels"]))
    state = rename_all(item.weights, DOVER_KEYS)
    found.load_state_dict({name.split(".", 1)[1]: tensor for name, tensor in state.items()})
    return found.eval().requires_grad_(False)


def check(found: Branch, view: Tensor, case: int, item: Any) -> None:
    features = found.backbone(view)
    scores = found.head(features)
    for name, value in {"features": features, "score_map": scores, "score": scores.mean((1, 2, 3, 4))}.items():
        wanted = item.cases[f"case{case}/out/{name}"]
        assert value.shape == wanted.shape
        assert float((value - wanted).abs().max() / wanted.abs().max()) < 1e-4, name
        assert float((value - wanted).abs().max()) < 5e-5, name


@pytest.mark.parametrize("case", range(3))
def test_golden_aesthetic(case: int, golden: Any) -> None:
    item = golden("dover_aesthetic")
    config = item.meta["config"]
    found = branch(item, AestheticBackbone(tuple(config["depths"]), tuple(config["dims"])))
    check(found, item.cases[f"case{case}/in/view"], case, item)


@pytest.mark.parametrize("case", range(3))
def test_golden_technical(case: int, golden: Any) -> None:
    item = golden("dover_technical")
    config = item.meta["config"]
    backbone = TechnicalBackbone(config["embed_dim"], tuple(config["depths"]), tuple(config["num_heads"]))
    pixels = item.cases[f"case{case}/in/view_uint8"].movedim(0, -1)
    view = ((pixels.float() - MEAN) / SPREAD).movedim(-1, 0)[None]
    check(branch(item, backbone), view, case, item)


def test_the_published_file_has_these_names(golden_folder: Path) -> None:
    schema = json.loads((golden_folder / "schemas" / "dover.json").read_text())
    ours = rename_all({name: tuple(facts["shape"]) for name, facts in schema.items()}, DOVER_KEYS)
    with torch.device("meta"):
        network = DOVER()
    assert not compare(ours, {name: tuple(t.shape) for name, t in network.state_dict().items()})
    assert sum(p.numel() for p in network.parameters()) == 56_218_302


def test_a_file_that_does_not_fit_is_explained() -> None:
    with pytest.raises(WeightsError, match=r"x\.pth does not fit DOVER: \d+ missing"):
        make_dover({"technical_backbone.norm.weight": torch.ones(768)}, "x.pth")


def test_fusion_gives_the_official_scores(golden: Any) -> None:
    cases = golden("dover_samplers").cases
    pairs = zip(cases["fusion/in/technical"].tolist(), cases["fusion/in/aesthetic"].tolist(), strict=True)
    for number, (technical, aesthetic) in enumerate(pairs):
        found = fuse_scores(technical, aesthetic)
        for name in ("overall", "technical", "aesthetic"):
            assert getattr(found, name) == pytest.approx(float(cases[f"fusion/out/{name}"][number]), abs=1e-9)


def test_the_mean_quality_of_both_is_one_half() -> None:
    assert fuse_scores(0.1107, -0.08285) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("grid", [(2, 7, 7), (9, 8, 15), (16, 14, 14)])
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_cut_a_grid_and_join_it_again(grid: tuple[int, int, int], shifted: bool) -> None:
    place = place_windows(grid, shifted=shifted)
    x = torch.rand(2, *grid, 3)
    windows = split_windows(x, place)
    assert windows.shape[1] == place.tokens
    assert torch.equal(join_windows(windows, place, grid), x)
    assert fragment_gate(place).shape == (len(windows) // 2, place.tokens, place.tokens)


def test_index_and_gate_are_those_of_their_definitions() -> None:
    place = place_windows((2, 14, 14), shifted=True)
    window = list(itertools.product(range(2), range(7), range(7)))
    index, gate = pair_index(place.tokens), fragment_gate(place)
    for q, k in ((0, 5), (97, 3), (48, 51)):
        (dq, hq, wq), (dk, hk, wk) = window[q], window[k]
        assert index[q, k] == (dq - dk + 7) * 169 + (hq - hk + 6) * 13 + wq - wk + 6
        # the second window of four holds rows 3 to 9 and columns 10 to 16, that is to 2, of the grid
        rows, columns = [((3 + h) % 14) // 2 for h in (hq, hk)], [((10 + w) % 14) // 2 for w in (wq, wk)]
        assert gate[1, q, k] == abs(rows[0] - rows[1]) + abs(columns[0] - columns[1])
