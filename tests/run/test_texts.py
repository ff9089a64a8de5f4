"""Prompts from files and captions become part of the settings before a run begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import local_method

import limpid
from limpid.methods import METHODS
from limpid.run.texts import with_captions, with_prompts_read
from limpid.settings import Settings
from limpid.types import SettingsError


def test_the_contents_of_a_file_take_the_place_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("# mine\n2: a cat\n1: a dog\n")
    settings = with_prompts_read(Settings(prompts=str(path)))
    assert settings.prompts == "1: a dog\n2: a cat"
    path.unlink()
    assert with_prompts_read(settings) == settings


@pytest.mark.parametrize("settings", [Settings(prompts="nothing-here.txt"), Settings(caption_model="x")])
def test_what_cannot_work_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError):
        with_prompts_read(settings)


def test_captions_fill_the_shots_without_a_text_and_are_kept(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def caption(shots: list[int]) -> dict[int, str]:
        asked.append(shots)
        return {shot: f"picture {shot}" for shot in shots}

    settings = Settings(caption="auto", caption_model="m", prompts="2: given")
    for _ in range(2):
        done = with_captions(settings, 3, identity="film", folder=tmp_path, caption=caption)
        assert done.prompts == "1: picture 0\n2: given\n3: picture 2"
        assert done.caption == "off" and done.caption_model is None
    assert asked == [[0, 2]]
    with_captions(settings, 3, identity="another film", folder=tmp_path, caption=caption)
    assert len(asked) == 2


def test_damaged_captions_are_made_again(tmp_path: Path) -> None:
    (tmp_path / "captions.json").write_text(json.dumps({"key": 1})[:-3])
    done = with_captions(
        Settings(caption="auto"), 1, identity="film", folder=tmp_path, caption=lambda shots: dict.fromkeys(shots, "new")
    )
    assert done.prompts == "1: new"


def test_a_run_captions_the_middle_frame_of_every_shot(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip has 40 frames and a cut at frame 15."""
    seen: list[Any] = []

    def caption_shots(frame_of: Any, shots: Any, model: str, device: Any) -> dict[int, str]:
        seen.extend((tuple(frame_of(sum(shot) // 2).shape), shot, model) for shot in shots)
        return {i: f"shot from {start}" for i, (start, _) in enumerate(shots)}

    given: list[str | None] = []

    def told(*, prompts: str | None = None) -> Any:
        given.append(prompts)
        return local_method(name="told", options=frozenset({"steps"}))

    monkeypatch.setattr("limpid.priors.caption.caption_shots", caption_shots)
    monkeypatch.setitem(METHODS, "told", told)
    limpid.upscale(clip, tmp_path / "x.mkv", method="told", caption="auto", caption_model="folder", steps=1)
    assert seen == [((3, 32, 48), (0, 15), "folder"), ((3, 32, 48), (15, 40), "folder")]
    assert given == [None, "1: shot from 0\n2: shot from 15"]
    facts = json.loads((tmp_path / "x.mkv.limpid.json").read_text())
    assert facts["settings"]["prompts"] == given[1]
    assert facts["settings"]["caption"] == "off"


def test_captions_need_a_model(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "told", lambda *, prompts=None: local_method(name="told"))
    with pytest.raises(SettingsError, match="caption auto needs a model"):
        limpid.upscale(clip, tmp_path / "x.mkv", method="told", caption="auto")


def test_texts_for_shots_that_are_not_there_are_refused() -> None:
    with pytest.raises(SettingsError, match="shot 3"):
        with_captions(Settings(prompts="3: x"), 2, identity="film", folder=None, caption=lambda shots: {})
