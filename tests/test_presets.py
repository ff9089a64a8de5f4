"""Named settings of a user: plain files that survive, and names that lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpid.presets import (
    LOOKS,
    Preset,
    delete_preset,
    list_presets,
    load_preset,
    merged,
    naming_preset,
    presets_folder,
    save_preset,
    set_by_preset,
    with_preset,
)
from limpid.settings import Settings
from limpid.types import InputError, SettingsError


def test_a_preset_is_kept_changed_and_removed(tmp_path: Path) -> None:
    save_preset(Preset(name="old tapes", settings={"scale": 2, "crf": 20}, description="VHS"), tmp_path)
    save_preset(Preset(name="old tapes", settings={"scale": 2}), tmp_path)
    save_preset(Preset(name="a.b-c"), tmp_path)
    assert [preset.name for preset in list_presets(tmp_path)] == ["a.b-c", "old tapes"]
    assert load_preset("old tapes", tmp_path) == Preset(name="old tapes", settings={"scale": 2})
    delete_preset("old tapes", tmp_path)
    with pytest.raises(SettingsError, match="there is no preset 'old tapes'"):
        load_preset("old tapes", tmp_path)
    with pytest.raises(SettingsError, match="there is no preset"):
        delete_preset("old tapes", tmp_path)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\n", "a" * 65, "a.", " a", "nul\0"]
)
def test_names_that_are_no_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no name for a preset"):
        load_preset(name, tmp_path)


def test_settings_that_cannot_be_are_not_kept() -> None:
    with pytest.raises(SettingsError, match="crf is 99"):
        Preset(name="x", settings={"crf": 99})
    with pytest.raises(SettingsError, match="500 characters"):
        Preset(name="x", description="x" * 501)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"limpid_preset": 2, "settings": {}}', '{"limpid_preset": 1, "settings": 3}']
)
def test_files_that_are_no_presets_are_left_out_and_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    assert list_presets(tmp_path) == []
    with pytest.raises(InputError, match="is no preset"):
        load_preset("x", tmp_path)


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_PRESETS", str(tmp_path / "mine"))
    assert presets_folder() == tmp_path / "mine"
    assert list_presets() == []


def test_height_takes_the_place_of_a_presets_scale_and_the_other_way() -> None:
    assert merged({"scale": 2}, {"height": 720}) == {"height": 720}
    assert merged({"height": 720}, {"scale": 3}) == {"scale": 3}
    assert merged({"scale": 2, "crf": 3}, {"crf": 4}) == {"scale": 2, "crf": 4}


@pytest.mark.parametrize("name", LOOKS)
def test_presets_by_content_are_plain_values_that_differ_from_the_defaults(name: str) -> None:
    plain, look = Settings().to_dict(), LOOKS[name]
    assert look.description and look.settings
    assert all(plain[option] != value for option, value in look.settings.items())
    settings = Settings(**with_preset({"preset_look": name}))
    assert set_by_preset(settings) == dict(look.settings) and settings.preset_name == name


def test_what_is_said_besides_wins_even_when_it_is_the_default(tmp_path: Path) -> None:
    changes = with_preset({"preset_look": "old-tape", "deinterlace": "auto"})
    assert changes == {"detail": 0.25, "deinterlace": "auto", "preset_name": "old-tape"}
    assert set_by_preset(Settings(**changes)) == {"detail": 0.25}
    assert with_preset({"crf": 3}) == {"crf": 3}


def test_presets_by_content_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="comes with Limpid"):
        save_preset(Preset(name="film", settings={"crf": 3}), tmp_path)
    with pytest.raises(SettingsError, match="comes with Limpid"):
        delete_preset("film", tmp_path)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(tmp_path: Path) -> None:
    save_preset(Preset(name="wedding"), tmp_path)
    for typed, meant in (("weding", "wedding"), ("oldtape", "old-tape"), ("FILM", "film")):
        with pytest.raises(SettingsError, match=f"did you mean {meant}"):
            load_preset(typed, tmp_path)
    with pytest.raises(SettingsError, match="there are film, phone, animation, old-tape, screen, wedding"):
        load_preset("xyz", tmp_path)


def test_what_a_method_cannot_take_is_said_with_the_preset_that_set_it() -> None:
    settings = Settings(**with_preset({"preset_look": "film"}))
    refused = pytest.raises(SettingsError, match="the preset film does not fit here: detail has no effect")
    with refused, naming_preset(settings):
        raise SettingsError("detail has no effect with the method x; leave it out")
    with pytest.raises(SettingsError, match=r"^steps is 0$"), naming_preset(settings):
        raise SettingsError("steps is 0")


def test_a_preset_does_not_keep_the_name_of_another(tmp_path: Path) -> None:
    save_preset(Preset(name="mine", settings={"crf": 3, "preset_name": "film"}), tmp_path)
    assert load_preset("mine", tmp_path).settings == {"crf": 3}
