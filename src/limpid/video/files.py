"""Safe files: temporary names, durable publishing, and writing errors as sentences."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import av

from limpid.types import OutputError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "your disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file grew larger than this file system or limit allows",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def output_error(path: Path, error: OSError) -> OutputError:
    """The one sentence for an error of the operating system or of FFmpeg while writing ``path``."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{path}: cannot be written: {reason}")


def is_disk_error(error: Exception) -> bool:
    """Whether FFmpeg or the operating system could not write at all, so that trying another packet is no use."""
    return isinstance(error, OSError) and error.errno in _REASONS


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns OSError and FFmpeg's errors inside the block into `OutputError` about ``path``."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise output_error(path, error if isinstance(error, OSError) else OSError(0, str(error))) from error
    except OSError as error:
        raise output_error(path, error) from error


def fsync_folder(folder: Path) -> None:
    """Makes renames inside ``folder`` durable; a file system that cannot do that is left alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Makes the bytes of ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file or folder if it is there; never raises."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def temporary_name(output: Path) -> Path:
    """A hidden name beside ``output``, always the same: a killed run leaves at most one, and the next run reuses it."""
    return output.with_name(f".{output.name[:180]}.limpid-part")


def publish(temporary: Path, output: Path, *, overwrite: bool) -> None:
    """Gives the finished ``temporary`` file its name, atomically and durably; never replaces a file unasked."""
    fsync_file(temporary)
    if overwrite:
        temporary.replace(output)
    else:
        _rename_new(temporary, output)
    fsync_folder(output.parent)


def _rename_new(temporary: Path, output: Path) -> None:
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise exists_error(output) from None
    except OSError:  # no hard links here (FAT, some network shares): the gap between look and rename is tiny
        if output.exists():
            raise exists_error(output) from None
        temporary.replace(output)
    else:
        temporary.unlink()


def exists_error(output: Path) -> OutputError:
    """What a user is told who has not asked to overwrite."""
    return OutputError(f"{output} exists already: choose another name or pass --overwrite")
