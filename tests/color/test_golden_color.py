"""Colour corrections against the numbers of the reference implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.color import adain, wavelet

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"


@pytest.fixture(scope="module")
def cases() -> dict[str, Tensor]:
    if not GOLDEN.exists():
        pytest.skip("the golden tensors are not here")
    return load_file(GOLDEN / "uav_color.cases.safetensors")


@pytest.mark.parametrize("case", ["case0", "case1"])
def test_both_corrections(cases: dict[str, Tensor], case: str) -> None:
    content, style = cases[f"{case}/in/content"], cases[f"{case}/in/style"]
    torch.testing.assert_close(adain(content, style), cases[f"{case}/out/adain"], rtol=0, atol=1e-5)
    torch.testing.assert_close(wavelet(content, style), cases[f"{case}/out/wavelet"], rtol=0, atol=1e-5)
