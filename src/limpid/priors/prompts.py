"""Prompts, what the denoiser is told in words: one text for the whole input, or one per shot. Needs no torch.

In a file of prompts every line is a shot's number, a colon and a text. Shots are counted from 1, as people count;
everywhere in Limpid they are counted from 0. Empty lines and lines that begin with ``#`` say nothing::

    # the first shot of my film
    1: a street at night, rain
    3: portrait of an old man

A shot that has no line gets the prompt of the whole input; ``2:`` alone gives shot 2 no text but the suffix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limpid.bounded import cut, read_regular
from limpid.types import SettingsError

UPSCALE_A_VIDEO_SUFFIX = "best quality, extremely detailed"
UPSCALE_A_VIDEO_NEGATIVE = "blur, worst quality"
DIFFVSR_SUFFIX = "clear, high quality, high-resolution, 4K"
DIFFVSR_NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures, worst quality"

_MOST_BYTES = 1 << 20
"""Most bytes of a file of prompts: a larger one was meant to be something else."""
LINE = re.compile(r"(\d{1,9})\s*:(.*)")
_TIME = re.compile(r"\d+:\d+(:\d+)?(\.\d+)?(\s|$)")
LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True)
class PromptBook:
    """Prompts of a run, positive and negative.

    ``per_shot`` is keyed by the number of the shot counted from 0, and wins over ``prompt``.
    """

    prompt: str = ""
    negative: str = ""
    suffix: str = ""
    """Words added to the text of every shot."""
    per_shot: Mapping[int, str] = field(default_factory=dict)

    def for_shot(self, shot: int) -> str:
        """The positive text of a shot, counted from 0, with the suffix."""
        return join_prompt(self.per_shot.get(shot, self.prompt), self.suffix)

    @property
    def tells(self) -> bool:
        """Whether any text differs from the negative one, so that there is something to drive away from."""
        return any(text != self.negative for text in self.all())

    def all(self) -> list[str]:
        """Every text that a run can need, each once: the negative one, the common one, those of the shots in order."""
        shots = [self.for_shot(shot) for shot in sorted(self.per_shot)]
        return list(dict.fromkeys([self.negative, join_prompt(self.prompt, self.suffix), *shots]))


def join_prompt(text: str, suffix: str) -> str:
    """A text with its suffix: ``("A street.", "best quality")`` -> ``"A street, best quality"``.

    An empty part leaves no comma behind.
    """
    text, suffix = text.strip(), suffix.strip(" ,")
    if not (text and suffix):
        return text or suffix
    return f"{text.rstrip(' .,;')}, {suffix}"


def read_prompts(path: str | Path, num_shots: int | None = None) -> dict[int, str]:
    """Prompts of a file in UTF-8, see `parse_prompts`. Raises SettingsError also when it cannot be read."""
    return parse_prompts(_text_of(Path(path)), where=str(path), num_shots=num_shots)


def parse_prompts(text: str, where: str = "prompts", num_shots: int | None = None) -> dict[int, str]:
    """Texts per shot in the format above.

    Args:
        where: what the text is, for sentences.
        num_shots: when it is known, lines for shots that do not exist are refused here; else see `check_shots`.

    Returns:
        Texts by the number of the shot, counted from 0.

    Raises:
        SettingsError: a line is wrong; the sentence has its number.
    """
    found: dict[int, str] = {}
    lines: dict[int, int] = {}
    for number, line in enumerate(LINE_END.split(text), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        here = f"{where}, line {number}"
        shot, words = _parse(line, here)
        if shot in found:
            raise SettingsError(f"{here}: shot {shot + 1} has a text already, in line {lines[shot]}")
        found[shot], lines[shot] = words, number
        check_shots(found, num_shots, here)
    return found


def prompt_lines(per_shot: Mapping[int, str]) -> str:
    """The text that `parse_prompts` reads back."""
    return "\n".join(f"{shot + 1}: {text}" for shot, text in sorted(per_shot.items()))


def check_shots(per_shot: Mapping[int, str], num_shots: int | None, where: str = "the prompts") -> None:
    """Raises SettingsError when a text is for a shot that the input does not have; None: not known, nothing to check.

    ``per_shot`` is keyed from 0, the sentence counts from 1.
    """
    if num_shots is None:
        return
    for shot in per_shot:
        if not 0 <= shot < num_shots:
            has = "1 shot" if num_shots == 1 else f"{num_shots} shots"
            raise SettingsError(f"{where}: there is a text for shot {shot + 1}, but the input has {has}")


def _parse(line: str, where: str) -> tuple[int, str]:
    match = LINE.fullmatch(line)
    if match is None:
        raise SettingsError(
            f"{where}: {_shown(line)} is not of the form NUMBER: TEXT, for instance 3: a street at night"
        )
    if _TIME.match(line):
        raise SettingsError(f"{where}: {_shown(line)} begins with a time; write the number of the shot, counted from 1")
    number, text = int(match[1]), match[2].strip()
    if number < 1:
        raise SettingsError(f"{where}: shots are counted from 1, there is no shot {number}")
    if not text.isprintable():
        raise SettingsError(f"{where}: the text has control characters in it: {_shown(text)}")
    return number - 1, text


def _text_of(path: Path) -> str:
    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise SettingsError(f"{path}: the prompts cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise SettingsError(f"{cut(str(path), 200)}: this is no file of prompts: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}, line {line}: this is not UTF-8; save the file with that encoding") from None


def _shown(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[:most] + "...")
