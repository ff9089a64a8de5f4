"""Writing errors of FFmpeg and the operating system as one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av

from limpid.durable.files import output_error


def reason_of(error: Exception) -> str:
    """What FFmpeg says, without the name of the temporary file that it is about."""
    return str(getattr(error, "strerror", None) or error)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns OSError and FFmpeg's errors inside the block into `OutputError` about ``path``."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise output_error(path, error if isinstance(error, OSError) else OSError(0, str(error))) from error
    except OSError as error:
        raise output_error(path, error) from error
