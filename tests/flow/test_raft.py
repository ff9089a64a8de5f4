"""RAFT: equal to torchvision's for the same weights; any size; what the files are called; what is said of bad ones."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from limpid.checkpoints.renames import compare, rename, rename_all
from limpid.convert.raft_keys import RAFT_PRINCETON_KEYS, RAFT_TORCHVISION_KEYS, raft_rules
from limpid.networks.flow import raft as raft_module
from limpid.networks.flow.raft import RAFT, RAFTFlow, load_raft, pairs_at_once
from limpid.networks.flow.raft_blocks import Correlation
from limpid.types import WeightsError

DATA = Path(__file__).parent / "data" / "raft.npz"
TOLERANCE_PX = 5e-4
"""Reached: 7e-5 px, of flows of up to 24 px."""


@pytest.fixture(scope="module")
def formula(repository: Path) -> ModuleType:
    """The script that made the fixture: its weights and frames."""
    spec = importlib.util.spec_from_file_location("make_raft_fixture", repository / "scripts" / "make_raft_fixture.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    with np.load(DATA) as found:
        return {name: found[name] for name in found.files}


@pytest.fixture(scope="module")
def states(formula: ModuleType, stored: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """Weights under torchvision's names."""
    shapes = {size: json.loads(str(stored[f"{size}_names"])) for size in ("large", "small")}
    return {
        size: {name: torch.from_numpy(v) for name, v in formula.formula_state(names).items()}
        for size, names in shapes.items()
    }


@pytest.fixture(scope="module")
def networks(states: dict[str, dict[str, Tensor]]) -> dict[str, RAFT]:
    networks = {}
    for size, state in states.items():
        network = RAFT(size)  # type: ignore[arg-type]
        network.load_state_dict(rename_all(state, RAFT_TORCHVISION_KEYS))
        networks[size] = network.requires_grad_(False)
    return networks


@pytest.fixture(scope="module")
def frames(formula: ModuleType) -> tuple[Tensor, Tensor]:
    first, second = formula.formula_frames()
    return torch.from_numpy(first), torch.from_numpy(second)


@pytest.fixture(scope="module")
def weight_file(states: dict[str, dict[str, Tensor]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raft") / "model.safetensors"
    save_file(rename_all(states["small"], RAFT_TORCHVISION_KEYS), path)
    return path


# ---------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("iterations", [1, 4])
@pytest.mark.parametrize("size", ["large", "small"])
def test_equals_torchvision(
    size: str, iterations: int, networks: dict[str, RAFT], frames: tuple[Tensor, Tensor], stored: dict[str, Any]
) -> None:
    ours = networks[size](*frames, iterations=iterations)
    assert ours.shape == (2, 2, 128, 136)
    expected = stored[f"{size}_{iterations}"]
    assert np.abs(expected).max() > 3, "the fixture would prove little"
    assert np.abs(ours[..., ::3, ::3].numpy() - expected).max() < TOLERANCE_PX


def test_products_made_in_parts_are_the_same(networks: dict[str, RAFT], frames: tuple[Tensor, Tensor]) -> None:
    whole = networks["small"](*frames, iterations=2)
    network = RAFT("small")
    network.load_state_dict(networks["small"].state_dict())
    network.correlation_bytes = 300_000
    with torch.no_grad():
        assert torch.allclose(network(*frames, iterations=2), whole, atol=1e-4)


def test_correlation_finds_what_was_moved() -> None:
    first = torch.nn.functional.normalize(torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    second = torch.roll(first, (1, 2), (-2, -1))  # down by 1, right by 2
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    found = Correlation(first, second, 3, 1 << 30)(torch.stack([x, y])[None])
    best = found[0, :49, 8, 8].argmax().item()
    assert (best // 7 - 3, best % 7 - 3) == (2, 1), "the first axis of the window is x"
    assert found.shape == (1, 4 * 49, 16, 16)
    assert found[0, best, 8, 8] == pytest.approx(1 / 8), "divided by the root of 64 channels"


@pytest.mark.parametrize(("height", "width"), [(128, 128), (133, 141), (61, 150), (8, 8), (1, 3)])
def test_any_size(height: int, width: int, networks: dict[str, RAFT]) -> None:
    random = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, 1, 3, height, width, generator=random) * 2 - 1
    flow = networks["small"](first, second, iterations=1)
    assert flow.shape == (1, 2, height, width)
    assert flow.isfinite().all()


def test_pairs_do_not_see_each_other(networks: dict[str, RAFT], frames: tuple[Tensor, Tensor]) -> None:
    first, second = frames
    together = networks["large"](first, second, iterations=2)
    alone = torch.cat([networks["large"](first[i : i + 1], second[i : i + 1], iterations=2) for i in range(2)])
    assert torch.allclose(together, alone, atol=TOLERANCE_PX)
    assert torch.equal(together, networks["large"](first, second, iterations=2)), "the same again"


def test_gradients_reach_the_weights(frames: tuple[Tensor, Tensor]) -> None:
    network = RAFT("small")
    network(frames[0][:1], frames[1][:1], iterations=2).abs().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_no_iteration_is_refused(networks: dict[str, RAFT], frames: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="at least one iteration"):
        networks["small"](*frames, iterations=0)


# ---------------------------------------------------------------------------------------------- the authors' names


def princeton_names() -> list[str]:
    """What ``raft-things.pth`` holds, written down from the structure of the published network."""
    names = []
    for encoder, norm in (("fnet", False), ("cnet", True)):
        convs, norms = ["conv1", "conv2"], ["norm1"]
        for layer in (1, 2, 3):
            for block in (0, 1):
                place = f"layer{layer}.{block}"
                convs += [f"{place}.conv1", f"{place}.conv2"]
                norms += [f"{place}.norm1", f"{place}.norm2"]
                if layer > 1 and block == 0:
                    convs.append(f"{place}.downsample.0")
                    norms += [f"{place}.norm3", f"{place}.downsample.1"]
        names += [f"{encoder}.{conv}.{kind}" for conv in convs for kind in ("weight", "bias")]
        kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        names += [f"{encoder}.{n}.{kind}" for n in norms for kind in kinds] if norm else []
    gates = [f"gru.conv{gate}{number}" for number in (1, 2) for gate in "zrq"]
    encoder_layers = [f"encoder.{layer}" for layer in ("convc1", "convc2", "convf1", "convf2", "conv")]
    layers = [*encoder_layers, *gates, "flow_head.conv1", "flow_head.conv2", "mask.0", "mask.2"]
    names += [f"update_block.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    return [f"module.{name}" for name in names]


def test_the_authors_names_fit_one_to_one() -> None:
    ours = RAFT("large").state_dict()
    theirs = princeton_names()
    assert len(theirs) == 179
    assert raft_rules(set(theirs)) is RAFT_PRINCETON_KEYS
    renamed = rename_all(dict.fromkeys(theirs, 0), RAFT_PRINCETON_KEYS)
    assert set(renamed) == set(ours)
    assert len(renamed) == 169, "ten names of norm3 are there twice"


def test_the_small_network_of_the_authors() -> None:
    ours = RAFT("small").state_dict()
    theirs = ["fnet.layer1.0.conv3.weight", "update_block.gru.convq.bias", "update_block.encoder.convc1.weight"]
    assert {rename(f"module.{name}", RAFT_PRINCETON_KEYS) for name in theirs} <= set(ours)


@pytest.mark.parametrize("size", ["large", "small"])
def test_torchvision_names_and_shapes(size: str, stored: dict[str, Any]) -> None:
    shapes = json.loads(str(stored[f"{size}_names"]))
    assert raft_rules(set(shapes)) is RAFT_TORCHVISION_KEYS
    wanted = {name: tuple(t.shape) for name, t in RAFT(size).state_dict().items()}  # type: ignore[arg-type]
    assert not compare(rename_all(shapes, RAFT_TORCHVISION_KEYS), wanted)


# ---------------------------------------------------------------------------------------------- files


def test_loads_a_file_or_its_folder(
    weight_file: Path, networks: dict[str, RAFT], frames: tuple[Tensor, Tensor]
) -> None:
    expected = networks["small"](*frames, iterations=1)
    for path in (weight_file, weight_file.parent):
        network = load_raft(path)
        assert network.size == "small"
        assert not network.training
        assert torch.equal(network(*frames, iterations=1), expected)


def test_half_precision_files_become_float32(weight_file: Path, tmp_path: Path) -> None:
    state = {name: t.half() for name, t in load_raft(weight_file).state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    assert {p.dtype for p in load_raft(tmp_path).parameters()} == {torch.float32}


def test_files_that_do_not_fit_are_explained(weight_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = load_raft(weight_file).state_dict()
    del state["flow_head.conv1.bias"]
    state["flow_head.conv2.bias"] = torch.zeros(3)
    save_file({**state, "other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError) as caught:
        load_raft(path)
    said = str(caught.value)
    assert "1 missing (flow_head.conv1.bias)" in said
    assert "1 not expected (other)" in said
    assert "flow_head.conv2.bias is (3,), not (2,)" in said
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"not weights at all", None])
def test_damaged_or_missing_files_are_explained(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_raft(path)


# ---------------------------------------------------------------------------------------------- estimator


def test_estimator_takes_frames_from_0_to_1(
    weight_file: Path,
    networks: dict[str, RAFT],
    frames: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = ((f + 1) / 2 for f in frames)
    estimator = RAFTFlow(weight_file, iterations=2)
    expected = networks["small"](*frames, iterations=2)
    assert torch.allclose(estimator(first, second), expected, atol=TOLERANCE_PX)
    monkeypatch.setattr(raft_module, "MOST_PAIRS", 1)
    assert torch.allclose(estimator(first, second), expected, atol=TOLERANCE_PX)
    assert estimator(first[:0], second[:0]).shape == (0, 2, 128, 136)
    assert not estimator(first.requires_grad_(), second).requires_grad


def test_estimator_refuses_unequal_numbers(weight_file: Path, frames: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        RAFTFlow(weight_file, iterations=1)(frames[0], frames[1][:1])


def test_a_missing_file_is_said_at_the_first_call(tmp_path: Path) -> None:
    estimator = RAFTFlow(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="missing"):
        estimator(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))


def test_a_replaced_file_is_read_again(weight_file: Path, tmp_path: Path, frames: tuple[Tensor, Tensor]) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(weight_file.read_bytes())
    first, second = ((f[:1] + 1) / 2 for f in frames)
    before = RAFTFlow(path, iterations=1)(first, second)
    state = load_raft(path).state_dict()
    state["flow_head.conv2.bias"] = state["flow_head.conv2.bias"] + 1
    path.unlink()
    save_file(state, path)
    assert not torch.allclose(RAFTFlow(path, iterations=1)(first, second), before)


def test_large_pictures_go_one_by_one() -> None:
    assert pairs_at_once(180, 320) == 8
    assert pairs_at_once(720, 1280) == 1
    assert 1 <= pairs_at_once(540, 960) <= 2
    assert pairs_at_once(4, 4) == 8
