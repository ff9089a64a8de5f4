"""SpyNet: the numbers of the official modules, any size, both kinds of files, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.spynet_keys import SPYNET_KEYS
from limpid.networks.by_name import shapes_of
from limpid.networks.flow.spynet import SpyNet, SpyNetFlow, load_spynet
from limpid.types import WeightsError

CASES = range(6)


@pytest.fixture(scope="module")
def network() -> SpyNet:
    torch.manual_seed(0)
    return SpyNet().eval().requires_grad_(False)


@pytest.fixture
def weight_file(network: SpyNet, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_golden_numbers(case: int, golden: Any) -> None:
    item = golden("spynet")
    official = SpyNet()
    official.load_state_dict(rename_all(item.weights, SPYNET_KEYS))
    ref, supp, flow = (item.cases[f"case{case}/{key}"] for key in ("in/ref", "in/supp", "out/flow"))
    with torch.no_grad():
        found = official(ref, supp)
    assert float((found - flow).abs().max() / flow.abs().max()) < 1e-5


def test_both_layouts_of_the_published_files_have_these_names(golden_folder: Path) -> None:
    import json

    wanted = shapes_of(SpyNet())
    for name, layout in json.loads((golden_folder / "schemas" / "spynet.json").read_text()).items():
        ours = rename_all({key: tuple(facts["shape"]) for key, facts in layout.items()}, SPYNET_KEYS)
        assert not compare(ours, wanted), name


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 70), (32, 32), (33, 31)])
def test_any_size(height: int, width: int, network: SpyNet) -> None:
    flow = network(*torch.rand(2, 2, 3, height, width))
    assert flow.shape == (2, 2, height, width) and bool(flow.isfinite().all())


def test_the_levels_add_up_to_nothing_when_none_moves() -> None:
    still = SpyNet()
    for level in still.levels:
        torch.nn.init.zeros_(level[-1].weight)
        torch.nn.init.zeros_(level[-1].bias)
    assert not still(*torch.rand(2, 1, 3, 40, 50)).any()


def test_a_motion_that_the_coarsest_level_sees_is_doubled_at_each_finer_one() -> None:
    """One pixel to the right at 1/32 of the size is 32 pixels, less what resizing of 40 to 64 columns takes away."""
    one = SpyNet()
    for number, level in enumerate(one.levels):
        torch.nn.init.zeros_(level[-1].weight)
        level[-1].bias.data = torch.tensor([1.0, 0.0]) if number == 0 else torch.zeros(2)
    flow = one(*torch.rand(2, 1, 3, 64, 40))
    assert torch.allclose(flow[:, 0], torch.tensor(32.0 * 40 / 64), atol=1e-4) and not flow[:, 1].any()


def test_estimator_is_the_network_in_parts(weight_file: Path, network: SpyNet, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = torch.rand(2, 3, 3, 32, 40)
    expected = network(first, second)
    estimator = SpyNetFlow(weight_file)
    assert torch.allclose(estimator(first, second), expected, atol=1e-5)
    monkeypatch.setattr("limpid.networks.flow.spynet._MOST_PAIRS", 1)
    assert torch.allclose(estimator(first, second), expected, atol=1e-5)
    assert estimator(first[:0], second[:0]).shape == (0, 2, 32, 40)
    assert not estimator(first.requires_grad_(), second).requires_grad
    with pytest.raises(ValueError, match="no pairs"):
        SpyNetFlow(weight_file)(first, second[:1])


def test_files_that_do_not_fit_are_explained(weight_file: Path, network: SpyNet) -> None:
    state: dict[str, Tensor] = network.state_dict()
    del state["levels.0.0.bias"]
    save_file(state, weight_file)
    with pytest.raises(WeightsError, match=r"does not fit SpyNet: 1 missing \(levels\.0\.0\.bias\)"):
        load_spynet(weight_file.parent)
    weight_file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="truncated, damaged or missing"):
        load_spynet(weight_file)
