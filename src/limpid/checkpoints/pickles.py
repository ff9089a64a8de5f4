"""Files that ``torch.save`` wrote, read without running what is in them.

Both formats are read, the zip archive (since torch 1.6) and the older one, memory-mapped: a tensor's numbers come from
the disk when they are looked at. Names in the file are compared with a short list of functions that rebuild tensors;
everything else becomes an inert `Placeholder` (see `limpid.checkpoints.opcodes`).
"""

from __future__ import annotations

import io
import math
import mmap
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limpid.bounded import cut, quoted
from limpid.checkpoints.opcodes import PLAIN, Placeholder, run_pickle
from limpid.checkpoints.sniff import what_else
from limpid.types import WeightsError

MAX_PICKLE_BYTES = 256 << 20
"""Structure without numbers: a checkpoint of 1000 tensors has some 100 kB."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LOCAL_HEADER_BYTES = 30
MAX_ITEM_BYTES = 8
MAX_ENTRIES = 200_000
"""Entries of an archive, at most; the largest released checkpoints have some thousand."""
MAX_DIMENSIONS = 16
MAX_LENGTH = 1 << 48
MAX_VIEWS = 4
"""Tensors may share numbers; all of them together are not so many times larger than the file."""
DAMAGED = (
    *(ValueError, RuntimeError, zipfile.BadZipFile, NotImplementedError, LookupError, TypeError, AttributeError),
    *(OverflowError, EOFError, MemoryError, struct.error),
)
"""What reading a broken file may raise, in the libraries that do it."""

_DTYPES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NAMED_DTYPES = {str(dtype): dtype for dtype in _DTYPES.values()}


def read_pickle(path: Path) -> Any:
    """What ``torch.save`` put into the file; tensors are memory-mapped and on the CPU, writing to them is private.

    Objects of classes that are not known become placeholders that do nothing; nothing is imported, nothing called.
    Raises WeightsError when the file is missing, truncated, damaged or something else.
    """
    data = map_file(path)
    try:
        if data[:2] == b"PK":
            return _read_zip(path, data)
        other = what_else(data[:4096])
        if other is not None:
            raise ValueError(other)
        return _read_legacy(data)
    except DAMAGED as error:
        raise WeightsError(f"{path} cannot be read: {cut(' '.join(str(error)[:4000].split()), 300)}") from error


def map_file(path: Path) -> mmap.mmap:
    """The whole file, copied on write. Raises WeightsError."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except ValueError as error:
        raise WeightsError(f"{path} is empty; the download or copy failed") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


# ---------------------------------------------------------------------------------------------- storages


@dataclass(frozen=True, slots=True)
class _DType:
    """A storage class of torch by the kind of its numbers; None: bytes, whose kind comes with the tensor."""

    dtype: torch.dtype | None


@dataclass(frozen=True, slots=True)
class _Storage:
    """Where the numbers of one or more tensors lie; the start is unknown in a first pass over the old format."""

    key: str
    dtype: torch.dtype | None
    start: int | None
    count: int
    offset: int = 0


class _Storages:
    """Makes tensors out of a mapped file."""

    def __init__(self, data: mmap.mmap, starts: Mapping[str, tuple[int, int]] | None) -> None:
        """``starts``: key -> first byte and number of bytes; None when only the storages are to be listed."""
        self.data, self.starts = data, starts
        self.mapped: dict[tuple[int, int], torch.Tensor] = {}
        self.left = MAX_VIEWS * len(data)
        """Bytes of tensors that may still be asked for."""
        self.seen: dict[str, tuple[torch.dtype | None, int]] = {}

    def table(self) -> dict[str, Any]:
        """What the pickle may name."""
        names: dict[str, Any] = {f"torch {name}": _DType(dtype) for name, dtype in _DTYPES.items()}
        names |= {f"torch.storage {name}": _DType(dtype) for name, dtype in _DTYPES.items()}
        names |= {"torch.storage UntypedStorage": _DType(None), "torch UntypedStorage": _DType(None)}
        names |= {name.replace(".", " "): dtype for name, dtype in NAMED_DTYPES.items()}
        names["torch Size"] = _size
        names["torch._utils _rebuild_tensor"] = self.tensor
        names["torch._utils _rebuild_tensor_v2"] = self.tensor
        names["torch._utils _rebuild_tensor_v3"] = self.tensor_of_kind
        names["torch._utils _rebuild_parameter"] = _parameter
        names["torch._utils _rebuild_parameter_with_state"] = _parameter
        names["torch.nn.parameter Parameter"] = _parameter
        return names | PLAIN

    def persistent(self, identity: Any) -> Any:
        """A storage as the pickle refers to it: ("storage", class, key, device, count[, view])."""
        if not (isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"):
            return Placeholder("outside object")
        _, kind, key, _, count, *view = identity
        if not (isinstance(kind, _DType) and isinstance(key, str) and type(count) is int and 0 <= count < MAX_LENGTH):
            raise ValueError("it has numbers of a kind that is not known")
        self.seen[key] = (kind.dtype, count)
        if len(self.seen) > MAX_ENTRIES:
            raise ValueError("it has more storages than any checkpoint")
        offset = 0
        if view and view[0] is not None:
            _, offset, count = view[0]
            _whole_numbers((offset, count))
        return _Storage(key, kind.dtype, self._start(key, kind.dtype, offset + count), count, offset)

    def _start(self, key: str, dtype: torch.dtype | None, count: int) -> int | None:
        if self.starts is None:
            return None
        if key not in self.starts:
            raise ValueError(f"the numbers of storage {quoted(key)} are missing")
        start, size = self.starts[key]
        if count * (dtype.itemsize if dtype is not None else 1) > size:
            raise ValueError(f"storage {quoted(key)} is shorter than it should be")
        return start

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
        """``torch._utils._rebuild_tensor_v2``; requires_grad and hooks are dropped."""
        return self._make(storage, getattr(storage, "dtype", None), offset, size, stride)

    def tensor_of_kind(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
        """``torch._utils._rebuild_tensor_v3``: after requires_grad and hooks comes the dtype."""
        dtype = rest[2] if isinstance(rest[2], torch.dtype) else None
        return self._make(storage, dtype, offset, size, stride)

    def _make(self, storage: Any, dtype: torch.dtype | None, offset: Any, size: Any, stride: Any) -> Any:
        if not isinstance(storage, _Storage) or dtype is None:
            return Placeholder("tensor")
        size, stride = _whole_numbers(size), _whole_numbers(stride)
        if storage.start is None:
            return None
        unit = storage.dtype.itemsize if storage.dtype is not None else 1
        count = storage.count * unit // dtype.itemsize
        _check_bounds(size, stride, offset, count)
        self.left -= max(math.prod(size), storage.start % MAX_ITEM_BYTES and count) * dtype.itemsize
        if self.left < 0:
            raise ValueError("its tensors together are far larger than the file")
        flat = self._bytes(storage.start + storage.offset * unit, count * dtype.itemsize)
        return flat.view(dtype).as_strided(size, stride, offset)

    def _bytes(self, start: int, size: int) -> torch.Tensor:
        """A part of the file as a storage of its own, the same one each time; a copy where it is not aligned."""
        if (start, size) not in self.mapped:
            part = torch.frombuffer(self.data, dtype=torch.uint8, count=size, offset=start) if size else torch.empty(0)
            self.mapped[start, size] = part.clone() if start % MAX_ITEM_BYTES else part.to(torch.uint8)
        return self.mapped[start, size]


def _whole_numbers(values: Any) -> tuple[int, ...]:
    short = isinstance(values, tuple) and len(values) <= MAX_DIMENSIONS
    if not (short and all(type(value) is int and 0 <= value < MAX_LENGTH for value in values)):
        raise ValueError("a tensor without a sound shape")
    return tuple(values)


def _check_bounds(size: Sequence[int], stride: Sequence[int], offset: Any, count: int) -> None:
    if type(offset) is not int or offset < 0 or len(size) != len(stride):
        raise ValueError("a tensor without a sound shape")
    elements, last = 1, offset
    for length, step in zip(size, stride, strict=True):
        elements *= length
        last += (length - 1) * step
    if elements and (last >= count or elements > count):
        raise ValueError("a tensor reaches beyond its numbers")


def _size(values: Any = ()) -> tuple[int, ...]:
    return _whole_numbers(values)


def _parameter(data: Any = None, *_: Any) -> Any:
    return data


# ---------------------------------------------------------------------------------------------- the zip format


def _read_zip(path: Path, data: mmap.mmap) -> Any:
    try:
        archive = zipfile.ZipFile(path)
    except (*DAMAGED, OSError) as error:
        raise ValueError("it is truncated or damaged (its table of contents at the end is missing)") from error
    with archive:
        if len(archive.infolist()) > MAX_ENTRIES:
            raise ValueError(f"it has {len(archive.infolist())} entries, far too many")
        entries = {entry.filename: entry for entry in archive.infolist()}
        names = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it is an archive, but not one that torch.save wrote (it has no data.pkl)")
        prefix = names[0].removesuffix("data.pkl")
        order = _entry_bytes(data, entries[f"{prefix}byteorder"]) if f"{prefix}byteorder" in entries else b"little"
        if order != b"little":
            raise ValueError("its numbers are stored with the high byte first")
        places = {
            name.removeprefix(f"{prefix}data/"): _place(data, entry)
            for name, entry in entries.items()
            if name.startswith(f"{prefix}data/")
        }
        program = _entry_bytes(data, entries[names[0]])
    storages = _Storages(data, places)
    return run_pickle(io.BytesIO(program), storages.table(), storages.persistent)


def _place(data: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """First byte and number of bytes of an entry. It has to be stored as it is, which rules out bombs."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{quoted(entry.filename)} is compressed, which torch.save does not do")
    header = data[entry.header_offset : entry.header_offset + LOCAL_HEADER_BYTES]
    if header[:4] != b"PK\x03\x04" or len(header) < LOCAL_HEADER_BYTES:
        raise ValueError(f"it is damaged at {quoted(entry.filename)}")
    extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = entry.header_offset + LOCAL_HEADER_BYTES + extra
    if start + entry.file_size > len(data):
        raise ValueError(f"it is truncated at {quoted(entry.filename)}")
    return start, entry.file_size


def _entry_bytes(data: mmap.mmap, entry: zipfile.ZipInfo) -> bytes:
    start, size = _place(data, entry)
    if size > MAX_PICKLE_BYTES:
        raise ValueError(f"{quoted(entry.filename)} is far too large")
    return data[start : start + size]


# ---------------------------------------------------------------------------------------------- the older format


def _read_legacy(data: mmap.mmap) -> Any:
    """Magic number, version, system, the object, the list of storages, each a pickle; then the numbers."""
    _expect_legacy_header(data)
    begin = data.tell()
    listing = _Storages(data, None)
    run_pickle(data, listing.table(), listing.persistent)
    keys = run_pickle(data, {}, Placeholder)
    sound = isinstance(keys, list) and all(isinstance(key, str) for key in keys) and len(keys) == len(set(keys))
    if not sound or set(keys) != set(listing.seen):
        raise ValueError("it is truncated or damaged (the list of its storages is wrong)")
    storages = _Storages(data, _legacy_places(data, keys, listing.seen))
    data.seek(begin)
    return run_pickle(data, storages.table(), storages.persistent)


def _expect_legacy_header(data: mmap.mmap) -> None:
    wrong = "it is not a file that torch.save wrote"
    try:
        magic, version, system = (run_pickle(data, {}, Placeholder) for _ in range(3))
    except ValueError as error:
        raise ValueError(wrong) from error
    if magic != LEGACY_MAGIC or version != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise ValueError(wrong)
    if system.get("little_endian") is not True:
        raise ValueError("its numbers are stored with the high byte first")


def _legacy_places(
    data: mmap.mmap, keys: Sequence[str], seen: Mapping[str, tuple[torch.dtype | None, int]]
) -> dict[str, tuple[int, int]]:
    places: dict[str, tuple[int, int]] = {}
    position = data.tell()
    for key in keys:
        dtype, _ = seen[key]
        count = int.from_bytes(data[position : position + 8], "little")
        size = count * (dtype.itemsize if dtype is not None else 1)
        position += 8
        if position + size > len(data):
            raise ValueError("it is truncated: numbers at its end are missing")
        places[key] = (position, size)
        position += size
    return places
