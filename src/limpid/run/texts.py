"""The texts of a run made explicit before it begins, so that journal and sidecar hold words and not names of files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from limpid.durable.files import digest_of, write_atomic
from limpid.plan.device import choose_device
from limpid.priors.prompts import check_shots, parse_prompts, prompt_lines, read_prompts
from limpid.run.events import Teller
from limpid.settings import Settings
from limpid.types import Clip, SettingsError, Timeline, Window
from limpid.video import FrameReader, to_tensor

CAPTIONS_NAME = "captions.json"
Captioner = Callable[[list[int]], dict[int, str]]
"""Shots, counted from 0 -> a text for each."""


def with_prompts_read(settings: Settings) -> Settings:
    """The settings with the contents of the file of prompts in place of its name. Raises SettingsError."""
    Settings.refuse(caption=settings.caption, caption_model=settings.caption_model)
    if settings.prompts is None or re.match(r"\s*\d+\s*:", settings.prompts):
        return settings
    return settings.replace(prompts=prompt_lines(read_prompts(settings.prompts)))


def with_captions(
    settings: Settings, num_shots: int, *, identity: object, folder: Path | None, caption: Captioner
) -> Settings:
    """The settings with a text for every shot, by a captioning model where there is none and captions are asked for.

    Captions are kept in the work folder: a resumed run has the same words, and does not load the model again.
    """
    given = parse_prompts(settings.prompts or "")
    check_shots(given, num_shots)
    missing = [shot for shot in range(num_shots) if shot not in given]
    if settings.caption == "off" or not missing:
        return settings.replace(caption="off", caption_model=None)
    key = digest_of([identity, settings.caption_model, missing])
    found = _recall(folder, key)
    if found is None:
        found = caption(missing)
        if folder is not None:
            write_atomic(folder / CAPTIONS_NAME, json.dumps({"key": key, "captions": prompt_lines(found)}))
    texts = {**found, **given}
    return settings.replace(prompts=prompt_lines(texts), caption="off", caption_model=None)


def with_texts(
    settings: Settings,
    clip: Clip,
    timeline: Timeline,
    identity: object,
    folder: Path | None,
    teller: Teller,
) -> Settings:
    """`with_captions` for an input: the middle frame of a shot is what the captioning model sees."""

    def caption(shots: list[int]) -> dict[int, str]:
        from limpid.priors.caption import caption_shots

        if (model := settings.caption_model) is None:
            raise SettingsError("caption auto needs a model: --caption-model, a folder or a name on the hub")
        teller.stage("caption")
        device = choose_device(settings.device)
        bounds = timeline.shots()
        with FrameReader(clip, timeline, deinterlace=settings.deinterlace) as reader:

            def frame(index: int) -> Tensor:
                return to_tensor(list(reader.read(Window(start=index, stop=index + 1))))[0]

            found = caption_shots(frame, [bounds[shot] for shot in shots], model, device)
        return {shots[i]: text for i, text in found.items()}

    return with_captions(settings, len(timeline.shots()), identity=identity, folder=folder, caption=caption)


def _recall(folder: Path | None, key: str) -> dict[int, str] | None:
    if folder is None:
        return None
    try:
        values = json.loads((folder / CAPTIONS_NAME).read_text(encoding="utf-8"))
        return parse_prompts(values["captions"]) if values["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
