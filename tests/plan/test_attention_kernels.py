"""The choice among PyTorch's kernels of attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import limpid
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.plan.attention_kernels import attention_by, check_kernel, kernels_of
from limpid.plan.device import choose_machine, computing
from limpid.run.journal import Journal
from limpid.types import SettingsError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FLAGS = (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.math_sdp_enabled)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    official = make_random_weights("sd-x4-upscaler", "tiny", root / "official")
    return convert_weights("sd-x4-upscaler", official, root / "sd-x4-upscaler")


def test_kernels_compute_nearly_the_same() -> None:
    q, k, v = torch.randn(3, 2, 2, 64, 32, generator=torch.Generator().manual_seed(0))
    plain = F.scaled_dot_product_attention(q, k, v)
    for name in kernels_of(CPU):
        with attention_by(name):
            torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v), plain)


@pytest.mark.parametrize("name", ["flash", "math"])
def test_only_what_was_chosen_is_on_and_afterwards_all_is_as_it_was(name: str) -> None:
    before = [flag() for flag in FLAGS]
    with computing(choose_machine("cpu", "float32", attention_kernel=name)):
        assert [flag() for flag in FLAGS] == [name == "flash", True]
    assert [flag() for flag in FLAGS] == before
    with computing(choose_machine("cpu", "float32")):
        assert [flag() for flag in FLAGS] == before


def test_a_kernel_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("efficient", "cudnn"):
        with pytest.raises(SettingsError, match=f"attention_kernel is {name}.* for cpu here; it has flash and math"):
            choose_machine("cpu", attention_kernel=name)
    with pytest.raises(SettingsError, match="it has math"):
        check_kernel("flash", torch.device("mps"), "float32")
    monkeypatch.setattr("torch.backends.cuda.is_flash_attention_available", lambda: True)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    assert kernels_of(CUDA) == ["flash", "efficient", "math", "cudnn"]
    for name in ("flash", "cudnn"):
        check_kernel(name, CUDA, "bfloat16")
        with pytest.raises(SettingsError, match="needs dtype float16"):
            check_kernel(name, CUDA, "float32")
    check_kernel("efficient", CUDA, "float32")
    monkeypatch.setattr("torch.version.cuda", None)  # as PyTorch for AMD
    assert kernels_of(CUDA) == ["flash", "efficient", "math"]


def test_a_method_without_attention_refuses_the_choice() -> None:
    with pytest.raises(SettingsError, match="attention_kernel has no effect with the method small"):
        limpid.restore([], attention_kernel="math")


def test_a_run_computes_by_it_and_does_not_go_on_with_what_another_one_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    seen, attend = [], F.scaled_dot_product_attention

    def watched(*arguments: object, **options: object) -> torch.Tensor:
        seen.append([flag() for flag in FLAGS])
        return attend(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    common = {"method": "sd-x4-upscaler", "weights": str(folder), "steps": 2, "guidance": "none", "dtype": "float32"}
    plain = np.stack(list(limpid.restore(frames, **common)))
    seen.clear()
    math = np.stack(list(limpid.restore(frames, attention_kernel="math", **common)))
    assert seen and all(flags == [False, True] for flags in seen)
    assert np.abs(plain.astype(int) - math).max() <= 1


def test_facts_hold_it(folder: Path, clip: Path, tmp_path: Path) -> None:
    common = {"method": "sd-x4-upscaler", "weights": str(folder), "steps": 1, "guidance": "none", "preview": "0-0.04"}

    def facts(**changes: object) -> dict[str, object]:
        work = tmp_path / "work"
        limpid.upscale(clip, tmp_path / "out.mp4", work_dir=work, keep_work=True, overwrite=True, **common, **changes)
        (place,) = (path for path in work.iterdir() if path.is_dir())
        journal = Journal.load(place)
        assert journal is not None
        return dict(journal.facts)

    machine = facts()["machine"]
    other = facts(attention_kernel="math")["machine"]
    assert isinstance(machine, dict) and isinstance(other, dict)
    assert (machine["attention_kernel"], other["attention_kernel"]) == ("auto", "math")
