"""Batches come in the order that was asked for, whoever makes them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from limpid.train.data import ClipSample, Loaded, batches, open_clips
from limpid.train.data.loader import to_batch
from limpid.train.stage import ClipSpec
from limpid.types import InputError, ResourceError

SPEC = ClipSpec(frames=2, crop_px=64, degradation="light")
ASKED = [(7, 0), (1, 2), (3, 3), (20, 4)]


def test_workers_change_nothing(everything: Path) -> None:
    clips = open_clips(everything, SPEC, seed=4)
    alone, together = (batches(clips, iter(ASKED), workers=workers) for workers in (0, 2))
    for numbers, a, b in zip(ASKED, alone, together, strict=True):
        assert a.numbers == b.numbers == numbers and a.keys == b.keys and a.size == 2
        assert a.hr.shape == (2, 2, 3, 64, 64) and a.lr.shape == (2, 2, 3, 16, 16)
        assert torch.equal(a.hr, b.hr) and torch.equal(a.lr, b.lr)
        for clip, number in enumerate(numbers):
            expected = clips.sample(number).hr.transpose(0, 3, 1, 2) / np.float32(255)
            assert np.array_equal(a.hr[clip], expected)
    assert alone.waited_s > 0 and together.waited_s > 0
    together.close()


def test_it_is_a_source_for_the_loop_and_may_be_endless(everything: Path) -> None:
    clips = open_clips(everything, SPEC, seed=4)
    source = Loaded(clips=clips, workers=0)
    assert source.fingerprint == clips.fingerprint
    with_end = source.batches((number,) for number in count())
    assert [next(with_end).numbers for _ in range(3)] == [(0,), (1,), (2,)]
    with_end.close()
    with_end.close()
    assert list(with_end) == []


def test_flows_where_all_clips_have_them(everything: Path) -> None:
    photos = open_clips(everything, SPEC, seed=4, keep_out=["film", "grey", "a"])
    batch = next(batches(photos, [(0, 1, 2)], workers=0))
    assert batch.flow_forward is not None and batch.flow_backward is not None
    assert batch.flow_forward.shape == (3, 1, 2, 64, 64) and batch.flow_forward.dtype == torch.float32
    mixed = [photos.sample(0), replace(photos.sample(1), flow_forward=None)]
    assert to_batch((0, 1), mixed).flow_forward is None


def test_unequal_clips_are_refused() -> None:
    clips = [
        ClipSample(hr=np.zeros((2, s, s, 3), np.uint8), lr=np.zeros((2, s, s, 3), np.uint8), caption="", key="")
        for s in (8, 12)
    ]
    with pytest.raises(ValueError, match="equally large"):
        to_batch((0, 1), clips)


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_the_data_arrive_as_they_are(everything: Path, workers: int) -> None:
    keep_out = ["film", "photo_0", "photo_1", "b"]
    clips = open_clips(everything, replace(SPEC, frames=40), seed=0, keep_out=keep_out)
    source = batches(clips, [(0,)], workers=workers)
    with pytest.raises(InputError, match=r"^clip 0: 20 sources cannot be used"):
        next(source)
    source.close()


def test_notes_are_gathered_once(everything: Path) -> None:
    clips = open_clips(everything, replace(SPEC, frames=22), seed=1)
    source = batches(clips, [tuple(range(12))], workers=0)
    next(source)
    assert source.notes and len(set(source.notes)) == len(source.notes)


def test_a_killed_worker_is_an_error(everything: Path) -> None:
    clips = open_clips(everything, SPEC, seed=4)
    source = batches(clips, ((number,) for number in count()), workers=1)
    next(source)
    before = multiprocessing.active_children()
    assert len(before) == 1 and before[0].pid is not None
    os.kill(before[0].pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match="a process that loads clips was ended"):
        for _ in range(10):
            next(source)
    source.close()
