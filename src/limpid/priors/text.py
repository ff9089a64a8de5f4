"""Text embeddings by the CLIP text encoder that belongs to a denoiser.

transformers is imported where it is needed and not before: it takes seconds, and methods without text do without it.
The result is that of Stable Diffusion x4: the last hidden state after its layer norm, padded to the encoder's length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limpid.networks.of_transformers import LOAD_ERRORS, first_line, import_transformers, quiet, refuse_incomplete
from limpid.plan.allocator import free_memory
from limpid.types import WeightsError

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


class TextEncoder:
    """A CLIP text encoder with its tokenizer, ready to run."""

    def __init__(self, model: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> TextEncoder:
        """An encoder from ``folder/text_encoder`` (safetensors) and ``folder/tokenizer``; nothing is downloaded.

        Raises:
            WeightsError: files are missing, damaged, or do not hold the whole encoder.
            SettingsError: transformers is not installed.
        """
        transformers = import_transformers("texts are encoded")
        folder = Path(folder)
        _check_files(folder)
        with quiet(transformers):
            try:
                tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
                model, info = transformers.CLIPTextModel.from_pretrained(
                    folder / "text_encoder",
                    dtype=dtype,
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                )
            except LOAD_ERRORS as error:
                raise WeightsError(f"{folder}: the text encoder cannot be loaded ({first_line(error)})") from error
        # transformers fills what a file lacks with random numbers and goes on.
        refuse_incomplete(info["missing_keys"], f"{folder / 'text_encoder'}")
        return cls(model.to(device).eval().requires_grad_(False), tokenizer)

    @property
    def length(self) -> int:
        """Tokens of an embedding, 77 for CLIP; the first and the last one are no words."""
        return min(int(self.tokenizer.model_max_length), int(self.model.config.max_position_embeddings))

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings of texts, ``n l c`` on the encoder's device, in its number format.

        Longer texts are cut off, see `too_long`. Texts are encoded one by one: each is then the same to the last bit
        whatever stands beside it, and a thousand shots need no more memory than one.
        """
        if not prompts:
            width = int(self.model.config.hidden_size)
            return torch.zeros(0, self.length, width, device=self.model.device, dtype=self.model.dtype)
        return torch.cat([self._encode_one(text) for text in prompts])

    def _encode_one(self, text: str) -> Tensor:
        tokens = self.tokenizer(
            text, padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        ).to(self.model.device)
        # Padding is attended to like words, as in training, unless the encoder's config says otherwise.
        mask = tokens.attention_mask if getattr(self.model.config, "use_attention_mask", False) else None
        hidden: Tensor = self.model(tokens.input_ids, attention_mask=mask).last_hidden_state
        return hidden

    def too_long(self, prompts: Sequence[str]) -> list[str]:
        """A sentence for each text of which the encoder sees only the beginning."""
        return [said for text in dict.fromkeys(prompts) if (said := self._cut_off(text)) is not None]

    def _cut_off(self, text: str) -> str | None:
        tokens = self.tokenizer(text, truncation=False, verbose=False).input_ids
        if len(tokens) <= self.length:
            return None
        lost = str(self.tokenizer.decode(tokens[self.length - 1 : -1])).strip()
        return f"the text {text[:40]!r}... is longer than {self.length - 2} tokens; this of it is not used: {lost!r}"


def encode_once(
    folder: str | Path,
    prompts: Sequence[str],
    device: torch.device | str,
    dtype: torch.dtype,
    tell: Callable[[str], None] | None = None,
) -> Tensor:
    """Embeddings of texts by an encoder that is loaded and freed again, so that it never lies beside the denoiser.

    Args:
        tell: receives a sentence for each text that is cut off.

    Returns:
        ``n l c`` on ``device``.
    """
    encoder = TextEncoder.load(folder, device, dtype)
    if tell is not None:
        for sentence in encoder.too_long(prompts):
            tell(sentence)
    # A copy outside of inference mode, so that the embeddings may be used anywhere.
    embeddings = encoder.encode(prompts).clone()
    del encoder
    free_memory()
    return embeddings


def _check_files(folder: Path) -> None:
    """Raises WeightsError where files are missing: without vocabulary the tokenizer would be made with three words."""
    for name in ("text_encoder", "tokenizer"):
        if not (folder / name).is_dir():
            raise WeightsError(f"{folder / name}: the folder is missing; the weights there are incomplete")
    if not any(all((folder / "tokenizer" / name).is_file() for name in names) for names in _TOKENIZER_FILES):
        raise WeightsError(f"{folder / 'tokenizer'}: the vocabulary is missing (vocab.json and merges.txt)")
