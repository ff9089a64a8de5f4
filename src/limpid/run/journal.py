"""What is finished: a work folder with one file per segment and a journal, from which the same command goes on.

The journal is a file of JSON lines. The first one is the header: the *facts* that decide the bytes of the result
(input, settings, weights, versions, machine) and the plan that was made for them. Every further line says that a
segment is durable, that memory ran out and what is used since, or that joining has begun. A line counts when it is
whole: a crash may tear the last one.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from limpid.durable.files import digest_of, fsync_path, remove, sha256_of, size_of
from limpid.plan.segments import Plan, Rung

FORMAT = 1
NAME = "journal.jsonl"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A segment that is durable, as its journal line says."""

    index: int
    file: str
    frames: int
    size: int
    sha256: str
    carry: str | None = None
    carry_sha256: str | None = None


@dataclass
class Journal:
    """The journal of one run; made by `Journal.create` or `Journal.load`."""

    folder: Path
    facts: Mapping[str, Any]
    plan: Plan
    estimate: Mapping[str, Any]
    finished: dict[int, Finished] = field(default_factory=dict)
    lowered: list[tuple[int, Rung]] = field(default_factory=list)
    """Since which frame chunks are cut finer, because memory ran out there; in the order in which it did."""
    assembling: bool = False
    _file: IO[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Segments are added by the encoding thread, rungs by the computing one."""

    @property
    def key(self) -> str:
        """Bytes are promised to be the same for one key and plan."""
        return digest_of(self.facts)

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, Any], plan: Plan, estimate: Mapping[str, Any]) -> Journal:
        """Begin anew: whatever a former run left in the folder is deleted, but for the lock."""
        clear(folder)
        journal = cls(folder=folder, facts=facts, plan=plan, estimate=estimate)
        header = {"limpid_journal": FORMAT, "facts": dict(facts), "plan": plan.to_dict(), "estimate": dict(estimate)}
        journal._append(header)
        fsync_path(folder)
        return journal

    @classmethod
    def load(cls, folder: Path) -> Journal | None:
        """The journal that a former run left, or None when there is none that can be read."""
        lines, _ = scan_lines(folder / NAME)
        if not lines or lines[0].get("limpid_journal") != FORMAT:
            return None
        try:
            journal = cls(
                folder=folder,
                facts=lines[0]["facts"],
                plan=Plan.from_dict(lines[0]["plan"]),
                estimate=lines[0]["estimate"],
            )
            for line in lines[1:]:
                journal._take(line)
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        return journal

    def _take(self, line: Mapping[str, Any]) -> None:
        if "segment" in line:
            done = Finished(**line["segment"])
            self.finished[done.index] = done
        elif "rung" in line:
            self.lowered.append((int(line["frame"]), Rung(**line["rung"])))
        elif "assembling" in line:
            self.assembling = bool(line["assembling"])

    def segment_path(self, index: int, suffix: str) -> Path:
        return self.folder / f"{index:06d}{suffix}"

    def add_segment(self, index: int, path: Path, frames: int, carry: Path | None = None) -> Finished:
        """Say that a segment is on disk under its final name."""
        done = Finished(
            index=index,
            file=path.name,
            frames=frames,
            size=size_of(path),
            sha256=sha256_of(path),
            carry=carry.name if carry else None,
            carry_sha256=sha256_of(carry) if carry else None,
        )
        self._append({"segment": asdict(done)})
        self.finished[index] = done
        return done

    def add_rung(self, rung: Rung, frame: int) -> None:
        """Say, before it is tried, what chunks are cut by from this frame on, where memory ran out."""
        self._append({"rung": rung.to_dict(), "frame": frame})
        self.lowered.append((frame, rung))

    def add_assembling(self) -> None:
        """Say that the output may appear under its final name from now on."""
        self._set_assembling(True)

    def add_assembled(self) -> None:
        """Say that the output is complete: it is the user's now, and is not written over unasked."""
        self._set_assembling(False)

    def _set_assembling(self, value: bool) -> None:
        if self.assembling != value:
            self._append({"assembling": value})
            self.assembling = value

    def drop_damaged(self) -> list[int]:
        """Forget segments whose files are missing or changed; returns their numbers."""
        bad = [index for index, done in self.finished.items() if not self._is_intact(done)]
        for index in bad:
            del self.finished[index]
        return sorted(bad)

    def _is_intact(self, done: Finished) -> bool:
        path = self.folder / done.file
        try:
            intact = size_of(path) == done.size and sha256_of(path) == done.sha256
            return intact and (done.carry is None or sha256_of(self.folder / done.carry) == done.carry_sha256)
        except OSError:
            return False

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                self._file = (self.folder / NAME).open("ab")
                self._heal()
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _heal(self) -> None:
        """Cut off a line that a crash tore, so that the next one stands by itself."""
        assert self._file is not None
        _, valid_bytes = scan_lines(self.folder / NAME)
        self._file.truncate(valid_bytes)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def scan_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a journal, up to the first that is torn or is no JSON object, and how many bytes they take."""
    try:
        data = path.read_bytes()
    except OSError:
        return [], 0
    lines, size = [], 0
    for raw in data.split(b"\n")[:-1]:
        try:
            line = json.loads(raw)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
        size += len(raw) + 1
    return lines, size


def clear(folder: Path) -> None:
    """Delete everything in a work folder but the lock; the journal first, so that a crash leaves nothing to reuse."""
    remove(folder / NAME)
    for path in folder.iterdir():
        if path.name != "lock":
            remove(path)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of the facts that changed, for the sentence that says why old segments are not used."""
    names: list[str] = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            names.append(prefix + name)
    return names
