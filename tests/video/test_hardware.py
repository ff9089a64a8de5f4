"""Encoders of graphics processors, without any: what they would be told, the trial, the choice, with stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from stand_ins import stand_in
from writing import CONSTANT, RATE, UNIT, decode_all, pictures, rgb16, timeline, write_segments

from limpid.types import ColorTags, Extras, OutputSpec, SettingsError
from limpid.video import choice, trial
from limpid.video.encode import encoder_setup, reorder_depth
from limpid.video.hardware import HARDWARE, HARDWARE_CODECS, ffmpeg_name
from limpid.video.output import header_digest, segment_spec
from limpid.video.picture import rgb_to_yuv, to_av_frame

SPEC = OutputSpec(
    codec="h264", container="mkv", width=64, height=48, fps=RATE, time_base=UNIT, color=ColorTags(matrix=1), threads=1
)
HDR10 = Extras(mastering="G(1,1)B(1,1)R(1,1)WP(1,1)L(10,1)", light_level=(1000, 400))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    trial.answers.cache_clear()
    yield
    trial.answers.cache_clear()


# ---------------------------------------------------------------------------------------------- what they are told


@pytest.mark.parametrize("encoder", HARDWARE)
@pytest.mark.parametrize("codec", HARDWARE_CODECS)
def test_every_option_is_one_that_the_encoder_of_this_pyav_has(encoder: str, codec: str) -> None:
    setup = encoder_setup(replace(SPEC, codec=codec, encoder=encoder, crf=20))  # type: ignore[arg-type]
    assert setup.name == ffmpeg_name(codec, encoder)
    if setup.name not in av.codec.codecs_available:
        pytest.skip(f"this build of PyAV has no {setup.name}")
    known = av.CodecContext.create(setup.name, "w").supported_options  # type: ignore[attr-defined]
    options = {option.name: option for option in (*known.generic, *known.private)}
    for name, value in setup.options.items():
        words = [word.name for word in options[name].choices]
        assert value in words or options[name].min <= float(value) <= options[name].max, (name, value)
    formats = [each.name for each in av.Codec(setup.name, "w").video_formats or []]
    assert setup.pix_fmt in formats
    assert codec == "h264" or "p010le" in formats


@pytest.mark.parametrize(
    ("encoder", "codec", "name", "qualities"),
    [
        ("nvenc", "h264", "cq", ("1", "16", "51")),
        ("nvenc", "av1", "cq", ("1", "24", "63")),
        ("qsv", "h265", "global_quality", ("1", "16", "51")),
        ("videotoolbox", "h265", "global_quality", ("11800", "8024", "118")),
        ("vaapi", "h264", "global_quality", ("1", "16", "51")),
        ("vaapi", "av1", "global_quality", ("4", "96", "252")),
        ("amf", "h264", "qp_i", ("1", "16", "51")),
        ("amf", "av1", "qp_p", ("4", "96", "252")),
    ],
)
def test_the_scale_of_quality_is_that_of_x264(encoder: str, codec: str, name: str, qualities: tuple[str, ...]) -> None:
    specs = [replace(SPEC, codec=codec, encoder=encoder, crf=crf) for crf in (0, 16, 51)]  # type: ignore[arg-type]
    assert tuple(encoder_setup(spec).options[name] for spec in specs) == qualities


def test_frames_of_ten_bits_and_apples_tag() -> None:
    deep = encoder_setup(replace(SPEC, codec="h265", container="mp4", encoder="videotoolbox", bit_depth=10))
    assert (deep.pix_fmt, deep.depth, deep.codec_tag, deep.options["profile"]) == ("p010le", 16, "hvc1", "main10")
    assert encoder_setup(replace(SPEC, encoder="vaapi")).device == "vaapi"
    assert [reorder_depth(replace(SPEC, encoder=encoder)) for encoder in ("software", *HARDWARE)] == [2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("pix_fmt", "dtype"), [("nv12", np.uint8), ("p010le", np.uint16)])
def test_two_planes_hold_the_values_of_three(pix_fmt: str, dtype: type) -> None:
    color, deep = ColorTags(matrix=1), dtype is np.uint16
    rgb = np.random.default_rng(0).integers(0, 65536 if deep else 256, (18, 20, 3)).astype(dtype)
    luma, blue, red = rgb_to_yuv(rgb, color, 10 if deep else 8, "420")
    frame = to_av_frame(rgb, pix_fmt, color)
    shift = 6 if deep else 0
    rows = [
        np.frombuffer(plane, dtype).reshape(-1, plane.line_size // np.dtype(dtype).itemsize)  # type: ignore[call-overload]
        for plane in frame.planes
    ]
    assert (rows[0][:18, :20] >> shift == luma).all()
    assert (rows[1][:9, 0:20:2] >> shift == blue).all() and (rows[1][:9, 1:20:2] >> shift == red).all()


# ---------------------------------------------------------------------------------------------- the trial


def test_a_real_trial_says_that_it_works_or_why_not() -> None:
    """Whether there is such hardware or not where this runs."""
    for encoder, codecs in choice.hardware_encoders():
        assert encoder in HARDWARE and tuple(sorted(codecs)) == tuple(sorted(HARDWARE_CODECS))
        assert all(reason is None or reason.strip() for reason in codecs.values())


def test_the_software_encoders_pass_the_trial() -> None:
    assert [trial.attempt(replace(SPEC, codec=codec)) for codec in ("h264", "av1")] == [None, None]  # type: ignore[arg-type]
    assert trial.attempt(replace(SPEC, codec="h265", bit_depth=10)) is None


def test_what_an_encoder_may_do_wrong_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_encoded", lambda spec: (_ for _ in ()).throw(OSError("the device is gone.")))
    assert trial.attempt(SPEC) == "the device is gone."
    said = "\n[h264_nvenc @ 0x5617d6762580] Cannot load  libcuda.so.1.\nmore"
    assert trial._reason(said, "error 1") == "Cannot load libcuda.so.1" and trial._reason("", "error 1.") == "error 1"
    monkeypatch.undo()
    monkeypatch.setattr(trial, "_SHADE", 30)  # what is written is compared with another grey below
    data = trial._encoded(SPEC)
    monkeypatch.setattr(trial, "_SHADE", 200)
    assert trial._wrong_picture(data, SPEC) == "what it encoded is another picture"


@pytest.mark.parametrize(
    ("code", "timeout_s", "says"),
    [
        ("import time; time.sleep(60)", 0.3, "no answer within 0.3 s"),
        ("import os; print('null', flush=True); os.abort()", 30.0, "ended with code"),
        ("raise SystemExit('no libfoo')", 30.0, "no libfoo"),
    ],
)
def test_a_driver_that_hangs_or_crashes_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, code: str, timeout_s: float, says: str
) -> None:
    monkeypatch.setattr(trial, "_command", lambda: [sys.executable, "-c", code])
    first, second = trial.why_not_each([replace(SPEC, encoder="nvenc"), replace(SPEC, encoder="qsv")], timeout_s)
    assert second is not None and says in second
    assert (first is None) == ("null" in code)


def test_an_answer_is_kept(monkeypatch: pytest.MonkeyPatch, stood_in: Callable[..., list[int]]) -> None:
    runs = stood_in("nvenc")
    assert [trial.why_not(replace(SPEC, encoder="nvenc", threads=n)) for n in (1, 2, 2)] == [None] * 3
    assert len(runs) == 1
    assert trial.why_not(replace(SPEC, encoder="nvenc", width=128)) is None and len(runs) == 2


# ---------------------------------------------------------------------------------------------- the choice


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    return lambda *encoders: stand_in(monkeypatch, *encoders)


def test_software_is_never_left_unasked(stood_in: Callable[..., list[int]]) -> None:
    runs = stood_in(*HARDWARE)
    assert choice.choose_encoder(SPEC, "software") == (SPEC, ()) and runs == []


def test_auto_takes_the_first_that_works(stood_in: Callable[..., list[int]]) -> None:
    stood_in("qsv", "amf")
    spec, notes = choice.choose_encoder(SPEC, "auto")
    assert (spec.encoder, spec.preset) == ("qsv", None) and "encoded by qsv" in notes[0]
    assert choice.choose_encoder(SPEC, "auto", former="amf")[0].encoder == "amf"
    assert choice.choose_encoder(SPEC, "auto", former="nvenc")[0].encoder == "qsv"
    assert choice.choose_encoder(SPEC, "auto", former="software") == (SPEC, ())


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({}, {"preset": "slow"}, "--preset slow is one of its"),
        ({}, {"spread": True}, "different hardware"),
        ({"codec": "h265", "bit_depth": 10, "extras": HDR10}, {}, "HDR10"),
        ({"bit_depth": 10}, {}, "no hardware here encodes h264 of 64x48"),
    ],
)
def test_auto_loses_nothing(
    stood_in: Callable[..., list[int]], changes: dict[str, object], options: dict[str, object], says: str
) -> None:
    stood_in(*HARDWARE)
    before = replace(SPEC, **changes)  # type: ignore[arg-type]
    spec, notes = choice.choose_encoder(before, "auto", **options)  # type: ignore[arg-type]
    assert spec == before and len(notes) == 1 and says in notes[0]


def test_auto_without_any_is_software_with_a_note(stood_in: Callable[..., list[int]]) -> None:
    stood_in()
    spec, (note,) = choice.choose_encoder(SPEC, "auto")
    assert spec == SPEC and "encoded by software: no hardware here encodes h264 of 64x48" in note


def test_one_that_was_asked_for_and_is_not_there_names_those_that_are(stood_in: Callable[..., list[int]]) -> None:
    stood_in("amf")
    with pytest.raises(SettingsError, match=r"--encoder nvenc cannot be used here \(.+\); what can: software, amf$"):
        choice.choose_encoder(SPEC, "nvenc")


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"codec": "prores"}, {}, "nvenc does not write prores, it writes h264, h265, av1"),
        ({}, {"preset": "slow"}, "--preset slow has no effect with --encoder nvenc"),
        ({}, {"spread": True}, "--cluster"),
        ({"bit_depth": 10}, {}, "h264 with 8 bits only"),
    ],
)
def test_what_does_not_go_with_one_is_refused(
    stood_in: Callable[..., list[int]], changes: dict[str, object], options: dict[str, object], says: str
) -> None:
    stood_in("nvenc")
    with pytest.raises(SettingsError) as refused:
        choice.choose_encoder(replace(SPEC, **changes), "nvenc", **options)  # type: ignore[arg-type]
    assert says in str(refused.value)


def test_hdr10_that_is_lost_is_said(stood_in: Callable[..., list[int]]) -> None:
    stood_in("nvenc")
    deep = replace(SPEC, extras=HDR10)
    spec, (note,) = choice.choose_encoder(deep, "nvenc")
    assert (spec.encoder, spec.extras) == ("nvenc", Extras()) and "not carried over" in note


# ---------------------------------------------------------------------------------------------- what they write


def test_segments_of_a_stand_in_are_joined_and_read_back(tmp_path: Path, stood_in: Callable[..., list[int]]) -> None:
    stood_in("nvenc")
    spec, _ = choice.choose_encoder(replace(SPEC, crf=4), "nvenc")
    pieces, reason = segment_spec(spec, timeline())
    assert (pieces, reason) == (spec, None) and len(header_digest(pieces)) == 64
    frames = pictures(6)
    for path, start in zip(write_segments(tmp_path, spec, frames, CONSTANT[:6], [5, 1]), (0, 5), strict=True):
        for frame, due in zip(decode_all(path), frames[start:], strict=False):
            assert np.abs(rgb16(frame) - due.permute(1, 2, 0).numpy()).mean() < 0.05  # 4:2:0
