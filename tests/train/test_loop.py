from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from limpid.train.diverged import DivergedError
from limpid.train.loop import train
from limpid.types import Interrupted, SettingsError

from .toy import STAGE, ToyClips, ToyLearner, ToyNetwork, ToyObjective, log, toy_run, weights


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_falls_and_all_is_written(tmp_path: Path) -> None:
    made = train(toy_run(tmp_path, steps=60))
    lines = log(tmp_path)
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert [line["step"] for line in lines] == list(range(1, 61)) and lines[-1]["clips"] == 240
    assert {"terms", "rate", "gradient_norm", "clips_per_s", "waiting", "memory_bytes"} <= lines[0].keys()
    assert made == tmp_path / "stages/01-toy" and (tmp_path / "final").resolve() == made.resolve()
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    assert json.loads((tmp_path / "run.json").read_text())["recipe"]["stages"][0]["steps"] == 60


def test_only_the_chosen_kind_moves(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = dict(ToyLearner(critic=False, poison=None).model.named_parameters())
    train(toy_run(tmp_path, trainable=("temporal",)))
    after = weights(tmp_path)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"temporal.weight", "temporal.bias"}


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'bends'.*spatial, temporal, or all"):
        train(toy_run(tmp_path, trainable=("bends",)))


class Stop:
    """A signal to this process while the clips of a step are made."""

    def __init__(self, clip: int, number: int = signal.SIGTERM) -> None:
        self.clip, self.number = clip, number

    def __call__(self, numbers: Sequence[int]) -> None:
        if self.clip in numbers:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("clip", [9, 22, 23])
def test_a_resumed_run_is_bit_equal(tmp_path: Path, clip: int, number: int) -> None:
    """Two players, dropout, parts of 3 and 1 clips; the signal comes in the middle of a batch or at its end."""
    changes = {"objective": ToyObjective(critic=True), "micro_batch": 3}
    train(toy_run(tmp_path / "whole", **changes))
    run = toy_run(tmp_path / "parts", clips=ToyClips(before=Stop(clip, number)), **changes)
    with pytest.raises(Interrupted, match=f"after {clip // 4 + 1} of 12 steps") as stopped:
        train(run)
    assert stopped.value.exit_code == 130 and not (tmp_path / "parts/final").exists()
    clips = ToyClips()
    train(toy_run(tmp_path / "parts", clips=clips, **changes))
    assert clips.asked[0][0] == (clip // 4 + 1) * 4
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    states = [load_file(tmp_path / name / "state/00-00000012/tensors.safetensors") for name in ("whole", "parts")]
    assert same(*states) and any(name.startswith("optimizer/critic/exp_avg") for name in states[0])
    assert [line["step"] for line in log(tmp_path / "parts")] == list(range(1, 13))
    assert [line["terms"] for line in log(tmp_path / "parts")] == [line["terms"] for line in log(tmp_path / "whole")]


def test_a_crash_loses_only_what_came_after_the_last_state(tmp_path: Path) -> None:
    def crash(numbers: Sequence[int]) -> None:
        if 25 in numbers:
            raise RuntimeError("power cut")

    train(toy_run(tmp_path / "whole"))
    run = {"save_every_s": 0.0}
    with pytest.raises(RuntimeError):
        train(toy_run(tmp_path / "parts", clips=ToyClips(before=crash), run=run))
    half = tmp_path / "parts/state/00-00000099"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"torn")
    train(toy_run(tmp_path / "parts", run=run))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts")) and not half.exists()


def test_stages_follow_each_other_and_finished_ones_are_not_run_again(tmp_path: Path) -> None:
    stages = [replace(STAGE, name="one", average=None), replace(STAGE, name="two/b", trainable=("spatial",))]
    clips = ToyClips(before=Stop(17))
    with pytest.raises(Interrupted, match="stage one"):
        train(toy_run(tmp_path, *stages, clips=clips))
    train(toy_run(tmp_path, *stages))
    one, two = weights(tmp_path, "stages/01-one"), weights(tmp_path, "stages/02-two-b")
    assert torch.equal(one["temporal.weight"], two["temporal.weight"])
    assert not torch.equal(one["spatial.weight"], two["spatial.weight"]) and same(two, weights(tmp_path))
    clips = ToyClips()
    train(toy_run(tmp_path, *stages, clips=clips))
    assert not clips.asked


def test_one_stage_alone_starts_from_the_one_before(tmp_path: Path) -> None:
    stages = [replace(STAGE, name="one"), replace(STAGE, name="two")]
    train(toy_run(tmp_path, *stages, run={"only": "one"}))
    assert not (tmp_path / "stages/02-two").exists()
    train(toy_run(tmp_path, *stages, run={"only": "two"}))
    train(toy_run(tmp_path / "both", *stages))
    assert same(weights(tmp_path), weights(tmp_path / "both"))
    with pytest.raises(SettingsError, match="no stage 'three'; it has one, two"):
        train(toy_run(tmp_path, *stages, run={"only": "three"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 13}, "stage steps 12, and now it is 13"),
        ({"objective": ToyObjective(critic=True)}, "stage objective critic False, and now it is True"),
        ({"run": {"seed": 7}}, "seed 0, and now it is 7"),
        ({"clips": ToyClips(fingerprint="other")}, "data toy, and now it is other"),
    ],
)
def test_other_values_are_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    train(toy_run(tmp_path))
    with pytest.raises(SettingsError, match=says):
        train(toy_run(tmp_path, **changes))


def test_a_smaller_part_or_other_precision_may_go_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(toy_run(tmp_path, clips=ToyClips(before=Stop(9))))
    train(toy_run(tmp_path, micro_batch=1, run={"precision": "bf16"}))
    assert (tmp_path / "final/toy.safetensors").exists()


def test_the_latest_weights_are_the_averaged_ones(tmp_path: Path) -> None:
    train(toy_run(tmp_path, run={"latest": True}))
    assert same(weights(tmp_path, "latest"), weights(tmp_path))


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_accumulation_is_one_large_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micro: int) -> None:
    monkeypatch.setattr(ToyNetwork, "dropout", 0.0)
    changes = {"objective": ToyObjective(critic=True)}
    train(toy_run(tmp_path / "whole", **changes))
    train(toy_run(tmp_path / "parts", micro_batch=micro, **changes))
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole.keys() - {"seen"}:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-5)
    for a, b in zip(log(tmp_path / "whole"), log(tmp_path / "parts"), strict=True):
        assert a["terms"] == pytest.approx(b["terms"], rel=1e-3, abs=1e-5)


def test_nan_stops_with_the_batch_and_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="stage toy, step 3: the loss or gradient of model is not finite"):
        train(toy_run(tmp_path, objective=ToyObjective(poison=10), micro_batch=1, run={"save_every_s": 0.0}))
    numbers = json.loads((tmp_path / "not-finite-toy-3.json").read_text())
    assert numbers["clips"] == [10] and numbers["keys"] == ["toy 10"] and numbers["terms"]["distance"] == "nan"
    kept = load_file(tmp_path / "not-finite-toy-3.safetensors")
    assert torch.equal(kept["hr"], next(iter(ToyClips().batches([[10]]))).hr)
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 2
    assert all(t.isfinite().all() for t in load_file(tmp_path / "state/00-00000002/tensors.safetensors").values())


def test_bfloat16_keeps_weights_in_float32(tmp_path: Path) -> None:
    train(toy_run(tmp_path, run={"precision": "bf16"}, steps=60))
    lines = log(tmp_path)
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert {t.dtype for t in weights(tmp_path).values()} == {torch.float32}
