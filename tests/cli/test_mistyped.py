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
        (["upscale", "a.mp4", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["weights", "lisst"], "did you mean list?"),
        (["bench", "rum"], "did you mean run?"),
    ],
)
def test_the_sentence_says_what_to_type(cli: Cli, words: list[str], says: str) -> None:
    ran = cli(*words)
    assert ran.code == 2 and says in ran.err and ran.err.count("\n") == 1


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
