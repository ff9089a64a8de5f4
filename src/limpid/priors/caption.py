"""Captions made by an image-to-text model: one frame of each shot is shown to it, before the upscaler is loaded.

Any model that transformers loads as image-text-to-text will do: those made for captions (BLIP, BLIP-2, GIT) are given
the picture alone, those one talks to (LLaVA-1.5, which Upscale-A-Video used, and its like) are asked. Models that bring
program code of their own (InternLM-XComposer2, which DiffVSR used) are refused. Without torchvision, models whose
pictures are prepared by Pillow work: the named ones do; those that also take videos (Qwen-VL, SmolVLM) do not.
Captions are never needed; nothing is downloaded unless that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoints.configs import read_config
from limpid.networks.of_transformers import LOAD_ERRORS, first_line, import_transformers, quiet, refuse_incomplete
from limpid.plan.allocator import free_memory
from limpid.types import SettingsError, WeightsError

MOST_TOKENS = 64
"""Most tokens of a caption: the text encoder reads 75 tokens, and the suffix needs a few."""
QUESTION = "Describe this picture in one sentence."
STAND_IN = "LLaVA-1.5 (llava-hf/llava-1.5-7b-hf)"
"""What Upscale-A-Video describes videos with, in the form that transformers reads."""


def caption_shots(
    frames_of: Callable[[int], Tensor],
    shots: Sequence[tuple[int, int]],
    model: str | Path,
    device: torch.device | str = "cpu",
    *,
    download: bool = False,
) -> dict[int, str]:
    """Describes each shot by its middle frame; the model is loaded before and freed afterwards, also after an error.

    Args:
        frames_of: number of a frame -> ``3 h w`` in [0, 1]; asked once per shot, in the order of the shots.
        shots: half-open ranges of frames.
        model: a local folder, or the name of a model on the Hugging Face hub.
        download: whether a model of the hub may be fetched; else it has to be in the local cache.

    Returns:
        Captions by the number of the shot, counted from 0; the same for the same frames, no dice are thrown. A shot
        of which the model says nothing is left out.

    Raises:
        SettingsError: transformers, or what else the model needs, is not installed.
        WeightsError: the model is missing, incomplete or of another kind.
    """
    captioner = CaptionModel.load(model, device, download=download)
    try:
        captions = {i: captioner.describe(frames_of((start + stop) // 2)) for i, (start, stop) in enumerate(shots)}
    finally:
        del captioner
        free_memory()
    return {shot: caption for shot, caption in captions.items() if caption}


class CaptionModel:
    """An image-to-text model with its processor, ready to run."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model
        self.processor = processor

    @classmethod
    def load(cls, model: str | Path, device: torch.device | str, *, download: bool = False) -> CaptionModel:
        """A captioner from a folder or the hub: safetensors only, bfloat16 on an accelerator.

        Errors: `caption_shots`.
        """
        transformers = import_transformers("captions are made")
        _check_place(model)
        where: dict[str, Any] = {"local_files_only": not download, "trust_remote_code": False}
        dtype = torch.float32 if torch.device(device).type == "cpu" else torch.bfloat16
        weights = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
        with quiet(transformers):
            try:
                processor = transformers.AutoProcessor.from_pretrained(model, **where)
                network, info = transformers.AutoModelForImageTextToText.from_pretrained(model, **where, **weights)
            except ImportError as error:
                raise SettingsError(f"the caption model {model} needs a package more: {first_line(error)}") from error
            except LOAD_ERRORS as error:
                raise WeightsError(_cannot_load(model, error)) from error
        refuse_incomplete(info["missing_keys"], str(model))
        if not hasattr(processor, "image_processor"):
            raise WeightsError(f"{model} has no processor for pictures; a model that describes pictures is needed")
        return cls(network.to(device).eval().requires_grad_(False), processor)

    @torch.inference_mode()
    def describe(self, frame: Tensor) -> str:
        """The caption of a frame ``3 h w`` in [0, 1]: one line, at most `MOST_TOKENS` tokens, without throwing dice."""
        transformers = import_transformers("captions are made")
        inputs = self._inputs(picture(frame)).to(self.model.device, self.model.dtype)
        with quiet(transformers):
            tokens = self.model.generate(**inputs, max_new_tokens=MOST_TOKENS, do_sample=False, num_beams=1)
        said = self.processor.batch_decode(_new_tokens(tokens, inputs), skip_special_tokens=True)[0]
        return " ".join("".join(c if c.isprintable() else " " for c in said).split())

    def _inputs(self, image: Any) -> Any:
        if getattr(self.processor, "chat_template", None) is None:
            return self.processor(images=[image], return_tensors="pt")
        content = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )


def picture(frame: Tensor) -> Any:
    """Frame ``3 h w`` in [0, 1] -> a PIL image."""
    from transformers.image_transforms import to_pil_image

    pixels = frame.detach().float().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    try:
        return to_pil_image(pixels.permute(1, 2, 0).numpy(), do_rescale=False, input_data_format="channels_last")
    except ImportError:
        raise SettingsError("captions are made with Pillow, which is not installed: pip install pillow") from None


def _new_tokens(tokens: Tensor, inputs: Any) -> Tensor:
    """Tokens of the answer: without the question, which models made of a decoder alone repeat."""
    asked = inputs.get("input_ids")
    if asked is None or not torch.equal(tokens[:, : asked.shape[1]], asked):
        return tokens
    return tokens[:, asked.shape[1] :]


def _check_place(model: str | Path) -> None:
    """Raises WeightsError for what is neither a folder nor a name on the hub, ``owner/name``: a mistake in a path."""
    name = str(model)
    named = isinstance(model, str) and name.count("/") <= 1 and not name.startswith((".", "/", "~"))
    if not name or not (named or Path(model).is_dir()):
        raise WeightsError(f"{name!r}: there is no such folder with a caption model")


def _needs_code(model: str | Path, error: BaseException) -> bool:
    """Whether a model brings the code that it is made of: its configuration names files of code, or the error does."""
    if "trust_remote_code" in str(error):
        return True
    try:
        config = read_config(Path(model) / "config.json")
    except WeightsError:
        return False
    return "auto_map" in config


def _cannot_load(model: str | Path, error: BaseException) -> str:
    if _needs_code(model, error):
        return (
            f"{model} can only be run with program code of its makers, as InternLM-XComposer2 (DiffVSR's captioner); "
            f"Limpid runs none that comes with weights. {STAND_IN} stands in: a model of transformers' own"
        )
    if Path(model).is_dir():
        return f"{model}: the caption model cannot be loaded ({first_line(error)})"
    fetch = f"if it is a model of the Hugging Face hub, 'hf download {model}' fetches it"
    return f"{model} is no folder, and no caption model of that name was fetched before; {fetch}"
