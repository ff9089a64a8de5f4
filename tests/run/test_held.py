"""What a plan says that encoders and a run hold: more frames never less, and a share of what was measured."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.cuts.cost import EncoderBytes, Held
from limpid.cuts.local_memory import Load
from limpid.run.encoder_memory import encoder_bytes
from limpid.run.held import decode_bytes_per_px
from limpid.types import OutputSpec

PIXELS = 1920 * 1080


def spec(codec: str, threads: int = 2, preset: str | None = None, bit_depth: int = 8) -> OutputSpec:
    rate = {"fps": Fraction(30), "time_base": Fraction(1, 30)}
    size = {"width": 1920, "height": 1080}
    container = "images" if codec == "images" else "mkv"
    return OutputSpec(
        codec=codec, container=container, preset=preset, threads=threads, bit_depth=bit_depth, **rate, **size
    )


MEASURED = [
    (spec("h264", 1), 32, 82.9),
    (spec("h264", 2), 32, 107.5),
    (spec("h264", 4), 40, 121.4),
    (spec("h264", 8), 40, 159.2),
    (spec("h264", 2, "ultrafast"), 40, 31.2),
    (spec("h264", 2, "medium"), 64, 205.8),
    (spec("h264", 2, bit_depth=10), 30, 192.1),
    (spec("h265", 1), 40, 189.8),
    (spec("h265", 2), 40, 209.9),
    (spec("h265", 4), 30, 233.4),
    (spec("h265", 2, "slow"), 40, 255.1),
    (spec("h265", 2, bit_depth=10), 40, 334.3),
    (spec("av1", 1), 60, 179.2),
    (spec("av1", 2), 60, 222.4),
    (spec("ffv1"), 10, 79.2),
    (spec("prores"), 10, 22.2),
    (spec("images"), 6, 13.7),
]
"""Bytes per pixel at 1920x1080 when all frames were encoded, with what it takes to hand them over."""


@pytest.mark.parametrize(("asked", "frames", "measured"), MEASURED)
def test_the_model_of_encoders_is_near_what_was_measured(asked: OutputSpec, frames: int, measured: float) -> None:
    assert encoder_bytes(asked).at_end(frames) / PIXELS == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(("asked", "frames", "measured"), [(spec("h264"), 8, 40.1), (spec("h265"), 14, 68.9)])
def test_frames_that_wait_take_less_than_coded_ones(asked: OutputSpec, frames: int, measured: float) -> None:
    assert encoder_bytes(asked).after(frames) / PIXELS == pytest.approx(measured, rel=0.15)


@given(*[st.integers(0, 100)] * 6)
def test_more_frames_never_take_less(
    fixed: int, waiting: int, most_waiting: int, coded: int, most_coded: int, n: int
) -> None:
    encoder = EncoderBytes(fixed=fixed, waiting=waiting, most_waiting=most_waiting, coded=coded, most_coded=most_coded)
    assert encoder.after(n) <= encoder.after(n + 1) and encoder.at_end(n) <= encoder.at_end(n + 1)
    assert encoder.after(n) <= encoder.at_end(n) <= fixed + waiting * most_waiting + coded * most_coded


def test_one_chunk_is_not_computed_and_encoded_at_once() -> None:
    """The encoder gets nothing before the first chunk is whole; with a second chunk it has the frames of the first."""
    encoder = EncoderBytes(fixed=0, waiting=1 << 20, most_waiting=50)
    held = Held(lr_frame_bytes=0, finished_frame_bytes=0, encoder=encoder, encoded_frames=24)
    load = Load(width=64, height=64, halo_px=0, halo_frames=0, network_bytes_per_px=1000, held=held)
    tile = load.tile_bytes(24, None)
    assert load.peak_bytes(24, None) == max(tile, 24 << 20)
    assert load.peak_bytes(12, None) == max(load.tile_bytes(12, None) + (12 << 20), 24 << 20)
    longer = dataclasses.replace(load, held=dataclasses.replace(held, encoded_frames=500))
    assert longer.peak_bytes(24, None) == tile + (50 << 20)


def test_decoders_take_pictures_for_each_thread() -> None:
    assert [decode_bytes_per_px(cores) for cores in (1, 2, 8, 15, 64)] == [22, 25, 40, 59, 59]
