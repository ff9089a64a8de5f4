"""The package `ncnn`, an extra of Limpid, asked for where it is first needed; and the Vulkan devices that it sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from limpid.types import SettingsError

VULKAN = "vulkan"
"""How names of devices begin that only ncnn can use: ``vulkan``, ``vulkan:1``."""


def import_ncnn(what: str) -> Any:
    """The package. Raises SettingsError, which names ``what`` needs it, where it is not installed."""
    try:
        return import_module("ncnn")
    except ImportError as error:
        raise SettingsError(
            f"{what} needs the package ncnn, which is not here: pip install ncnn, or limpid-video[ncnn]"
        ) from error


def has_ncnn() -> bool:
    """Whether the package is installed; it is not loaded."""
    try:
        return find_spec("ncnn") is not None
    except ValueError:  # a module of that name that was never found in a file
        return False


def ncnn_version() -> str:
    """The installed version of the package, which belongs to what decides the bytes of a result."""
    try:
        return version("ncnn")
    except PackageNotFoundError:
        return "unknown"


@cache
def vulkan_devices() -> tuple[str, ...]:
    """Names of the Vulkan devices, in the order of their numbers; none where there is no driver.

    ncnn prints what it finds to the process's standard error, which is nobody's business here.
    """
    ncnn = import_ncnn("a Vulkan device")
    with _quiet_stderr():
        return tuple(str(ncnn.get_gpu_info(index).device_name()) for index in range(ncnn.get_gpu_count()))


def vulkan_index(device: str) -> int:
    """The number of a device called ``vulkan`` or ``vulkan:N``. Raises SettingsError when there is no such device."""
    index, found = int(device.partition(":")[2] or 0), vulkan_devices()
    if index < len(found):
        return index
    if not found:
        raise SettingsError(f"device is {device}, but no Vulkan driver answers; use --device cpu")
    raise SettingsError(
        f"device is {device}, but there are {len(found)} Vulkan devices; the last one is {VULKAN}:{len(found) - 1}"
    )


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
