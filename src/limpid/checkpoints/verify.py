"""Whether a folder of converted weights is still what the converter wrote."""

from __future__ import annotations

from pathlib import Path

from limpid.checkpoints.folders import CARD, OnBytes, file_facts, read_card


def changed_files(folder: Path, on_bytes: OnBytes | None = None) -> list[str]:
    """Every file that is missing, has changed or was not there: ``"unet/config.json has changed"``.

    Raises WeightsError when ``limpid.json`` is missing or damaged.
    """
    card, problems = read_card(folder), []
    for name, facts in sorted(card.files.items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != facts["size"] or file_facts(path, on_bytes)["sha256"] != facts["sha256"]:
            problems.append(f"{name} has changed")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    problems += [f"{name} was not there" for name in sorted(found - set(card.files) - {CARD})]
    return problems
