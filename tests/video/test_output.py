"""From options to an output spec: what goes, what does not, and that it is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from writing import UNIT, clip, timeline

from limpid.types import Clip, ColorTags, OutputError, OutputSpec, SettingsError
from limpid.video import check_spec, resolve_output


def resolve(name: str | Path, source: Clip | None = None, **changes: object) -> tuple[OutputSpec, tuple[str, ...]]:
    wishes: dict[str, object] = {
        "width": 64,
        "height": 48,
        "codec": None,
        "crf": 16,
        "bit_depth": None,
        "threads": 2,
    }
    return resolve_output(source or clip(), timeline(), name, **{**wishes, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "codec", "container", "due"),
    [
        ("a.mp4", None, "mp4", "h264"),
        ("a.MKV", None, "mkv", "h264"),
        ("a.mov", None, "mov", "h264"),
        ("a.m4v", "hevc", "mp4", "h265"),
        ("a.mkv", "ffv1", "mkv", "ffv1"),
        ("a.mov", "prores", "mov", "prores"),
        ("a.mp4", "AV1", "mp4", "av1"),
        ("folder", None, "images", "images"),
        ("folder", "png", "images", "images"),
    ],
)
def test_names_decide(name: str, codec: str | None, container: str, due: str) -> None:
    spec, notes = resolve(name, codec=codec)
    assert (spec.codec, spec.container) == (due, container)
    assert notes == ()
    assert (spec.fps, spec.time_base) == (25, UNIT)


@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("a.mp4", {"codec": "ffv1"}, OutputError, "ffv1 does not go into mp4: use .mkv"),
        ("a.mp4", {"codec": "prores"}, OutputError, "use .mov or .mkv"),
        ("a.mov", {"codec": "av1"}, OutputError, "use .mp4 or .mkv"),
        ("a.avi", {}, OutputError, ".avi"),
        ("a.webm", {}, OutputError, ".mkv"),
        ("a.mp4", {"codec": "png"}, OutputError, "folder"),
        ("folder", {"codec": "h264"}, OutputError, ".mp4"),
        ("a.mp4", {"codec": "divx"}, SettingsError, "unknown codec 'divx'"),
        ("a.mp4", {"crf": 52}, SettingsError, "--crf 52"),
        ("a.mp4", {"crf": -1}, SettingsError, "--crf -1"),
        ("a.mp4", {"bit_depth": 9}, SettingsError, "--bit-depth 9"),
        ("a.mp4", {"bit_depth": 16}, SettingsError, "png"),
        ("a.mov", {"codec": "prores", "bit_depth": 8}, SettingsError, "10 bits"),
        ("folder", {"codec": "jpg", "bit_depth": 10}, SettingsError, "8 bits"),
        ("a.mp4", {"preset": "warp"}, SettingsError, "warp"),
        ("a.mkv", {"codec": "ffv1", "preset": "fast"}, SettingsError, "no effect"),
        ("a.mp4", {"threads": 0}, SettingsError, "threads"),
        ("a.mp4", {"width": 20000}, SettingsError, "20000x48"),
        ("a.mp4", {"width": 8}, SettingsError, "16"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    name: str, options: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says.replace(".", r"\.")):
        resolve(name, **options)


@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("a.mp4", "h264", (66, 48)),
        ("a.mov", "prores", (66, 47)),
        ("a.mkv", "ffv1", (65, 47)),
        ("folder", None, (65, 47)),
    ],
)
def test_sizes_become_even_only_where_they_must_and_it_is_said(
    name: str, codec: str | None, size: tuple[int, int]
) -> None:
    spec, notes = resolve(name, codec=codec, width=65, height=47)
    assert (spec.width, spec.height) == size
    assert bool(notes) == (size != (65, 47))


def test_depth_follows_the_source_up_to_ten_bits() -> None:
    deep = clip(bit_depth=12)
    spec, notes = resolve("a.mp4", deep)
    assert (spec.codec, spec.bit_depth) == ("h265", 10)
    assert "h265" in notes[0]
    assert resolve("a.mp4", deep, bit_depth=8)[0].codec == "h264"
    assert resolve("a.mp4", deep, codec="h264")[0].bit_depth == 10
    assert resolve("folder", deep)[0].bit_depth == 16
    spec, notes = resolve("folder", deep, codec="webp")
    assert spec.bit_depth == 8
    assert "8" in notes[0]
    assert resolve("a.mov", codec="prores")[0].bit_depth == 10


@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [
        ("a.mp4", None, False),
        ("a.mkv", "ffv1", True),
        ("a.mov", "prores", True),
        ("f", "png", True),
        ("f", "jpg", False),
    ],
)
def test_alpha_is_kept_where_it_can_be_and_its_loss_is_said(name: str, codec: str | None, kept: bool) -> None:
    spec, notes = resolve(name, clip(has_alpha=True), codec=codec)
    assert spec.alpha == kept
    assert any("transparency" in note for note in notes) == (not kept)


def test_colours_are_kept_or_named() -> None:
    hdr = ColorTags(primaries=9, transfer=16, matrix=9)
    assert resolve("a.mp4", clip(color=hdr))[0].color == hdr
    assert resolve("a.mp4")[0].color.matrix == 6
    assert resolve("a.mp4", height=1080, width=1920)[0].color.matrix == 1
    assert resolve("a.mp4", clip(color=ColorTags(primaries=9, matrix=10)))[0].color.matrix == 9
    assert resolve("a.mkv", clip(color=hdr), codec="ffv1")[0].color.matrix == 0


def test_frames_closer_than_a_millisecond_do_not_go_into_mkv() -> None:
    fast = timeline([0, 1, 2], unit=Fraction(1, 3000))
    wishes = {"width": 64, "height": 48, "codec": None, "crf": 16, "bit_depth": 8, "threads": 1}
    with pytest.raises(OutputError, match="milliseconds"):
        resolve_output(clip(), fast, "a.mkv", **wishes)  # type: ignore[arg-type]
    resolve_output(clip(), fast, "a.mp4", **wishes)  # type: ignore[arg-type]


def test_outputs_that_could_not_be_written_are_refused_before_the_work(tmp_path: Path) -> None:
    spec, images = resolve("a.mp4")[0], resolve("folder")[0]
    source = tmp_path / "in.mp4"
    source.write_bytes(b"x")
    for output, of, overwrite, says in (
        (source, spec, True, "input itself"),
        (tmp_path / "no" / "a.mp4", spec, False, "does not exist"),
        (tmp_path, spec, True, "is a folder"),
        (source, images, True, "is a file"),
        (tmp_path, images, False, "exists already"),
        (tmp_path, images, True, "other files"),
    ):
        with pytest.raises(OutputError, match=says):
            check_spec(output, clip(source if says == "input itself" else "x"), of, overwrite=overwrite)
    other = tmp_path / "other.mp4"
    other.write_bytes(b"y")
    with pytest.raises(OutputError, match="--overwrite"):
        check_spec(other, clip(source), spec)
    check_spec(other, clip(source), spec, overwrite=True)
    check_spec(tmp_path / "new.mp4", clip(source), spec)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "other.mp4"]
