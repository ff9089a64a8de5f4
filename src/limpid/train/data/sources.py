"""What a folder holds that clips can be made from: videos, frame folders, photos, tar shards. Nothing is decoded."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limpid.bounded import parse_json
from limpid.train.data.tars import Member, read_index, read_member
from limpid.types import InputError, SettingsError
from limpid.video.names import IMAGE_SUFFIXES, natural_key

SourceKind = Literal["video", "frames", "photo", "pair"]

SOURCE_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".mpg", ".mpeg", ".ts", ".ogv"})
BESIDE_SUFFIXES = frozenset({".txt", ".csv", ".json", ".jsonl", ".md", ".xml", ".html", ".pdf"})
"""Files that belong to data sets and are no sources; they are not mentioned."""
LOW_QUALITY = re.compile(r"(lq|lr|x[2348]|.*_bicubic|.*_blur|.*_blur_bicubic|.*_blur_comp)", re.IGNORECASE)
"""Folders that data sets keep their degraded frames in."""
LEAST_FRAMES = 5
"""Fewer numbered images than this are photos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSource:
    """One thing that clips can be cut from."""

    kind: SourceKind
    name: str
    """Path below the folder, with ``/``; for members of a shard the path of the shard and the key."""
    path: Path
    """The file, the folder of frames, or the shard."""
    bytes: int
    members: tuple[Member, ...] = ()
    """In a shard: what belongs to the key."""


@dataclass(kw_only=True, slots=True)
class Found:
    """What a folder holds. ``notes`` says in sentences what was left out and why."""

    sources: list[ClipSource] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shards: int = 0
    captions: list[str] = field(default_factory=list)
    """Names and sizes of files that may hold captions."""

    def of(self, *kinds: SourceKind) -> list[ClipSource]:
        """The sources of these kinds, in the order of their names."""
        return [source for source in self.sources if source.kind in kinds]

    def fingerprint(self) -> str:
        """SHA-256 of names and sizes: changes when files come, go or change their size."""
        lines = sorted(f"{source.kind} {source.name} {source.bytes}" for source in self.sources)
        return hashlib.sha256("\n".join([*lines, *sorted(self.captions)]).encode()).hexdigest()


def json_facts(source: ClipSource) -> dict[str, Any]:
    """What the ``.json`` of a key in a shard says, or nothing. Raises `InputError` when it is no JSON."""
    member = next((each for each in source.members if each.suffix == ".json"), None)
    if member is None:
        return {}
    try:
        facts = parse_json(read_member(source.path, member))
    except ValueError as error:
        raise InputError(f"{source.name}.json: is not JSON ({error})") from error
    return facts if isinstance(facts, dict) else {}


def find_sources(folder: Path, *, keep_out: Collection[str] = ()) -> Found:
    """List a folder and all below it, except hidden files and folders.

    Args:
        keep_out: names, with or without suffix, of files, frame folders or keys of shards that are not to be used.

    Raises:
        InputError: the folder cannot be read or holds nothing to make clips from.
        SettingsError: a name to keep out that is not there.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; give one with videos, frame folders, photos or tar shards"
        )
    found, unused = Found(), dict[str, list[str]]()
    for here, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        low = [name for name in folders if LOW_QUALITY.fullmatch(name)]
        found.notes += [
            f"{_below(folder, Path(here, name))}/ is left out: its name is one of degraded frames" for name in low
        ]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in low)
        _take_folder(folder, Path(here), sorted(name for name in files if not name.startswith(".")), found, unused)
    found.notes += [f"{_few(names)}: not used, {why}" for why, names in unused.items()]
    _keep_out(found, keep_out)
    found.sources.sort(key=lambda source: source.name)
    if not found.sources:
        why = f" ({'; '.join(found.notes)})" if found.notes else ""
        raise InputError(f"{folder}: holds no videos, frame folders, photos or tar shards to make clips from{why}")
    return found


def _unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error


def _take_folder(root: Path, here: Path, names: list[str], found: Found, unused: dict[str, list[str]]) -> None:
    images = sorted((here / name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
    if here.name.lower() != "photos" and is_numbered(images):
        size = sum(path.stat().st_size for path in images)
        found.sources.append(ClipSource(kind="frames", name=_below(root, here), path=here, bytes=size))
    else:
        found.sources += [_file(root, path, "photo") for path in images]
    for path in (here / name for name in names):
        suffix = path.suffix.lower()
        if suffix in SOURCE_SUFFIXES:
            found.sources.append(_file(root, path, "video"))
        elif suffix == ".tar":
            _take_shard(root, path, found)
        elif suffix in (".txt", ".csv"):
            found.captions.append(f"{_below(root, path)} {path.stat().st_size}")
        elif suffix not in IMAGE_SUFFIXES | BESIDE_SUFFIXES and path.stem.lower() not in (
            "license",
            "readme",
            "copying",
        ):
            unused.setdefault(_why(path), []).append(_below(root, path))


def _why(path: Path) -> str:
    if path.name.endswith((".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip")):
        return "shards must be uncompressed tar files"
    return f"nothing is known about files that end in {path.suffix or 'nothing'}"


def _take_shard(root: Path, path: Path, found: Found) -> None:
    """The keys of a shard: a pair of arrays, else a video, else photos."""
    index = read_index(path)
    found.shards += 1
    name = _below(root, path)
    found.notes += [f"{name}: {note}" for note in index.notes]
    for key, members in index.keys.items():
        kind = _kind_of(members)
        if kind is None:
            found.notes.append(f"{name}: {key} is left out: it has neither a pair of frames, nor a video, nor a photo")
        else:
            size = sum(member.size for member in members)
            found.sources.append(ClipSource(kind=kind, name=f"{name}/{key}", path=path, bytes=size, members=members))


def _kind_of(members: Sequence[Member]) -> SourceKind | None:
    suffixes = {member.suffix for member in members}
    halves = {suffix.split(".")[1] for suffix in suffixes if suffix.count(".") == 2}
    if {"hr", "lr"} <= halves:
        return "pair"
    if suffixes & SOURCE_SUFFIXES:
        return "video"
    return "photo" if suffixes & IMAGE_SUFFIXES else None


def is_numbered(images: Sequence[Path]) -> bool:
    """Whether sorted images are the frames of one film: equal names but for a number that grows by one."""
    if len(images) < LEAST_FRAMES:
        return False
    split = [re.fullmatch(r"(.*?)(\d+)(\.\w+)", path.name) for path in images]
    if not all(split) or len({(match[1], match[3]) for match in split if match}) != 1:
        return False
    numbers = [int(match[2]) for match in split if match]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _file(root: Path, path: Path, kind: SourceKind) -> ClipSource:
    return ClipSource(kind=kind, name=_below(root, path), path=path, bytes=path.stat().st_size)


def _below(root: Path, path: Path) -> str:
    below = path.relative_to(root).as_posix()
    return root.name if below == "." else below


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _keep_out(found: Found, names: Collection[str]) -> None:
    wanted = set(names)
    hit = {source.name: wanted & _names(source) for source in found.sources}
    missing = wanted - set().union(*hit.values())
    if missing:
        raise SettingsError(f"there is nothing called {', '.join(sorted(missing))} to keep out: check the names")
    if wanted:
        found.notes.append(f"kept out as wished: {', '.join(sorted(name for name, reasons in hit.items() if reasons))}")
    found.sources = [source for source in found.sources if not hit[source.name]]


def _names(source: ClipSource) -> set[str]:
    last = source.name.rpartition("/")[2]
    return {source.name, last, Path(last).stem} if not source.members else {source.name, last}
