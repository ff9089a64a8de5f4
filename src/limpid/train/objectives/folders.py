"""Folders of trained weights: what was not trained is linked or copied from where the training began."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limpid import __version__
from limpid.checkpoints.folders import CARD, INDEX, Card, folder_facts, read_card, write_card
from limpid.checkpoints.index import write_model_index
from limpid.train.stage import Stage, Start
from limpid.types import SettingsError, WeightsError


def starting_folder(method: str, accepted: Sequence[str], start: Start, stage: Stage) -> Path:
    """The converted weights from which training of ``method`` starts: the stage's before, or the user's.

    ``accepted``: names of weights that will do, the base model last. Random ones are noted. Raises SettingsError
    without a folder or for clips of another scale, WeightsError for weights of something else.
    """
    folder = start.previous or start.weights
    if folder is None:
        raise SettingsError(f"training {method} starts from weights: give --start with those of {accepted[-1]}")
    if stage.clips.scale != 4:
        raise SettingsError(f"clips shrink {stage.clips.scale} times; {method} enlarges 4 times")
    card = read_card(folder)
    if card.name not in accepted:
        raise WeightsError(f"{folder} has the weights of {card.name}; {method} starts from {' or '.join(accepted)}")
    if card.random:
        start.notes.append(f"the weights in {folder} are random numbers: this is a trial, the result is useless")
    return folder


def copy_rest(source: Path, target: Path, *, without: Sequence[str]) -> None:
    """Everything of ``source`` but card, index and the folders ``without``; hard links where the disk has them."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_file() and name.as_posix() not in (CARD, INDEX) and name.parts[0] not in without:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path, target / name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def finish_folder(
    folder: Path,
    name: str,
    *,
    random: bool,
    started_from: Path,
    notes: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Writes ``limpid.json`` and the index, after which the folder is a set of weights of the method ``name``."""
    before = read_card(started_from)
    trained = f"trained by Limpid {__version__} from the weights of {before.name}"
    card = Card(
        name=name,
        version=__version__,
        licence=before.licence,
        page=before.page,
        random=random,
        sources=before.sources,
        files=folder_facts(folder),
        notes=(*before.notes, trained, *notes),
        defaults={} if defaults is None else defaults,
    )
    write_card(folder, card)
    write_model_index(folder, card)
