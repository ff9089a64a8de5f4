"""Whether a folder of converted weights is still what the converter wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limpid.checkpoints.folders import CARD, INDEX, OnBytes, file_facts, read_card


def changed_files(folder: Path, on_bytes: OnBytes | None = None) -> list[str]:
    """Every file that is missing, has changed or was not there: ``"unet/config.json has changed"``.

    Raises WeightsError when ``limpid.json`` is missing or damaged.
    """
    card = read_card(folder)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    new = sorted(found - set(card.files) - {CARD, INDEX})
    return [*broken_files(folder, card.files, on_bytes), *(f"{name} was not there" for name in new)]


def broken_files(
    folder: Path, files: Mapping[str, Mapping[str, Any]], on_bytes: OnBytes | None = None, *, hashed: bool = True
) -> Iterator[str]:
    """The files of a card that are missing or have changed; by their sizes alone unless ``hashed``."""
    for name, facts in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != facts["size"] or (
            hashed and file_facts(path, on_bytes)["sha256"] != facts["sha256"]
        ):
            yield f"{name} has changed"
