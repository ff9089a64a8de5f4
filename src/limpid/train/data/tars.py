"""Tar shards as webdataset names them (``key.ext``), with an index of our own so that any clip can be read at once."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from limpid.types import InputError


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a shard. ``suffix``: all from the first dot of its name on, in small letters: ``.hr.npy``."""

    suffix: str
    offset: int
    size: int


@dataclass(kw_only=True, slots=True)
class Index:
    """The members of a shard by key, in the order of the shard."""

    keys: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_index(path: Path) -> Index:
    """Read the headers of an uncompressed tar file. Raises `InputError` when it is none.

    Of a shard that was cut off, the whole members are used, with a note; so are links and sparse files left out.
    """
    index, size = Index(), path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for info in _headers(tar, index):
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    index.notes.append(f"{info.name} is left out: it is no plain file")
                elif info.offset_data + info.size > size:
                    index.notes.append(f"{info.name} is left out: the shard is cut off there")
                else:
                    key, suffix = split_name(info.name)
                    index.keys[key] = (*index.keys.get(key, ()), Member(suffix, info.offset_data, info.size))
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path}: is not an uncompressed tar file ({error}); unpack or repack it") from error
    return index


def _headers(tar: tarfile.TarFile, index: Index) -> list[tarfile.TarInfo]:
    found = []
    try:
        while (info := tar.next()) is not None:
            found.append(info)
    except tarfile.ReadError as error:
        index.notes.append(f"the shard is damaged after {len(found)} members ({error}); what follows is left out")
    return found


def split_name(name: str) -> tuple[str, str]:
    """``folder/clip.hr.npy`` -> ``folder/clip`` and ``.hr.npy``: webdataset's rule, the first dot of the last part."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, dot, rest = last.partition(".")
    return f"{folder}{slash}{stem}", (dot + rest).lower()


def read_member(path: Path, member: Member) -> bytes:
    """The bytes of a member. Raises `InputError` when the shard has become shorter."""
    try:
        with path.open("rb") as file:
            file.seek(member.offset)
            data = file.read(member.size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) != member.size:
        raise InputError(f"{path}: has become shorter since it was opened; start again")
    return data
