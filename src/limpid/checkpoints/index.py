"""``model_index.json`` of a folder of weights: which method they are for, which Limpid wrote them, files with hashes.

It stands where diffusers has the index of a pipeline, so that a folder or a repository on a hub says what it is before
anything else of it is read. What methods themselves read is the card, ``limpid.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.bounded import json_object, quoted, read_json, text
from limpid.checkpoints.folders import INDEX, MAX_CARD_BYTES, Card, check_files
from limpid.types import WeightsError

PIPELINE = "LimpidPipeline"
"""The class that reads such a folder, as diffusers writes it."""


@dataclass(frozen=True, kw_only=True)
class ModelIndex:
    """What ``model_index.json`` says."""

    method: str
    version: str
    """Version of Limpid that wrote it."""
    files: Mapping[str, Mapping[str, Any]]
    """File of the folder -> its ``sha256`` and ``size``."""


def write_model_index(folder: Path, card: Card) -> None:
    """Writes the index of a folder that has this card."""
    values = {"_class_name": PIPELINE, "_limpid_version": card.version, "method": card.name, "files": dict(card.files)}
    (folder / INDEX).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_model_index(path: Path) -> ModelIndex:
    """The index in a file. Raises WeightsError when it is not there, damaged, or of another pipeline."""
    try:
        values = json_object(read_json(path, MAX_CARD_BYTES), ("_class_name",))
        if values["_class_name"] != PIPELINE:
            raise WeightsError(
                f"{path} is of the pipeline {quoted(values['_class_name'])}; limpid weights convert makes a folder for "
                f"{PIPELINE}"
            )
        known = json_object(values, ("method", "_limpid_version", "files"))
        files = check_files(known["files"])
        return ModelIndex(method=text(known["method"]), version=text(known["_limpid_version"]), files=files)
    except FileNotFoundError:
        raise WeightsError(f"{path} is not there; limpid weights convert writes it") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged ({error}); convert the weights again") from error
