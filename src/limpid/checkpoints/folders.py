"""Where converted weights lie, and the ``limpid.json`` in each of their folders."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from limpid.bounded import cut, items, json_object, quoted, read_json, text, truth, whole_number
from limpid.checkpoints.manifest import find_entry, how_to_get
from limpid.types import WeightsError

CARD = "limpid.json"
INDEX = "model_index.json"
"""The card once more, in short and where programs of the Hugging Face world look; see `limpid.checkpoints.index`."""
MAX_CARD_BYTES = 4 << 20
_BLOCK_BYTES = 1 << 20
OnBytes = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Card:
    """What ``limpid.json`` says of a folder of converted weights."""

    name: str
    version: str
    """Version of Limpid that made the folder."""
    licence: str = ""
    page: str = ""
    random: bool = False
    """The weights are random numbers, for tests and measurements of speed."""
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """File of the makers -> its ``sha256`` and ``size``."""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """File of this folder -> its ``sha256`` and ``size``."""
    notes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings that these weights were trained for, where the user chooses none: ``steps``, ``guidance_scale``."""


def weights_root() -> Path:
    """``$LIMPID_WEIGHTS``, or a folder of the user's cache."""
    given = os.environ.get("LIMPID_WEIGHTS")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "limpid" / "weights"


def downloads(name: str) -> Path:
    """Where ``fetch`` puts the files of an entry."""
    return weights_root() / "downloads" / name


def _to_convert(name: str, place: Path) -> str:
    """The sentence for a folder of somebody that holds files, but none that were converted; "" for others."""
    if not place.is_dir() or not any(place.iterdir()):
        return ""
    how = f"limpid weights convert {name} {place}"
    return f"{place} has no converted weights; if it has the makers' files of {name}: {how}"


def installed(name: str, folder: str | Path | None = None) -> Path:
    """The folder with the converted weights of ``name``, by default below `weights_root`.

    Raises WeightsError: one sentence that says what to fetch, from where, how large it is and under which licence.
    """
    place = Path(folder) if folder is not None else weights_root() / name
    if not (place / CARD).is_file():
        told = _to_convert(name, place) if folder is not None else ""
        raise WeightsError(told or f"the weights of {name} are not in {place}: {how_to_get(find_entry(name))}")
    found = read_card(place).name
    if found != name:
        raise WeightsError(f"{place} has the weights of {cut(found)}, not of {name}")
    return place


def read_card(folder: Path) -> Card:
    """``limpid.json`` of a folder. Raises WeightsError."""
    try:
        values = json_object(read_json(folder / CARD, MAX_CARD_BYTES), ("name", "version"))
        known = {name: values[name] for name in Card.__dataclass_fields__ if name in values}
        card = Card(**{**known, "notes": tuple(items(known.get("notes", ()), most=100))})
        _check_card(card)
        return card
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{folder / CARD} is missing or damaged; convert the weights again") from error


def _check_card(card: Card) -> None:
    """Raises ValueError unless everything in a card is of its kind, and every file lies in the folder of the card."""
    for value in (card.name, card.version, card.licence, card.page, *card.notes):
        text(value)
    truth(card.random)
    for name, value in json_object(card.defaults).items():
        if not isinstance(value, int | float | str | bool):
            raise ValueError(f"the default of {quoted(name)} is {quoted(value)}")
    check_files(card.files)
    for facts in json_object(card.sources).values():
        json_object(facts)


def check_files(files: object) -> dict[str, dict[str, Any]]:
    """Files with their facts, as a card has them. Raises ValueError unless all lie in the folder of the card."""
    found = json_object(files)
    for name, facts in found.items():
        parts = PurePosixPath(text(name)).parts
        if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in name:
            raise ValueError(f"{quoted(name)} does not lie in the folder")
        if not isinstance(json_object(facts, ("sha256", "size"))["sha256"], str):
            raise ValueError(f"the hash of {quoted(name)} is none")
        whole_number(facts["size"])
    return found


def write_card(folder: Path, card: Card) -> None:
    text = json.dumps({**asdict(card), "notes": list(card.notes)}, indent=2, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def weights_digest(folder: Path) -> str:
    """One hash for all files of a folder of converted weights, from ``limpid.json``: nothing large is read."""
    digest = hashlib.sha256()
    for name, facts in sorted(read_card(folder).files.items()):
        digest.update(f"{name}\0{facts['sha256']}\n".encode())
    return digest.hexdigest()


def file_facts(path: Path, on_bytes: OnBytes | None = None) -> dict[str, Any]:
    """Hash and size of a file. Raises WeightsError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                if on_bytes is not None:
                    on_bytes(len(block))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    return {"sha256": digest.hexdigest(), "size": path.stat().st_size}


def folder_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Hash and size of every file in a folder but card and index, by its name with forward slashes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (CARD, INDEX))
    return {path.relative_to(folder).as_posix(): file_facts(path) for path in files}


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty folder beside ``target`` that gets its name at the end, and vanishes when anything goes wrong.

    Raises WeightsError when ``target`` exists and is not to be replaced, or holds something else than weights.
    """
    target = target.absolute()
    if target.exists() and not (overwrite and (target / CARD).is_file()):
        hint = "--overwrite replaces it" if (target / CARD).is_file() else "choose another name"
        raise WeightsError(f"{target} exists; {hint}")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _take_place(unfinished, target)
    except OSError as error:
        raise WeightsError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _take_place(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
