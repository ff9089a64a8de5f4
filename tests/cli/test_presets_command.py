"""``limpid presets`` and ``--preset-look``: listed, kept, used, and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.presets import LOOKS
from limpid.settings import Settings

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_PRESETS", str(tmp_path / "presets"))


def test_presets_are_saved_listed_shown_and_removed(cli: Cli) -> None:
    assert "None of your own" in cli("presets").out
    saved = cli("presets", "save", "mine", "--detail", "0.8", "--height", "720", "--description", "for the television")
    assert (saved.code, saved.out) == (0, "mine: --height=720 --detail=0.8\n")
    names = [line.split()[0] for line in cli("presets", "list").out.splitlines()]
    assert names == [*LOOKS, "mine"]
    assert cli("presets", "show", "mine").out == "mine\nfor the television\n--height=720 --detail=0.8\n"
    shown = json.loads(cli("presets", "show", "mine", "--json").out)
    assert shown["settings"] == {"detail": 0.8, "height": 720} and not shown["builtin"]
    assert [each["name"] for each in json.loads(cli("presets", "--json").out)] == [*LOOKS, "mine"]
    assert cli("presets", "remove", "mine").code == 0
    assert cli("presets", "show", "mine").code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show",), "name the preset"),
        (("save", "x"), "at least one option"),
        (("save", "film", "--crf", "3"), "comes with Limpid"),
        (("save", "../x", "--crf", "3"), "no name for a preset"),
        (("save", "x", "--crf", "99"), "at most 51"),
        (("show", "flim"), "did you mean film"),
        (("list", "--crf", "3"), "is for limpid presets save"),
        (("list", "x"), "takes no name"),
        (("sow", "film"), "did you mean show"),
    ],
)
def test_what_is_wrong_is_one_sentence(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    ran = cli("presets", *words)
    assert ran.code == 2 and sentence in ran.err and ran.err.count("\n") == 1


def test_a_run_takes_the_preset_and_says_what_it_set(cli: Cli, fake: Any, film: Path) -> None:
    ran = cli("upscale", film, "--preset-look", "screen", "--crf", "20")
    assert ran.code == 0, ran.err
    assert fake.calls[0]["settings"] == Settings(detail=1, deinterlace="off", crf=20, preset_name="screen")
    assert "note: the preset screen sets detail 1.0, deinterlace off; said otherwise: crf" in ran.err


def test_a_mistyped_preset_is_answered(cli: Cli, fake: Any, film: Path) -> None:
    ran = cli("upscale", film, "--preset-look", "old_tape")
    assert (ran.code, fake.calls) == (2, []) and "did you mean old-tape?" in ran.err
