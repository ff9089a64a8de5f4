"""Named settings of a user: plain files that survive, and names that lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpid.presets import Preset, delete_preset, list_presets, load_preset, presets_folder, save_preset
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
