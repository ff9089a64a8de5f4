"""Networks of other people in ncnn's files: what is found out about them, and what is refused before and by a try."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from image_networks import blurring, leveling, nearest, unpadded
from ncnn_here import needs_ncnn

from limpid.runtimes import trial
from limpid.runtimes.files import NcnnFiles, check_param
from limpid.runtimes.probe import Enlarge, ImageNetworkFacts, probe_network
from limpid.runtimes.trial import examine_network
from limpid.types import WeightsError

GOOD = "7767517\n2 2\nInput i 0 1 data\nReLU r 1 1 data output\n"


@needs_ncnn
def test_scale_and_reach_are_found_out(tmp_path: Path) -> None:
    for scale in (1, 3, 8):
        facts = examine_network(NcnnFiles.of(nearest(tmp_path / f"n{scale}", scale)))
        assert (facts.scale, facts.shrink_px, facts.align_px, facts.halo_px) == (scale, 0, 1, 8)
    facts = examine_network(NcnnFiles.of(blurring(tmp_path / "b", layers=11)))
    assert (facts.scale, facts.halo_px) == (2, 16)
    facts = examine_network(NcnnFiles.of(leveling(tmp_path / "l")))
    assert (facts.scale, facts.halo_px) == (2, None)
    facts = examine_network(NcnnFiles.of(unpadded(tmp_path / "u", 2)))
    assert (facts.scale, facts.shrink_px, facts.halo_px) == (2, 4, 8)
    assert ImageNetworkFacts.from_dict(facts.to_dict()) == facts


def test_alignment_is_found_out() -> None:
    def enlarge(picture: np.ndarray) -> np.ndarray:
        if picture.shape[1] % 4 or picture.shape[2] % 4:
            raise WeightsError("not a multiple of 4")
        return picture.repeat(2, 1).repeat(2, 2)

    assert probe_network(enlarge).align_px == 4


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p[:1], "it makes 1x33x41 of a picture of 3 channels"),
        (lambda p: p * np.nan, "it makes what is no number"),
        (lambda p: p[:, :16, :16], "no enlargement by 1 to 8"),
        (lambda p: p.repeat(9, 1).repeat(9, 2), "no enlargement by 1 to 8"),
        (lambda p: p.repeat(2, 1), "no enlargement by 1 to 8"),
    ],
)
def test_what_does_not_enlarge_is_refused(make: Enlarge, says: str) -> None:
    with pytest.raises(WeightsError, match=f"it is no network that enlarges pictures: .*{says}"):
        probe_network(make)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("7767517", "7767518"), "it does not begin as one"),
        (("2 2", "3 2"), "it says that it has 3 layers, and has 2"),
        (("2 2", "2 1"), "it says that it has 1 blobs, and has 2"),
        (("2 2", "99999999 2"), "none of the counts that can be, 0 to 10000"),
        (("2 2", "2 -1"), "none of the counts"),
        (("1 1 data output", "1 1 nothing output"), "reads 'nothing', which no layer before it makes"),
        (("1 1 data output", "1 1 data data"), "makes what is there already"),
        (("1 1 data output", "1 1 data"), "lacks names"),
        (("1 1 data output", "1 9999 data output"), "none of the counts"),
        (("ReLU r", "ReLU\x1b[2J r"), "layer 1 has no kind and name"),
        (("data output", "data output 0=1 what"), "layer 1 has the option 'what'"),
        (("data output", "data output 0=" + "9" * 400), "layer 1 has the option"),
        (("data output", "data output 6=999999"), "more than the 0 bytes of its .bin can hold"),
        (("data output", "data output 6=999999999"), "none of the counts"),
    ],
)
def test_a_param_is_looked_at_before_ncnn_is(change: tuple[str, str], says: str) -> None:
    check_param(GOOD, 0)
    with pytest.raises(ValueError, match=says):
        check_param(GOOD.replace(*change), 0)


def test_files_that_are_not_there_or_no_text_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"x\.param: there is no such file; a network of ncnn is a .param and a .bin"
    ):
        NcnnFiles.of(tmp_path / "x.bin")
    (tmp_path / "x.param").write_bytes(b"\xff\xfe")
    (tmp_path / "x.bin").write_bytes(b"")
    files = NcnnFiles.of(tmp_path / "x")
    assert files == NcnnFiles.of(tmp_path / "x.param") and files.stem == tmp_path / "x"
    with pytest.raises(WeightsError, match=r"x\.param is no network of ncnn that can be used"):
        files.check()


@needs_ncnn
def test_what_ncnn_cannot_read_is_a_sentence(tmp_path: Path) -> None:
    path = blurring(tmp_path / "b")
    path.write_text(path.read_text().replace("PixelShuffle", "NoSuchLayer"))
    with pytest.raises(WeightsError, match=r"b\.param cannot be used: .*ncnn cannot read this network"):
        examine_network(NcnnFiles.of(path))


@needs_ncnn
@pytest.mark.parametrize("seed", range(4))
def test_mutated_networks_end_in_a_sentence_or_are_used(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    path = blurring(tmp_path / "b")
    for file in (path, path.with_suffix(".bin")):
        data = bytearray(file.read_bytes())
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(32, 127) if file == path else random.integers(256)
        file.write_bytes(data)
    with contextlib.suppress(WeightsError):
        assert 1 <= examine_network(NcnnFiles.of(path)).scale <= 8


@pytest.mark.skipif(os.name == "nt", reason="processes do not end by signals there")
def test_a_crash_of_the_first_try_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    monkeypatch.setattr(trial, "import_ncnn", lambda what: None)
    with pytest.raises(WeightsError, match=r"ncnn broke off in its first try with it, code -11; its files are damaged"):
        examine_network(NcnnFiles.of(nearest(tmp_path / "n")))
