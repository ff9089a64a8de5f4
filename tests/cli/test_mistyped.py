"""What is nearly right gets the sentence that says what to type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["upscal", "a.mp4"], "'upscal' is not a command; did you mean upscale?"),
        (["UPSCALE", "a.mp4"], "did you mean upscale?"),
        (["frobnicate"], "the commands are upscale, probe"),
        (["--scale", "2", "a.mp4"], "'--scale' stands before a command; write limpid COMMAND --scale"),
        (["https://example.org/a.mp4"], "limpid upscale https://example.org/a.mp4"),
        (["upscale", "a.mp4", "--hieght", "1080"], "there is no option '--hieght'; did you mean --height?"),
        (["upscale", "a.mp4", "--hieght=1080"], "did you mean --height?"),
        (["upscale", "a.mp4", "--gpu", "0"], "here it is --device cuda:N"),
        (["upscale", "a.mp4", "--no-keep-wrok"], "did you mean"),
        (["upscale", "https://example.org/a.mp4"], "is an address; Limpid makes no connections: download it first"),
        (["probe", "rtsp://example.org/a"], "is an address"),
        (["upscale", "-"], "not pipes"),
        (["upscale", "a.mp4", "-o", "-"], "not pipes"),
        (["upscale", "a.mp4", "--frobnicate"], "there is no option '--frobnicate' (see limpid upscale --help)"),
        (["upscale", "-dash.mp4"], "there is no option '-dash.mp4'; for a file of that name write ./-dash.mp4"),
        (["upscale", "a.mp4", "-x"], "there is no option '-x'"),
        (["upscale", "-i", "a.mp4"], "here it is the name of the input"),
        (["upscale", "a.mp4", "-y"], "here it is --overwrite"),
        (["upscale", "a.mp4", "--size", "1920x1080"], "here it is --height PX"),
        (["upscale", "a.mp4", "--width=1920"], "here it is --height PX"),
        (["upscale", "a.mp4", "--quality", "20"], "here it is --crf N"),
        (["upscale", "a.mp4", "--ss", "10"], "here it is --preview A-B"),
        (["upscale", "a.mp4", "--verbose"], "--quiet tells less"),
        (["upscale", "a.mp4", "--overwrite", "yes"], "--overwrite takes no value; leave 'yes' out"),
        (["upscale", "a.mp4", "-o"], "-o/--output needs a value"),
        (["upscale", "a.mp4", "--codec", "hevc"], "codec is 'hevc'; write h265"),
        (["upscale", "a.mp4", "--codec", "H264"], "codec is 'H264'; write h264"),
        (["upscale", "a.mp4", "--codec", "vp9"], "codec is 'vp9'; it can be h264"),
        (["upscale", "a.mp4", "--encoder", "nvidia"], "encoder is 'nvidia'; write nvenc"),
        (["upscale", "a.mp4", "--crf", "60"], "crf is 60; it must be 0 or more and at most 51"),
        (["version"], "to see the version: limpid --version"),
        (["-v"], "to see the version: limpid --version"),
        (["weights"], "ACTION is missing: one of list, fetch, convert"),
        (["queue"], "ACTION"),
        (["probe"], "FILE is missing"),
        (["doctor", "now"], "'now' is one word too many"),
        (["serve", "--port", "abc"], "argument --port: 'abc' is not a whole number"),
        (["weights", "fetch", "difvsr"], "there are no weights 'difvsr'; did you mean diffvsr?"),
        (["train", "--recipe", "tinny", "--data", "d", "--out", "o"], "there is no recipe 'tinny'; did you mean tiny?"),
        (["weights", "lisst"], "did you mean list?"),
        (["bench", "rum"], "did you mean run?"),
    ],
)
def test_the_sentence_says_what_to_type(cli: Cli, words: list[str], says: str) -> None:
    ran = cli(*words)
    assert ran.code == 2 and says in ran.err and ran.err.count("\n") == 1


def test_help_of_a_command_by_the_word_help(cli: Cli) -> None:
    assert cli("help", "upscale").out == cli("upscale", "--help").out
    assert cli("help", "nothing").out == cli("help").out == cli("--help").out


def test_a_folder_where_a_file_is_due_and_the_other_way_round(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert "holds no images (avif, bmp, jpeg, jpg, png, tif, tiff, webp) and no videos" in cli("upscale", tmp_path).err
    (tmp_path / "films" / "a.mp4").touch()
    assert "; name one of its videos" in cli("probe", tmp_path / "films").err
    assert (
        "is no sidecar of Limpid (those are called <output>.limpid.json)"
        in cli("upscale", "--from", tmp_path / "films" / "a.mp4").err
    )
    assert "there is no such file" in cli("upscale", tmp_path / "nothing.mp4").err


def test_a_film_as_the_command(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("film.mp4").touch()
    assert "film.mp4 is no command; to enlarge it: limpid upscale film.mp4" in cli("film.mp4").err
    Path("-dash.mp4").touch()
    assert "limpid upscale ./-dash.mp4" in cli("-dash.mp4").err
    assert "write ./-dash.mp4 for the file" in cli("upscale", "-dash.mp4").err
    Path("--dash.mp4").touch()
    assert "write ./--dash.mp4 for the file" in cli("upscale", "--dash.mp4").err
    assert cli("upscale", "--", "-dash.mp4").code == 3, "an empty file is an input that cannot be used"


def test_a_method_that_is_nearly_one(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    ran = cli("upscale", str(tmp_path / "a.mp4"), "--method", "tinny")
    assert ran.code in (2, 3)
    from limpid.methods import find_method
    from limpid.types import SettingsError

    with pytest.raises(SettingsError, match="no method 'tinny'; did you mean tiny\\?"):
        find_method("tinny")


def test_an_option_of_python_that_is_nearly_one() -> None:
    from limpid import Settings
    from limpid.types import SettingsError

    with pytest.raises(SettingsError, match="'hight' is not an option; did you mean height\\?"):
        Settings().replace(hight=3)
