"""Frames stored exactly: what is read back is what was written, to the last bit of the 8."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np

from limpid.durable.files import clear_temporary, discard, exists_error, publish, temporary_name
from limpid.types import OutputError
from limpid.video.files import writing
from limpid.video.opening import open_output
from limpid.video.segments import BITEXACT
from limpid.video.stills import check_replaceable, replace_folder

FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
_H264 = ("libx264rgb", "rgb24", {"qp": "0", "preset": "veryfast"})
_FFV1 = ("ffv1", "bgr0", {"level": "3", "slicecrc": "1"})
_GLOBAL_HEADER, _BITEXACT = 1 << 22, 1 << 23


class LosslessWriter:
    """Writes RGB uint8 frames ``h w 3``, one by one; use as a context manager.

    ``.mkv`` is FFV1; ``.mp4`` and ``.mov`` are H.264 in RGB without loss, which FFmpeg reads and some players do not; a
    name without a suffix is a folder of PNG images. The result gets its name when all is written, and an error leaves
    nothing behind. Raises `OutputError` for other names, for what exists unless ``overwrite``, and for a full disk.
    """

    def __init__(self, output: Path, *, fps: Fraction, time_base: Fraction, overwrite: bool = False) -> None:
        self._output, self._overwrite = output, overwrite
        self._part = temporary_name(output)
        self._fps, self._time_base = fps, time_base
        self._container: Any = None
        self._stream: Any = None
        self._count = 0
        check_lossless_output(output, overwrite=overwrite)

    def __enter__(self) -> Self:
        with writing(self._output):
            clear_temporary(self._part)
            if self._is_folder:
                self._part.mkdir()
            else:
                name = FORMATS[self._output.suffix.lower()]
                self._container = open_output(self._part, name, container_options=dict(BITEXACT))
        return self

    @property
    def _is_folder(self) -> bool:
        return self._output.suffix.lower() not in FORMATS

    def write(self, frame: np.ndarray, pts: int) -> None:
        """Append a frame, shown at ``pts`` (in ``time_base``, from 0, increasing)."""
        with writing(self._output):
            if self._is_folder:
                self._write_image(frame)
            else:
                self._write_frame(frame, pts)
        self._count += 1

    def _write_image(self, frame: np.ndarray) -> None:
        done, data = cv2.imencode(".png", frame[..., ::-1])
        assert done
        (self._part / f"{self._count:08d}.png").write_bytes(data.tobytes())

    def _write_frame(self, frame: np.ndarray, pts: int) -> None:
        if self._stream is None:
            self._stream = self._open_stream(*frame.shape[:2])
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts, picture.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(picture))

    def _open_stream(self, height: int, width: int) -> Any:
        codec, pix_fmt, options = _FFV1 if self._output.suffix.lower() == ".mkv" else _H264
        rate = self._fps.limit_denominator(2**30)
        stream = self._container.add_stream(codec, rate=rate, options=dict(options), time_base=self._time_base)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.flags |= _GLOBAL_HEADER | _BITEXACT
        context.time_base, context.colorspace, context.color_range = self._time_base, 0, 2
        return stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with contextlib.suppress(Exception):
                if self._container is not None:
                    self._container.close()
            discard(self._part)

    def _finish(self) -> None:
        with writing(self._output):
            if self._is_folder:
                replace_folder(self._part, self._output)
                return
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            publish(self._part, self._output, overwrite=self._overwrite)


def check_lossless_output(output: Path, *, overwrite: bool) -> None:
    """Raises `OutputError` where `LosslessWriter` could not write."""
    suffix = output.suffix.lower()
    if suffix in FORMATS:
        if output.is_dir():
            raise OutputError(f"{output} is a folder; a video needs another name")
        if output.exists() and not overwrite:
            raise exists_error(output)
        return
    if suffix and not output.is_dir():
        known = ", ".join(FORMATS)
        raise OutputError(f"{output}: {suffix} cannot be written: use {known}, or a name without a suffix for images")
    check_replaceable(output, overwrite=overwrite)
