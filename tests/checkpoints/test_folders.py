"""The manifest, where converted weights lie, and whether they are still what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from limpid.checkpoints.folders import (
    Card,
    folder_facts,
    installed,
    read_card,
    weights_digest,
    weights_root,
    write_card,
)
from limpid.checkpoints.manifest import ENTRIES, find_entry, how_to_get
from limpid.checkpoints.tensor_files import SafetensorsFile, write_safetensors
from limpid.checkpoints.verify import changed_files
from limpid.types import SettingsError, WeightsError


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_every_entry_is_complete(entry: object) -> None:
    from limpid.checkpoints.manifest import Entry

    assert isinstance(entry, Entry)
    assert entry.title and entry.licence and entry.page.startswith("https://")
    assert all(file.url or entry.by_hand for file in entry.files)
    assert set(entry.needs) <= set(ENTRIES)
    assert entry.page in how_to_get(entry) and entry.licence in how_to_get(entry) and entry.name in how_to_get(entry)


def test_unknown_weights() -> None:
    with pytest.raises(SettingsError, match="diffvsr"):
        find_entry("nothing")


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as error:
        installed("upscale-a-video")
    text = str(error.value)
    for words in ("drive.google.com", "4.1 GB", "no commercial use", "limpid weights convert", str(tmp_path)):
        assert words in text
    with pytest.raises(WeightsError, match="size unknown"):
        installed("diffvsr")


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", "~/w")
    assert weights_root() == Path.home() / "w"
    monkeypatch.delenv("LIMPID_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_root().parts[-2:] == ("limpid", "weights")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "diffvsr"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text("{}")
    write_safetensors(folder / "unet" / "w.safetensors", {"a": torch.ones(3)})
    write_card(folder, Card(name="diffvsr", version="0", files=folder_facts(folder), random=True))
    return folder


def test_a_card_is_read_as_it_was_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(folder.parent))
    assert installed("diffvsr") == installed("diffvsr", folder) == folder
    assert read_card(folder).random
    with pytest.raises(WeightsError, match="has the weights of diffvsr, not of lavie-vsr"):
        installed("lavie-vsr", folder)


def test_the_digest_is_that_of_the_files(folder: Path) -> None:
    before = weights_digest(folder)
    (folder / "unet" / "config.json").write_text('{"a": 1}')
    assert weights_digest(folder) == before, "large files are not read for it"
    write_card(folder, Card(name="diffvsr", version="1", files=folder_facts(folder)))
    assert weights_digest(folder) != before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "diffvsr", "notes": 3}', None])
def test_a_damaged_card(folder: Path, text: str | None) -> None:
    if text is None:
        (folder / "limpid.json").unlink()
    else:
        (folder / "limpid.json").write_text(text)
    with pytest.raises(WeightsError, match="damaged"):
        read_card(folder)


def test_changes_are_found(folder: Path) -> None:
    assert changed_files(folder) == []
    (folder / "unet" / "config.json").write_text("[]")
    (folder / "unet" / "w.safetensors").unlink()
    (folder / "new").touch()
    assert changed_files(folder) == [
        "unet/config.json has changed",
        "unet/w.safetensors is missing",
        "new was not there",
    ]


def test_tensors_are_written_as_safetensors_reads_them(tmp_path: Path) -> None:
    tensors = {
        "b": torch.randn(3).half(),
        "a": torch.randn(2, 3).T,
        "scalar": torch.tensor(4),
        "empty": torch.zeros(0, 2),
        "bf": torch.randn(5).bfloat16(),
        "flag": torch.tensor([True]),
        "wide": torch.randn(2).double(),
    }
    write_safetensors(tmp_path / "w.safetensors", tensors)
    read = SafetensorsFile(tmp_path / "w.safetensors")
    assert sorted(read) == sorted(tensors) and len(read) == 7
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    with pytest.raises(KeyError):
        read["missing"]


def test_numbers_can_be_stored_shorter(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "w.safetensors", {"a": torch.ones(3), "n": torch.arange(2)}, torch.float16)
    read = SafetensorsFile(tmp_path / "w.safetensors")
    assert read["a"].dtype == torch.float16 and read["n"].dtype == torch.int64


def test_a_damaged_safetensors_file(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(json.dumps({}).encode())
    with pytest.raises(WeightsError, match="cannot be read"):
        SafetensorsFile(tmp_path / "w.safetensors")


def test_a_folder_of_the_makers_files_is_to_be_converted(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="are not in"):
        installed("diffvsr", tmp_path)
    (tmp_path / "unet.pt").touch()
    with pytest.raises(WeightsError, match=r"no converted weights; .*: limpid weights convert diffvsr .*"):
        installed("diffvsr", tmp_path)
