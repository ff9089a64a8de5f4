"""Captions of sources: a ``.txt`` beside the file or in the shard, or a table for the whole folder."""

from __future__ import annotations

import csv
from pathlib import Path

from limpid.train.data.sources import ClipSource, json_facts
from limpid.train.data.tars import read_member
from limpid.types import InputError

TABLES = ("captions.csv", "OpenVid-1M.csv", "data/train/OpenVid-1M.csv", "results_*.csv")
"""The first that is there is used: ours, that of OpenVid, that of WebVid."""
KEY_COLUMNS = ("file", "path", "video", "videoid", "key")
TEXT_COLUMNS = ("caption", "text", "prompt", "name")
"""WebVid calls its captions names."""


def read_table(folder: Path) -> dict[str, str]:
    """The table of a folder (`TABLES`), by file name, path or key; empty where there is none.

    Raises `InputError` when it has no column of `KEY_COLUMNS` or none of `TEXT_COLUMNS`.
    """
    path = next((path for pattern in TABLES for path in sorted(folder.glob(pattern))), None)
    if path is None:
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


def caption_of(source: ClipSource, table: dict[str, str]) -> str:
    """The caption of a source; empty where it has none."""
    inside = {member.suffix: member for member in source.members}
    if ".txt" in inside:
        return read_member(source.path, inside[".txt"]).decode("utf-8", "replace").strip()
    if ".json" in inside:
        return str(json_facts(source).get("caption", "")).strip()
    beside = source.path.with_suffix(".txt") if source.kind != "frames" else Path(f"{source.path}.txt")
    if not source.members and beside.is_file():
        return beside.read_text("utf-8", "replace").strip()
    last = source.name.rpartition("/")[2]
    return next((table[name] for name in (source.name, last, Path(last).stem) if name in table), "")
