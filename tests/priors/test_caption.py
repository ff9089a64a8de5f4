"""Captions by a tiny random BLIP, whose pictures Pillow prepares; and the manners of models that want to be asked."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limpid.priors.caption import MOST_TOKENS, QUESTION, CaptionModel, caption_shots, picture
from limpid.types import SettingsError, WeightsError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "street", "dog", "at", "night"]
SHOTS = [(0, 1), (1, 5), (5, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BLIP with one layer each and words as tokens; it has the auto classes that people's models are loaded with."""
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    folder = tmp_path_factory.mktemp("blip")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}
    text = {**sizes, **tokens, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 80}
    config = BlipConfig(text_config=text, vision_config={**sizes, "image_size": 16, "patch_size": 8})
    torch.manual_seed(1)
    network = BlipForConditionalGeneration(config)
    for parameter in network.parameters():
        # As BLIP is made, every picture looks alike to it.
        if parameter.ndim > 1:
            nn.init.normal_(parameter)
    network.save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}, bos_token="[DEC]")
    BlipProcessor(BlipImageProcessorPil(size={"height": 16, "width": 16}), tokenizer).save_pretrained(folder)
    return folder


def frames(count: int = 9) -> Tensor:
    """Plain pictures of different colours: noise all looks alike to a random network."""
    colours = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(0)).round()
    return colours.expand(-1, -1, 12, 20)


def caption_of(clip: Tensor, model: str | Path) -> str:
    """The caption of a clip that is one shot."""
    return caption_shots(lambda i: clip[i], [(0, len(clip))], model).get(0, "")


def copy(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "copy"))


def test_each_shot_is_described_by_its_middle_frame(folder: Path) -> None:
    clip, asked = frames(), []

    def frames_of(index: int) -> Tensor:
        asked.append(index)
        return clip[index]

    captions = caption_shots(frames_of, SHOTS, folder)
    assert asked == [0, 3, 5]
    assert set(captions) == {0, 1, 2}
    assert len(set(captions.values())) == 3
    for text in captions.values():
        assert len(text.split()) <= MOST_TOKENS
        assert not set(text.split()) & set(WORDS[:6])
    assert caption_shots(lambda i: clip[i], SHOTS, folder) == captions
    assert caption_of(clip[1:5], folder) == captions[1]


def test_the_models_own_habits_of_throwing_dice_are_overruled(folder: Path, tmp_path: Path) -> None:
    there = copy(folder, tmp_path)
    path = there / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_sample": True, "temperature": 5.0}))
    clip = frames(1)
    assert len({caption_of(clip, there) for _ in range(4)}) == 1


def test_a_model_that_says_nothing_leaves_the_shot_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CaptionModel, "describe", lambda self, frame: "" if frame.mean() == 0 else "a dog")
    clip = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    assert caption_shots(lambda i: clip[i], [(0, 1), (1, 2)], folder) == {1: "a dog"}
    assert caption_of(clip[:1], folder) == ""


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_freed(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    alive: list[weakref.ref[Any]] = []
    original = CaptionModel.__init__

    def watched(self: CaptionModel, model: Any, processor: Any) -> None:
        original(self, model, processor)
        alive.append(weakref.ref(model))

    def frames_of(index: int) -> Tensor:
        if fails:
            raise OSError("the disk is gone")
        return frames()[index]

    monkeypatch.setattr(CaptionModel, "__init__", watched)
    try:
        caption_shots(frames_of, [(0, 2)], folder)
    except OSError:
        assert fails
    gc.collect()
    assert alive[0]() is None


def test_loading_and_describing_say_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    caption_of(frames(1), folder)
    assert capfd.readouterr() == ("", "")


def test_a_frame_becomes_a_picture() -> None:
    frame = torch.tensor([0.0, 0.5, 1.2])[:, None, None].expand(3, 2, 4)
    image = picture(frame)
    assert (image.mode, image.size) == ("RGB", (4, 2))
    assert image.getpixel((3, 1)) == (0, 128, 255)


class Talker:
    """A processor and a model that are talked to: the answer repeats the question's tokens, as decoders do."""

    chat_template = "yes"
    device, dtype = torch.device("cpu"), torch.float32

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        from transformers import BatchFeature

        assert options == {
            "add_generation_prompt": True,
            "tokenize": True,
            "return_dict": True,
            "return_tensors": "pt",
        }
        [message] = messages
        assert [part["type"] for part in message["content"]] == ["image", "text"]
        assert message["content"][1]["text"] == QUESTION
        return BatchFeature({"input_ids": torch.tensor([[7, 8, 9]])})

    def generate(self, input_ids: Tensor, **options: Any) -> Tensor:
        assert options == {"max_new_tokens": MOST_TOKENS, "do_sample": False, "num_beams": 1}
        return torch.cat([input_ids, torch.tensor([[1, 2]])], dim=1)

    def batch_decode(self, tokens: Tensor, *, skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return [f" tokens:\n {tokens[0].tolist()}\x00 "]


def test_a_model_one_talks_to_is_asked_and_only_its_answer_is_kept() -> None:
    talker = Talker()
    assert CaptionModel(talker, talker).describe(frames(1)[0]) == "tokens: [1, 2]"


LLAVA_WORDS = ["<pad>", "<unk>", "<s>", "</s>", "<image>", "USER:", "ASSISTANT:", "a", "street", "dog", "at", "night"]
LLAVA_TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaVA-1.5 with random numbers and one layer each, saved as the published folder is."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("llava")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**sizes, image_size=16, patch_size=8, projection_dim=16)
    text = LlamaConfig(**sizes, vocab_size=len(LLAVA_WORDS), bos_token_id=2, eos_token_id=3, pad_token_id=0)
    torch.manual_seed(3)
    network = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_id=4))
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter)
    network.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(LLAVA_WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, additional_special_tokens=["<image>"], **named)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor = LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=LLAVA_TEMPLATE,
        num_additional_image_tokens=1,
    )
    processor.save_pretrained(folder)
    return folder


def test_llava_describes_pictures_by_its_own_answer(llava: Path) -> None:
    """The captioner of Upscale-A-Video, from a local folder: it sees the picture, and the question is not repeated."""
    said = {caption_of(frames()[n : n + 1], llava) for n in range(6)}
    assert len(said) > 1, "the answer depends on the picture"
    assert not any(words.startswith("USER: ASSISTANT:") or "<image>" in words for words in said), "the question's echo"
    assert caption_of(frames()[:1], llava) == caption_of(frames()[:1], llava)


class TestBadModels:
    def test_a_missing_folder_is_one_sentence(self, tmp_path: Path) -> None:
        for missing in (tmp_path / "none", str(tmp_path / "none"), "./none", ""):
            with pytest.raises(WeightsError, match="there is no such folder with a caption model"):
                caption_of(frames(1), missing)

    def test_a_name_of_the_hub_is_not_fetched_unasked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(WeightsError, match="hf download nobody/nothing"):
            caption_of(frames(1), "nobody/nothing")

    def test_incomplete_weights_are_refused(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        path = there / "model.safetensors"
        state = load_file(path)
        name = next(key for key in state if key.endswith(("layernorm.weight", "layer_norm1.weight")))
        state.pop(name)
        save_file(state, path, metadata={"format": "pt"})
        with pytest.raises(WeightsError, match="1 tensors are missing"):
            caption_of(frames(1), there)

    def test_pickles_and_other_kinds_of_models_are_refused(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        (there / "model.safetensors").rename(there / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="cannot be loaded"):
            caption_of(frames(1), there)
        (there / "config.json").write_text(json.dumps({"model_type": "bert"}))
        with pytest.raises(WeightsError, match="cannot be loaded"):
            caption_of(frames(1), there)

    def test_code_that_comes_with_a_model_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        there = copy(folder, tmp_path)
        config = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
        (there / "config.json").write_text(json.dumps(config))
        (there / "processor_config.json").unlink()
        (there / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
        with pytest.raises(WeightsError, match=r"code of its makers, as InternLM-XComposer2.*LLaVA-1\.5 .* stands in"):
            caption_of(frames(1), there)
        assert not (tmp_path / "ran").exists()

    def test_a_package_that_a_model_needs_is_named(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from transformers import AutoProcessor

        def refuse(*args: Any, **options: Any) -> None:
            raise ImportError("\nThisProcessor requires torchvision\nmore")

        monkeypatch.setattr(AutoProcessor, "from_pretrained", refuse)
        with pytest.raises(SettingsError, match="needs a package more: ThisProcessor requires torchvision"):
            caption_of(frames(1), folder)

    def test_without_transformers_one_sentence_says_so(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(SettingsError, match="captions are made with transformers, which is not installed"):
            caption_of(frames(1), folder)
