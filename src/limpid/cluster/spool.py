"""Frames that wait on the disk of a worker: they come faster than they are computed, and memory is scarce."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from limpid.durable.files import discard
from limpid.types import VideoFrame, Window


class _Place(NamedTuple):
    offset: int
    dtype: str
    shape: tuple[int, ...]


class SpoolClosedError(Exception):
    """The frames that are waited for will not come."""


class Spool:
    """One file of raw frames, written in order by one thread and read by another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b", buffering=0)
        self._places: dict[int, _Place] = {}
        self._end = 0
        self._closed = False
        self._changed = threading.Condition()

    def add(self, frames: Sequence[VideoFrame]) -> None:
        """Frames that come after the spool was closed are dropped. Raises OSError when the disk is full."""
        for frame in frames:
            data = np.ascontiguousarray(frame.pixels)
            with self._changed:
                if self._closed:
                    return
                self._write(data)
                self._places[frame.index] = _Place(self._end, data.dtype.str, data.shape)
                self._end += data.nbytes
                self._changed.notify_all()

    def _write(self, data: np.ndarray) -> None:
        left = data.reshape(-1).view(np.uint8).data
        self._file.seek(self._end)
        while left:
            left = left[self._file.write(left) :]

    def read(self, window: Window) -> list[VideoFrame]:
        """The frames of a window, waiting for them. Raises SpoolClosedError where the spool was closed."""
        return [self._read(index) for index in range(window.start, window.stop)]

    def _read(self, index: int) -> VideoFrame:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or index in self._places)
            if self._closed:
                raise SpoolClosedError
            place = self._places[index]
        count = int(np.prod(place.shape))
        pixels = np.fromfile(self._path, place.dtype, count, offset=place.offset).reshape(place.shape)
        pixels.flags.writeable = False
        return VideoFrame(index, pixels)

    def close(self) -> None:
        """Deletes the file; who waits for frames is told that none come."""
        with self._changed:
            self._closed = True
            self._file.close()
            self._changed.notify_all()
        discard(self._path)
