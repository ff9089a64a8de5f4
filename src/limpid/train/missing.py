"""What a training lacks before it can begin, in sentences: for a dry run, which needs none of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from limpid.train.losses.perceptual import has_perceptual
from limpid.train.stage import Recipe, Stage
from limpid.types import LimpidError

_NAMED = re.compile(r"--(start|latents|assets)\b")


def missing_parts(
    recipe: Recipe, stages: Sequence[Stage], given: Mapping[str, Path | None], keep_out: Collection[str] = ()
) -> list[str]:
    """What is not there of what the recipe needs, and what is wrong with the clips.

    Args:
        stages: those that would run.
        given: the folders of the options data, start, latents and assets.
        keep_out: names in the clips' folder that are not trained on.
    """
    own_start = recipe.make_start is not None
    needs = [need for need in recipe.needs if _is_missing(need, given, own_start=own_start)]
    return [*needs, *dict.fromkeys(wrong for stage in stages for wrong in _clips(stage, given["data"], keep_out))]


def _is_missing(need: str, given: Mapping[str, Path | None], *, own_start: bool) -> bool:
    """A need names the option by which it is met; one that names none is about the clips."""
    named = _NAMED.findall(need)
    if named == ["assets"]:
        return not has_perceptual(given["assets"])
    if not named:
        return given["data"] is None
    return not (own_start and "start" in named) and all(given[name] is None for name in named)


def _clips(stage: Stage, data: Path | None, keep_out: Collection[str]) -> list[str]:
    """Why the clips of a stage cannot be made; nothing where they can."""
    folder = stage.data or data
    if folder is None:
        return ["clips to learn from: videos, frame folders, photos or tar shards (--data)"]
    from limpid.train.data import open_clips

    try:
        open_clips(folder, stage.clips, seed=0, keep_out=keep_out)
    except LimpidError as error:
        return [f"clips of stage {stage.name}: {error}"]
    return []
