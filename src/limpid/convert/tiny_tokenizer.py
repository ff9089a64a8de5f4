"""A tokenizer in CLIP's format that knows single letters and a few words: enough for tests and random weights."""

from __future__ import annotations

import json
from pathlib import Path

START, END, PAD = "<|startoftext|>", "<|endoftext|>", "!"
LENGTH = 77
_WORDS = ("the", "video", "quality", "best", "high")
BYTES = 256


def write_tokenizer(folder: Path) -> None:
    """``vocab.json``, ``merges.txt`` and settings, as ``CLIPTokenizer`` reads them."""
    letters = byte_letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[str] = []
    for word in _WORDS:
        _add_word(word, pieces, merges)
    vocabulary = {piece: number for number, piece in enumerate([*pieces, START, END])}
    names = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": PAD}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2), encoding="utf-8")


def _add_word(word: str, pieces: list[str], merges: list[str]) -> None:
    """The merges that make one token of a word, from its beginning on, and the pieces in between."""
    left, *rest = [*word[:-1], f"{word[-1]}</w>"]
    for letter in rest:
        merge = f"{left} {letter}"
        left += letter
        if merge not in merges:
            merges.append(merge)
            pieces.append(left)


def byte_letters() -> list[str]:
    """A visible letter for every byte, as byte-level BPE has them: itself where printable, else from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = BYTES - len(printable)
    return [*map(chr, printable), *(chr(BYTES + number) for number in range(hidden))]
