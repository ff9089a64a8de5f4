"""What a folder inside the roots holds, for a picker: folders, videos, images, in the order that people expect."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpid.run.places import is_result
from limpid.serve.roots import Roots
from limpid.video import VIDEO_SUFFIXES, is_image_name, is_still_name, natural_key

_ORDER = {"folder": 0, "video": 1, "image": 1}


def list_roots(roots: Roots, uploads: Path) -> dict[str, Any]:
    """The folders where a picker begins."""
    entries = [_entry(root, "folder", name=root_name(root, uploads)) for root in roots.folders if root.is_dir()]
    return {"path": None, "parent": None, "crumbs": [], "clip": False, "entries": entries, "truncated": False}


def list_folder(folder: Path, roots: Roots, uploads: Path, most: int) -> dict[str, Any]:
    """The entries of a folder that can be opened or be an input."""
    root = roots.root_of(folder) or folder
    found = list(_usable(folder, roots))
    kinds = {kind for _, kind in found}
    found.sort(key=lambda each: (_ORDER[each[1]], natural_key(each[0])))
    between = [folder, *folder.parents][: len(folder.parts) - len(root.parts) + 1][::-1]
    return {
        "path": str(folder),
        "parent": None if folder == root else str(folder.parent),
        "crumbs": [
            {"name": root_name(each, uploads) if each == root else each.name, "path": str(each)} for each in between
        ],
        "clip": "image" in kinds and "video" not in kinds,
        "entries": [_entry(path, kind) for path, kind in found[:most]],
        "truncated": len(found) > most,
    }


def root_name(root: Path, uploads: Path) -> str:
    return "Uploads" if root == uploads else root.name or str(root)


def kind_of_name(path: Path) -> str | None:
    """``video`` or ``image`` for names that can be inputs."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return "video"
    return "image" if is_still_name(path) else None


def _usable(folder: Path, roots: Roots) -> Iterator[tuple[Path, str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        kind = _kind(entry, roots)
        if kind is not None:
            yield Path(entry.path), kind


def _kind(entry: os.DirEntry[str], roots: Roots) -> str | None:
    if entry.name.startswith(".") or not _can_be_told(entry.name):
        return None
    try:
        if entry.is_symlink() and not roots.allows(Path(os.path.realpath(entry.path))):
            return None
        if entry.is_dir():
            return "folder"
        return kind_of_name(Path(entry.name)) if entry.is_file() else None
    except OSError:
        return None


def _can_be_told(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _entry(path: Path, kind: str, name: str | None = None) -> dict[str, Any]:
    try:
        found = path.stat()
        size, modified = (None if kind == "folder" else found.st_size), found.st_mtime
    except OSError:
        size, modified = None, None
    is_ours = kind != "folder" and is_result(path)
    about = {"name": name or path.name, "path": str(path), "kind": kind}
    return {**about, "size_bytes": size, "modified_at": modified, "result": is_ours}


def has_images_only(folder: Path) -> bool:
    """Whether a folder is one clip."""
    names = [Path(entry.name) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    return any(map(is_image_name, names)) and not any(name.suffix.lower() in VIDEO_SUFFIXES for name in names)
