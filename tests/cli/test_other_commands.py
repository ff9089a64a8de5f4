"""``limpid probe``, ``methods`` and ``doctor``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from limpid.cli import doctor
from limpid.cli.probe import clip_facts, clip_text
from limpid.types import Clip, ColorTags, SideStream

Cli = Callable[..., Any]

CLIP = Clip(
    path="a\nb.mkv",
    kind="video",
    width=720,
    height=576,
    fps=Fraction(25),
    time_base=Fraction(1, 1000),
    codec="mpeg2video",
    pix_fmt="yuv420p",
    bit_depth=8,
    container="matroska,webm",
    sample_aspect=Fraction(16, 15),
    rotation=90,
    color=ColorTags(primaries=5, transfer=1, matrix=5),
    field_order="tt",
    duration_s=61.2,
    num_frames=1530,
    size_bytes=12_345_678,
    side_streams=(SideStream(index=1, kind="audio", codec="aac", language="deu", title="Ton"),),
)


def test_a_clip_in_words() -> None:
    text = clip_text(CLIP)
    for words in (
        "a\\nb.mkv",
        "720x576, pixel aspect 16/15, turned by 90 degrees, interlaced (tt)",
        "25 (25 frames/s)",
    ):
        assert words in text
    for words in (
        "1:01, about 1530 frames, 12.3 MB",
        "mpeg2video, yuv420p, 8 bit",
        "aac, deu, Ton",
        "matrix BT.601 (625)",
    ):
        assert words in text


def test_what_is_odd_about_a_clip_is_said() -> None:
    text = clip_text(replace(CLIP, warnings=("the edit list\nasks for 2 times the speed",)))
    assert text.splitlines()[-1] == "  note          the edit list\\nasks for 2 times the speed"


def test_a_clip_as_json() -> None:
    facts = json.loads(json.dumps(clip_facts(CLIP)))
    assert facts["fps"] == "25" and facts["sample_aspect"] == "16/15"
    assert facts["side_streams"][0]["language"] == "deu"


def test_probe_of_the_example(cli: Cli, repository: Path) -> None:
    clip = repository / "examples" / "example.mp4"
    ran = cli("probe", clip)
    assert ran.code == 0 and "320x180" in ran.out and "audio" in ran.out
    facts = json.loads(cli("probe", clip, "--json").out)
    assert (facts["width"], facts["height"], facts["fps"]) == (320, 180, "24")


def test_probe_of_what_is_not_there(cli: Cli, tmp_path: Path) -> None:
    ran = cli("probe", tmp_path / "nothing.mp4")
    assert ran.code == 3 and ran.err.count("\n") == 1


def test_methods(cli: Cli) -> None:
    ran = cli("methods")
    assert ran.code == 0 and "tiny  " in ran.out and "weights are not here: limpid weights fetch diffvsr" in ran.out
    tiny = json.loads(cli("methods", "--json").out)["tiny"]
    assert tiny["scale"] == 4 and len(tiny["weights_sha256"]) == 64
    assert {"method", "steps", "consistency", "crf"} <= set(tiny["options"])  # one of each scope
    assert not {"prompt", "caption", "caption_model", "offload"} & set(tiny["options"])


def test_a_broken_plugin_hides_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("no\nweights")

    monkeypatch.setitem(__import__("limpid.methods", fromlist=["METHODS"]).METHODS, "broken", broken)
    ran = cli("methods")
    assert "cannot be used: RuntimeError: no weights" in ran.out and "tiny" in ran.out


def test_doctor_finds_this_machine_good(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.cli.speed.convolution_gflops", lambda dtype, **_: {"float32": 50.0}.get(dtype, 90.0))
    ran = cli("doctor")
    assert ran.code == 0, ran.out
    for topic in (
        "limpid",
        "torch",
        "codec h264",
        "codec ffv1",
        "processor",
        "convolution",
        "method tiny",
        "memory",
        "disk",
    ):
        assert topic in ran.out
    findings = [json.loads(line) for line in cli("doctor", "--json").out.splitlines()]
    assert {finding["state"] for finding in findings} <= {"ok", "advice"}


def test_doctor_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "psutil" else "1")
    monkeypatch.setattr("limpid.cli.speed.convolution_gflops", lambda dtype, **_: 50.0)
    ran = cli("doctor")
    assert ran.code == 1 and "-m pip install psutil" in ran.out


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def codecs() -> Iterator[doctor.Finding]:
        yield doctor.Finding("codec h264", "libx264")
        raise OSError("broken library")

    monkeypatch.setattr(doctor, "codecs", codecs)
    monkeypatch.setattr("limpid.cli.speed.convolution_gflops", lambda dtype, **_: 50.0)
    found = {finding.topic: finding for finding in doctor.examine()}
    assert found["codecs"].state == "problem" and "broken library" in found["codecs"].text
    assert "memory" in found


def test_the_convolution_is_measured() -> None:
    from limpid.cli.speed import convolution_gflops

    assert convolution_gflops("float32", seconds=0.01) > 0


def test_the_doctor_sees_the_other_package_of_the_same_import_name(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.cli.doctor.packages_distributions", lambda: {"limpid": ["limpid-video", "limpid"]})
    monkeypatch.setattr("limpid.cli.doctor._version", lambda name: "0.1.0")
    from limpid.cli.doctor import system

    problems = [finding for finding in system() if finding.state == "problem"]
    assert len(problems) == 1 and "pip uninstall limpid" in problems[0].text
    monkeypatch.setattr("limpid.cli.doctor.packages_distributions", lambda: {"limpid": ["limpid-video"]})
    assert not [finding for finding in system() if finding.state == "problem"]
