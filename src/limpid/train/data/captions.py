"""Captions of sources: a ``.txt`` beside the file or in the shard, or a table for the whole folder."""

from __future__ import annotations

import csv
from pathlib import Path

from limpid.train.data.sources import Source
from limpid.train.data.tars import read_member
from limpid.types import InputError

TABLE = "captions.csv"
KEY_COLUMNS = ("file", "path", "video", "videoid", "key")
TEXT_COLUMNS = ("caption", "text", "prompt", "name")
"""WebVid calls its captions names."""


def read_table(folder: Path) -> dict[str, str]:
    """``captions.csv`` of a folder, by file name, path or key; empty where there is none.

    Raises `InputError` when it has no column of `KEY_COLUMNS` or none of `TEXT_COLUMNS`.
    """
    path = folder / TABLE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        names = rows.fieldnames or []
        key = next((name for name in KEY_COLUMNS if name in names), None)
        text = next((name for name in TEXT_COLUMNS if name in names), None)
        if key is None or text is None:
            wanted = f"one of {', '.join(KEY_COLUMNS)} and one of {', '.join(TEXT_COLUMNS)}"
            raise InputError(f"{path}: needs a header with {wanted}, not {', '.join(names) or 'nothing'}")
        return {row[key]: (row[text] or "").strip() for row in rows if row[key]}


def caption_of(source: Source, table: dict[str, str]) -> str:
    """The caption of a source; empty where it has none."""
    inside = next((member for member in source.members if member.suffix == ".txt"), None)
    if inside is not None:
        return read_member(source.path, inside).decode("utf-8", "replace").strip()
    beside = source.path.with_suffix(".txt") if source.kind != "frames" else Path(f"{source.path}.txt")
    if not source.members and beside.is_file():
        return beside.read_text("utf-8", "replace").strip()
    last = source.name.rpartition("/")[2]
    return next((table[name] for name in (source.name, last, Path(last).stem) if name in table), "")
