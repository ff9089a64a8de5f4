"""Flows of pairs: the same however they are asked for, kept only as far as memory goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from limpid.flow import dis_flow, visible_in_both
from limpid.metrics import flows as module
from limpid.metrics.detail import luma
from limpid.metrics.flows import PairFlows


@pytest.fixture
def frames(clip) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.stack(clip[0])[:4, :96, :128]


def test_each_pair_is_dis_flow_and_what_is_visible_in_both(frames: np.ndarray) -> None:
    found = PairFlows(frames, luma)
    assert len(found) == 3
    for number, (flow, mask) in enumerate(found):
        a, b = luma(frames[number]), luma(frames[number + 1])
        assert np.array_equal(flow, dis_flow(a, b))
        assert np.array_equal(mask, visible_in_both(flow, dis_flow(b, a)))


@pytest.mark.parametrize("room", [0, 1, 99])
def test_what_is_not_kept_is_computed_again(frames: np.ndarray, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(PairFlows(frames, luma))
    size = whole[0][0].nbytes + whole[0][1].nbytes
    monkeypatch.setattr(module, "_MOST_BYTES", room * size)
    short = PairFlows(frames, luma)
    for again in (list(short), list(short), [short[0], short[1], short[-1]], short[0:3]):
        assert all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(again, whole, strict=True))
    assert len(short._kept) == min(room, 3)


def test_there_are_as_many_as_pairs(frames: np.ndarray) -> None:
    assert len(PairFlows(frames[:1], luma)) == len(PairFlows(frames[:0], luma)) == 0
    with pytest.raises(IndexError):
        PairFlows(frames, luma)[3]


# ------------------------------------------------------------------------------------------- a network's flow


def test_metrics_of_raft_name_it_and_follow_it(
    clip: tuple[list[np.ndarray], list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a flow that is known: metrics of RAFT are those of DIS where the network is DIS, and name what they used."""
    import torch

    from limpid.flow.estimate import DISFlow
    from limpid.flow.installed import FlowWeights
    from limpid.metrics import METRICS, Clips, measure

    truth, lr = (np.stack(frames) for frames in clip)
    clips = Clips(truth, truth, lr)
    names = [name for name in METRICS if name.endswith("-raft")]
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path))
    missing = measure(names, clips)
    assert all("limpid weights convert raft-things" in str(answer) for answer in missing.values())
    file = tmp_path / "raft-things" / "flow" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"stands for a network")
    asked: list[torch.Tensor] = []

    def dis(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        asked.append(first)
        return DISFlow(enlarge=1)(first, second)

    monkeypatch.setattr(FlowWeights, "estimator", lambda self: dis)
    found = measure([*names, "we"], clips)
    assert found["tof-raft"].value == 0 and found["we-raft"].value == pytest.approx(found["we"].value, rel=0.02)
    assert asked[0].shape == (1, 3, *truth.shape[1:3]) and float(asked[0].max()) <= 1
    assert all("flow: RAFT (sha256 " in found[name].note for name in names), found
