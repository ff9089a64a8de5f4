"""The text encoder gives what the pipeline of the published upscaler gives, and leaves nothing behind."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from limpid.priors import text as text_module
from limpid.priors.text import TextEncoder, encode_once
from limpid.types import SettingsError, WeightsError

LENGTH = 16
PROMPTS = ["a dog", "", "blur, worst quality, 4"]
"""The last one has more letters than the encoder has places: every letter is a token here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers and a tokenizer whose words are single letters; padded with ``!`` as SD 2 is."""
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("text")
    vocabulary = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


def write_tokenizer(folder: Path) -> dict[str, int]:
    letters = ["!", *map(chr, range(ord("a"), ord("z") + 1)), ",", "4"]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    end = "<|endoftext|>"
    names = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": "!"}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    values = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    return vocabulary


def copy(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "copy"))


def load(folder: Path) -> TextEncoder:
    return TextEncoder.load(folder, "cpu", torch.float32)


def oracle(encoder: TextEncoder, prompt: str, negative: str) -> tuple[Tensor, Tensor]:
    """What diffusers' pipeline for Stable Diffusion x4 says; it needs nothing but encoder and tokenizer for this."""
    from types import SimpleNamespace

    from diffusers import StableDiffusionUpscalePipeline

    pipe: Any = SimpleNamespace(text_encoder=encoder.model, tokenizer=encoder.tokenizer, unet=None)
    positive, other = StableDiffusionUpscalePipeline.encode_prompt(
        pipe, [prompt], torch.device("cpu"), 1, True, negative_prompt=[negative]
    )
    return positive, other


@pytest.mark.parametrize("masked", [False, True])
def test_embeddings_equal_those_of_the_pipeline(folder: Path, tmp_path: Path, masked: bool) -> None:
    there = copy(folder, tmp_path)
    config = json.loads((there / "text_encoder" / "config.json").read_text())
    (there / "text_encoder" / "config.json").write_text(json.dumps({**config, "use_attention_mask": masked}))
    encoder = load(there)
    assert getattr(encoder.model.config, "use_attention_mask", False) is masked
    positive, negative = oracle(encoder, PROMPTS[0], PROMPTS[2])
    ours = encoder.encode([PROMPTS[0], PROMPTS[2]])
    assert ours.shape == (2, LENGTH, 16)
    assert torch.equal(ours, torch.cat([positive, negative]))


def test_padding_is_attended_to_only_when_there_is_no_mask(folder: Path) -> None:
    encoder = load(folder)
    plain = encoder.encode(["a dog"])
    encoder.model.config.use_attention_mask = True
    assert not torch.equal(encoder.encode(["a dog"]), plain)


def test_the_number_of_texts_changes_no_bit(folder: Path) -> None:
    encoder = load(folder)
    together = encoder.encode(PROMPTS)
    assert together.shape == (3, LENGTH, 16)
    for text, row in zip(PROMPTS, together, strict=True):
        assert torch.equal(encoder.encode([text])[0], row)
    assert encoder.encode([]).shape == (0, LENGTH, 16)


def test_what_is_cut_off_is_said(folder: Path) -> None:
    encoder = load(folder)
    assert encoder.length == LENGTH
    fits = "a" * (LENGTH - 2)
    assert encoder.too_long([*PROMPTS[:2], fits]) == []
    [said] = encoder.too_long([f"{fits}bc", f"{fits}bc"])
    assert said.startswith("the text 'aaaaaaaaaaaaaabc'... is longer than 14 tokens")
    assert said.replace(" ", "").endswith("'bc'")
    assert torch.equal(encoder.encode([f"{fits} b"]), encoder.encode([f"{fits} c"]))


def test_a_tokenizer_without_a_limit_takes_the_encoders(folder: Path, tmp_path: Path) -> None:
    there = copy(folder, tmp_path)
    path = there / "tokenizer" / "tokenizer_config.json"
    values = json.loads(path.read_text())
    del values["model_max_length"]
    path.write_text(json.dumps(values))
    assert load(there).encode(["a"]).shape == (1, LENGTH, 16)


def test_encode_once_frees_the_encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Any]] = []
    original = TextEncoder.__init__

    def watched(self: TextEncoder, model: Any, tokenizer: Any) -> None:
        original(self, model, tokenizer)
        alive.append(weakref.ref(model))

    monkeypatch.setattr(TextEncoder, "__init__", watched)
    told: list[str] = []
    embeddings = encode_once(folder, PROMPTS, "cpu", torch.bfloat16, told.append)
    gc.collect()
    assert alive[0]() is None
    assert embeddings.shape == (3, LENGTH, 16)
    assert embeddings.dtype == torch.bfloat16
    assert not embeddings.is_inference()
    assert len(told) == 1


def test_older_names_of_tensors_are_read(folder: Path, tmp_path: Path) -> None:
    """Released files call tensors ``text_model...`` and hold the positions as a tensor."""
    there = copy(folder, tmp_path)
    path = there / "text_encoder" / "model.safetensors"
    state = {f"text_model.{key}": value for key, value in load_file(path).items()}
    state["text_model.embeddings.position_ids"] = torch.arange(LENGTH)[None]
    save_file(state, path, metadata={"format": "pt"})
    assert torch.equal(load(there).encode(PROMPTS), load(folder).encode(PROMPTS))


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder)
    assert capfd.readouterr() == ("", "")


class TestBadFolders:
    def test_missing_parts(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="text_encoder: the folder is missing"):
            load(tmp_path)
        there = copy(folder, tmp_path)
        (there / "tokenizer" / "merges.txt").unlink()
        with pytest.raises(WeightsError, match="the vocabulary is missing"):
            load(there)

    def test_missing_tensors(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        path = there / "text_encoder" / "model.safetensors"
        state = load_file(path)
        state.pop("final_layer_norm.weight")
        save_file(state, path, metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=r"1 tensors are missing \(final_layer_norm.weight\)"):
            load(there)

    def test_truncated_and_pickled_files(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        path = there / "text_encoder" / "model.safetensors"
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(WeightsError, match="cannot be loaded"):
            load(there)
        state = load_file(folder / "text_encoder" / "model.safetensors")
        path.unlink()
        torch.save(state, path.with_name("pytorch_model.bin"))
        with pytest.raises(WeightsError, match="cannot be loaded"):
            load(there)

    def test_wrong_shapes(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        path = there / "text_encoder" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_size": 32}))
        with pytest.raises(WeightsError, match="cannot be loaded"):
            load(there)


def test_without_transformers_one_sentence_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SettingsError, match="pip install 'transformers>=5'"):
        load(folder)


def test_importing_the_module_does_not_import_transformers() -> None:
    code = f"import sys, {text_module.__name__}\nsys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
