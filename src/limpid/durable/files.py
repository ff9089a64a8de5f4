"""Writing that survives a crash: fsync, atomic rename, and hashes of files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCK_BYTES = 1 << 20


def fsync_path(path: Path) -> None:
    """Make a file, or the entries of a folder, durable. Where folders cannot be synced (Windows) nothing is done."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, flags if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)


def move_durably(source: Path, target: Path) -> None:
    """Rename a finished file or folder over whatever an earlier crash left at ``target``."""
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)
    fsync_path(target.parent)


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """Hash of a file, or of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    if path.is_dir():
        for entry in sorted(path.iterdir(), key=lambda entry: entry.name):
            digest.update(f"{entry.name}\0{sha256_of(entry)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if on_bytes is not None:
                on_bytes(len(block))
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in path.iterdir() if entry.is_file())
    return path.stat().st_size


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest_of(values: Any) -> str:
    """Hash of plain JSON values, the same on every machine."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def existing_parent(path: Path) -> Path:
    """The nearest folder above (or at) ``path`` that exists."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def free_text(path: Path) -> str:
    """How much is free where ``path`` is, for people."""
    return f"{bytes_text(shutil.disk_usage(existing_parent(path)).free)} are free"


def bytes_text(count: float) -> str:
    """Bytes for people: ``3.2 GiB``."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"
