"""Whether a folder of converted weights is whole and fits the networks."""

from __future__ import annotations

import json
from pathlib import Path

from limpid.checkpoints.folders import OnBytes, read_card
from limpid.checkpoints.renames import compare
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.checkpoints.verify import changed_files
from limpid.networks.by_name import WEIGHTS_FILE, make_network, shapes_of
from limpid.types import WeightsError


def verify_weights(folder: Path, on_bytes: OnBytes | None = None) -> list[str]:
    """What is wrong with a folder, in sentences; an empty list when it is whole.

    All files are hashed again, and names and shapes of tensors are compared with the networks of the configurations.
    Raises WeightsError when ``limpid.json`` is missing or damaged.
    """
    problems = changed_files(folder, on_bytes)
    for name in sorted(read_card(folder).files):
        if Path(name).name == WEIGHTS_FILE and (folder / name).is_file():
            problems += misfits((folder / name).parent)
    return problems


def misfits(folder: Path) -> list[str]:
    """What keeps the tensors of a network's folder from fitting its ``config.json``."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        wanted = shapes_of(make_network(str(config.get("_class_name")), config))
        found = {name: tensor.shape for name, tensor in SafetensorsFile(folder / WEIGHTS_FILE).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return [f"{folder.name}/config.json is not usable: {error}"]
    except WeightsError as error:
        return [str(error)]
    mismatch = compare(found, wanted)
    return [f"{folder.name} does not fit its config.json: {mismatch.sentence()}"] if mismatch else []
