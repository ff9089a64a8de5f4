"""Writing that survives a crash: fsync, atomic rename, hashes of files, and what errors of the disk mean."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limpid.types import OutputError

BLOCK_BYTES = 1 << 20
NAME_BYTES = 255
"""The longest name of a file that common file systems take."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CANNOT_SYNC = {errno.EINVAL, errno.EBADF, errno.EACCES, errno.EISDIR, getattr(errno, "ENOTSUP", errno.EINVAL)}
"""What file systems answer that have no way to make the entries of a folder durable."""
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    getattr(errno, "EDQUOT", -1): "your disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file grew larger than this file system or limit allows",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the folder does not exist (any more)",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "there is a link where Limpid needs a file or folder of its own",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """The one sentence for an error of the operating system or of FFmpeg while writing ``path``."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{path}: cannot be written: {reason}")


def is_disk_error(error: Exception) -> bool:
    """Whether FFmpeg or the operating system could not write at all, so that trying another packet is no use."""
    return isinstance(error, OSError) and error.errno in _REASONS


def exists_error(output: Path) -> OutputError:
    """What a user is told who has not asked to overwrite."""
    return OutputError(f"{output} exists already: choose another name or pass --overwrite")


def fsync_path(path: Path) -> None:
    """Make a file, or the entries of a folder, durable. File systems that cannot sync folders are left alone."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if is_folder or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_folder or error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def open_own(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file of Limpid's own for writing: neither a link nor a pipe, and under no second name elsewhere.

    Raises OutputError for what was planted there, OSError otherwise.
    """
    try:
        descriptor = os.open(path, flags | _NO_LINK | getattr(os, "O_NONBLOCK", 0), 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise planted_error(path) from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise planted_error(path)
    return descriptor


def planted_error(path: Path) -> OutputError:
    """Something of a kind that Limpid never makes lies where it would write or delete."""
    return OutputError(
        f"{path} is not what Limpid puts there (a link, a pipe, a device or a folder); look at it, remove it"
    )


def clear_temporary(path: Path) -> None:
    """Make room for a temporary file or folder: what a killed run left is deleted. Raises OutputError for others."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise planted_error(path)
    remove(path)


def write_atomic(path: Path, text: str, *, via: Path | None = None) -> None:
    """Write a text file so that it is there whole or not at all, also after a power cut.

    ``via``: the folder, on the same disk, of the temporary file; by default that of ``path``.
    """
    temporary = hidden_name((via or path.parent) / path.name, f"{os.getpid()}.partial")
    try:
        remove(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        discard(temporary)
    fsync_path(path.parent)


def move_durably(source: Path, target: Path) -> None:
    """Rename a finished file or folder over whatever an earlier crash left at ``target``."""
    replace_by(source, target)
    fsync_path(target.parent)


def replace_by(source: Path, target: Path) -> None:
    """Rename a file or folder over a file or folder; durable once the folder around it is."""
    if target.is_dir():
        remove(target)
    source.replace(target)


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """Hash of a file, or of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    if path.is_dir():
        for entry in sorted(path.iterdir(), key=lambda entry: entry.name):
            digest.update(f"{entry.name}\0{sha256_of(entry)}\n".encode(errors="surrogateescape"))
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
    """Delete a file or folder if it is there. Links are deleted, never followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """`remove` where something else has gone wrong already, or nothing depends on it; never raises."""
    with contextlib.suppress(OSError):
        remove(path)


def hidden_name(path: Path, kind: str) -> Path:
    """``.NAME.kind`` beside ``path``; of a name that is too long for that its beginning and a hash."""
    name = f".{path.name}.{kind}"
    if len(os.fsencode(name)) > NAME_BYTES:
        mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        room = NAME_BYTES - len(os.fsencode(f".{mark}..{kind}"))
        name = f".{os.fsencode(path.name)[:room].decode(errors='ignore')}.{mark}.{kind}"
    return path.with_name(name)


def temporary_name(output: Path) -> Path:
    """A hidden name beside ``output``, always the same: a killed run leaves at most one, and the next run reuses it."""
    return hidden_name(output, "limpid-part")


def publish(temporary: Path, output: Path, *, overwrite: bool) -> None:
    """Gives the finished ``temporary`` file its name, atomically and durably; never replaces a file unasked."""
    fsync_path(temporary)
    if overwrite:
        temporary.replace(output)
    else:
        rename_new(temporary, output)
    fsync_path(output.parent)


def rename_new(temporary: Path, output: Path) -> None:
    """Rename a file unless ``output`` exists; then raises OutputError."""
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise exists_error(output) from None
    except OSError:  # no hard links here (FAT, some network shares): the gap between look and rename is tiny
        if os.path.lexists(output):
            raise exists_error(output) from None
        temporary.replace(output)
    else:
        temporary.unlink()


def digest_of(values: Any) -> str:
    """Hash of plain JSON values, the same on every machine."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def folder_fingerprint(folder: Path) -> str:
    """Hash of names and sizes of all files below a folder (or of one file): cheap, and enough to notice a change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
    named: list[Any] = [[str(path.relative_to(folder.parent)), path.stat().st_size] for path in files]
    return digest_of(named)


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
