"""Stand-in of ``comfy_api.latest``: an extension, and videos that are files."""

from abc import ABC, abstractmethod
from io import BytesIO
from typing import TypeAlias

import av

from comfy_api.latest import io as io
from comfy_api.latest import ui as ui


class ComfyExtension(ABC):
    """What ``comfy_entrypoint`` of a custom node gives."""

    async def on_load(self) -> None:
        return None

    @abstractmethod
    async def get_node_list(self) -> list[type[io.ComfyNode]]: ...


class VideoFromFile:
    """A VIDEO: a file or its bytes, and which part of it."""

    def __init__(self, file: str | BytesIO, *, start_time: float = 0, duration: float = 0) -> None:
        self._file, self._part = file, (start_time, duration)

    def get_stream_source(self) -> str | BytesIO:
        if isinstance(self._file, BytesIO):
            self._file.seek(0)
        return self._file

    def get_active_trim_window(self) -> tuple[float, float]:
        return self._part

    def get_dimensions(self) -> tuple[int, int]:
        with av.open(self.get_stream_source(), mode="r") as container:
            stream = container.streams.video[0]
            return stream.width, stream.height

    def get_duration(self) -> float:
        """Seconds that are left of the file after the start."""
        with av.open(self.get_stream_source(), mode="r") as container:
            return (container.duration or 0) / 1_000_000 - self._part[0]

    def save_to(self, path: str) -> None:
        """Only what a test makes of it: another class, with pixels of its own."""
        raise NotImplementedError


class Input:
    Video: TypeAlias = VideoFromFile


class InputImpl:
    VideoFromFile = VideoFromFile


__all__ = ["ComfyExtension", "Input", "InputImpl", "io", "ui"]
