"""The small pieces of the loop: averages, rates, numbers of clips, what is compared, precision."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_networks import compact
from torch import nn

from limpid.durable.files import folder_fingerprint
from limpid.train.average import Average, decay_at
from limpid.train.counting import numbers_from, step_numbers
from limpid.train.curves import MOST_POINTS, curves_svg, thinned
from limpid.train.facts import check_same, plain, stage_facts, weights_fingerprint
from limpid.train.players import checkpoint_gradients
from limpid.train.rates import make_optimizer, rate_at
from limpid.train.recipes import find_recipe
from limpid.train.record import Record
from limpid.train.stage import Optimizer
from limpid.train.world import Alone, choose_precision
from limpid.types import SettingsError, WeightsError

from .toy import STAGE, ToyObjective

CPU = torch.device("cpu")


def test_the_average_follows_its_formula() -> None:
    weight = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    average, expected = Average({"w": weight}, 0.9), 1.0
    for step in range(1, 200):
        weight.data.fill_(math.sin(step))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * math.sin(step)
    assert average.values["w"].dtype == torch.float32
    assert average.values["w"].item() == pytest.approx(expected, abs=1e-5)
    assert decay_at(0.5, 1) == 2 / 11 and decay_at(0.5, 1000) == 0.5


def test_averaged_weights_are_inside_for_a_while() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = Average({"w": weight}, 0.9)
    weight.data.fill_(0.1)
    with pytest.raises(RuntimeError), average.inside():
        assert torch.equal(weight.data, torch.zeros(3))
        raise RuntimeError
    assert torch.equal(weight.data, torch.full((3,), 0.1)) and torch.equal(average.values["w"], torch.zeros(3))


def test_the_course_of_the_rate() -> None:
    flat = Optimizer(rate=2.0, warmup_steps=4)
    assert [rate_at(flat, step, 100) for step in (0, 1, 3, 50)] == [0.5, 1.0, 2.0, 2.0]
    cosine = Optimizer(rate=2.0, course="cosine", final_fraction=0.1)
    assert rate_at(cosine, 0, 100) == 2.0 and rate_at(cosine, 50, 100) == pytest.approx(1.1)
    assert rate_at(cosine, 100, 100) == pytest.approx(0.2)


def test_optimizers_have_their_values() -> None:
    made = make_optimizer(Optimizer(rate=0.1, kind="adam", betas=(0.5, 0.9), weight_decay=0.2), [nn.Parameter()])
    assert type(made) is torch.optim.Adam
    group = made.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.1, (0.5, 0.9), 0.2)
    assert type(make_optimizer(Optimizer(rate=0.1), [nn.Parameter()])) is torch.optim.AdamW


@given(own=st.integers(1, 7), processes=st.integers(1, 4), micro=st.none() | st.integers(1, 9), begin=st.integers(0, 3))
def test_every_clip_once_and_in_the_order_of_steps(own: int, processes: int, micro: int | None, begin: int) -> None:
    stage = replace(STAGE, batch=own * processes, micro_batch=micro, steps=4)
    ranks = [list(numbers_from(stage, begin, rank=rank, processes=processes)) for rank in range(processes)]
    assert sorted(chain.from_iterable(chain.from_iterable(ranks))) == list(range(begin * stage.batch, 4 * stage.batch))
    for rank in range(processes):
        parts = step_numbers(stage, begin, rank=rank, processes=processes)
        assert all(len(part) <= (micro or own) for part in parts)
        assert min(parts[0]) == begin * stage.batch + rank * own


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(SettingsError, match="4 clips cannot be shared evenly by 3 processes; use --batch 3"):
        step_numbers(STAGE, 0, processes=3)


def test_values_become_plain_and_differences_are_named() -> None:
    assert plain((ToyObjective(critic=True), Path("a"), print, {1: torch.float32})) == [
        {"kind": "ToyObjective", "critic": True, "poison": None},
        "a",
        "print",
        {"1": "torch.float32"},
    ]
    facts = stage_facts("toy", STAGE, seed=0, data="d", start="")
    check_same(facts, stage_facts("toy", replace(STAGE, micro_batch=2), seed=0, data="d", start=""), Path("run"))
    other = stage_facts("toy", replace(STAGE, optimizer=Optimizer(rate=0.5)), seed=0, data="d", start="")
    with pytest.raises(SettingsError, match=r"run was begun with stage optimizer rate 0.02, and now it is 0.5"):
        check_same(facts, other, Path("run"))


def test_records_of_trainings_keep_the_names_they_were_begun_with() -> None:
    """A run whose record has another name for the same thing could not be gone on with."""
    kinds = {name: plain(find_recipe(name).stages[0].objective)["kind"] for name in ("mgld-vsr/unet", "dc-vsr/unet")}
    assert kinds == {"mgld-vsr/unet": "StructuredDenoising", "dc-vsr/unet": "VideoDenoising"}
    teaching = plain(find_recipe("dc-vsr/few-step").stages[0].objective)["teaching"]
    assert teaching["kind"] == "VideoDenoising"


def test_a_changed_folder_has_another_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "start"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = folder_fingerprint(folder)
    assert before == folder_fingerprint(folder) != folder_fingerprint(folder / "a")
    (folder / "b").write_text("1")
    assert folder_fingerprint(folder) != before


def test_weights_that_are_two_files_have_the_fingerprint_of_both(tmp_path: Path) -> None:
    param = compact(tmp_path / "sharp")
    before = weights_fingerprint(param)
    assert before == weights_fingerprint(tmp_path / "sharp") == weights_fingerprint(tmp_path / "sharp.bin")
    compact(tmp_path / "sharp", seed=1)
    assert weights_fingerprint(param) != before
    with pytest.raises(WeightsError, match="no such file or folder with weights to start from"):
        weights_fingerprint(tmp_path / "nothing")


def test_precision_and_device() -> None:
    assert choose_precision("bf16", CPU) == torch.bfloat16 and choose_precision("float32", CPU) == torch.float32
    assert choose_precision("auto", CPU) in (torch.bfloat16, torch.float32)
    assert choose_precision("auto", torch.device("mps")) == torch.float32
    assert choose_precision("auto", CPU, frames=2) == torch.float32
    with pytest.raises(SettingsError, match="precision 'half' is unknown; there are auto, float32, bf16"):
        choose_precision("half", CPU)
    assert Alone("cpu").device == CPU


def test_gradient_checkpointing_is_asked_for_where_there_is_one() -> None:
    class Able(nn.Module):
        on = False

        def enable_gradient_checkpointing(self) -> None:
            self.on = True

    able = Able()
    assert checkpoint_gradients(nn.Sequential(nn.Linear(1, 1), able)) and able.on
    assert not checkpoint_gradients(nn.Linear(1, 1))


def test_the_log_forgets_what_a_crash_has_undone(tmp_path: Path) -> None:
    record = Record(tmp_path)
    for stage, step in (("a", 9), ("b", 1), ("b", 2), ("b", 3)):
        record.write({"kind": "step", "stage": stage, "step": step, "terms": {"x": 1.0 / step}})
    with record.path.open("a") as file:
        file.write('{"kind": "st')
    record.rewind("b", 2)
    assert [(line["stage"], line["step"]) for line in record.lines()] == [("a", 9), ("b", 1), ("b", 2)]
    silent = Record(tmp_path, writes=False)
    silent.rewind("b", 0)
    silent.write({"kind": "step", "stage": "b", "step": 3, "terms": {}})
    assert len(record.lines()) == 3


def test_curves_show_every_term_and_metric() -> None:
    lines = [{"kind": "step", "stage": "a<b", "step": n, "terms": {"x": 1 / n, "y": math.nan}} for n in range(1, 2000)]
    lines += [{"kind": "validation", "stage": "a<b", "step": 9, "metrics": {"psnr:restored": 30.0, "psnr:bicubic": 29}}]
    drawn = curves_svg(lines)
    assert "a&lt;b: loss terms" in drawn and "psnr:bicubic" in drawn and "nan" not in drawn
    assert drawn.count("L") < MOST_POINTS + 20
    assert thinned([(1, 2), (3, 4)]) == [(1, 2), (3, 4)]
    assert "<svg" in curves_svg([])
