"""What is finished: a work folder with one file per segment and a journal, from which the same command goes on.

The journal is a file of JSON lines. The first one is the header: the *facts* that decide the bytes of the result
(input, settings, weights, versions, machine) and the plan that was made for them. Every further line says that a
segment is durable, that memory ran out and what is used since, or that the result is whole and about to get its name.

A line counts when it is whole: a crash may tear the last one. Each carries a check over itself and all before it, and
every value is looked at before it is used; a journal that does not hold is not used at all.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from limpid.bounded import MAX_FIELD, check_fields, json_object, parse_json, quoted, read_regular, text, whole_number
from limpid.durable.files import digest_of, fsync_path, open_own, remove, sha256_of, size_of
from limpid.plan.segments import Plan, Rung

_FORMAT = 2
NAME = "journal.jsonl"
MAX_JOURNAL_BYTES = 512 << 20
FRESH = ("scan.json", "captions.json")
"""What a new journal does not delete: it was made by the same run, a moment before, and says itself what it is of."""
OUR_NAMES = re.compile(
    r"lock|journal\.jsonl|scan\.json|captions\.json|sidecar\.json|(part|trial)(\.\w+)?|part-old"
    r"|(partial-)?\d{6,}(\.\w+)?|\d{6,}\.carry\.safetensors|\.[\w.-]+\.partial"
)
"""Everything that a run puts into its folders."""
_SEGMENT_NAME = re.compile(r"(\d{6,})(\.\w{1,8})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_our_name(name: str) -> bool:
    """Whether a run may have put a file or folder of this name into its work folder; nothing else is deleted there."""
    return OUR_NAMES.fullmatch(name) is not None


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
    kind: str | None = None
    """Kind of machine that made it, see `Journal.kinds`; None: the one that the facts name."""

    @classmethod
    def of(cls, index: int, path: Path, frames: int, carry: Path | None) -> Finished:
        """What is to be said of files that are there."""
        return cls(
            index=index,
            file=path.name,
            frames=frames,
            size=size_of(path),
            sha256=sha256_of(path),
            carry=carry.name if carry else None,
            carry_sha256=sha256_of(carry) if carry else None,
        )

    def check(self, plan: Plan) -> None:
        """Raises ValueError unless this can be said of a segment of the plan: a file belongs to its index."""
        check_fields(self)
        name = _SEGMENT_NAME.fullmatch(self.file)
        if self.index >= len(plan.segments) or name is None or int(name[1]) != self.index:
            raise ValueError(f"{quoted(self.file)} is no file of segment {self.index}")
        if self.frames != len(plan.segments[self.index].core):
            raise ValueError(f"segment {self.index} cannot have {self.frames} frames")
        if self.carry not in (None, carry_name(self.index)) or (self.carry is None) != (self.carry_sha256 is None):
            raise ValueError(f"{quoted(self.carry)} is not what segment {self.index} hands on")
        if not all(_SHA256.fullmatch(digest) for digest in (self.sha256, self.carry_sha256 or self.sha256)):
            raise ValueError("a hash is none")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "kind" or value is not None}


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """The whole result, as it was just before it got its name."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> PublishedResult:
        return cls(size=size_of(path), sha256=sha256_of(path))

    def is_at(self, path: Path) -> bool:
        """Whether ``path`` is this result: whatever else lies there is somebody else's."""
        try:
            return not path.is_symlink() and size_of(path) == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False


def carry_name(index: int) -> str:
    """The file with what a segment hands on to the next one of its shot."""
    return f"{index:06d}.carry.safetensors"


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
    kinds: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Kinds of machines that make segments besides the one of the facts: by their hash, what they are."""
    published: PublishedResult | None = None
    _check: str = ""
    """Over all lines so far."""
    _file: IO[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Segments are added by the encoding thread, rungs by the computing one."""

    @property
    def key(self) -> str:
        """Bytes are promised to be the same for one key and plan, and one `kind_of_shots` where there are several."""
        return digest_of(self.facts)

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, Any], plan: Plan, estimate: Mapping[str, Any]) -> Journal:
        """Begin anew: what a former run left in the folder is deleted, but for the lock and what is `FRESH`."""
        clear(folder)
        journal = cls(folder=folder, facts=facts, plan=plan, estimate=estimate)
        header = {"limpid_journal": _FORMAT, "facts": dict(facts), "plan": plan.to_dict(), "estimate": dict(estimate)}
        journal._append(header)
        fsync_path(folder)
        return journal

    @classmethod
    def load(cls, folder: Path) -> Journal | None:
        """The journal that a former run left, or None when there is none that holds."""
        try:
            return cls.read(folder)
        except ValueError:
            return None

    @classmethod
    def read(cls, folder: Path) -> Journal | None:
        """The journal as `load` has it; raises ValueError with the reason if it was changed or makes no sense."""
        lines, _ = scan_lines(folder / NAME)
        if not lines:
            return None
        if lines[0].get("limpid_journal") != _FORMAT:
            raise ValueError("it is of another version of Limpid")
        try:
            return cls._from_lines(folder, lines)
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {quoted(str(error))}") from error

    @classmethod
    def _from_lines(cls, folder: Path, lines: list[dict[str, Any]]) -> Journal:
        check = checked(lines)
        plan = Plan.from_dict(json_object(lines[0]["plan"]))
        check_plan(plan)
        facts, estimate = json_object(lines[0]["facts"]), json_object(lines[0]["estimate"])
        journal = cls(folder=folder, facts=facts, plan=plan, estimate=estimate, _check=check)
        for line in lines[1:]:
            journal._take(line)
        journal.kind_of_shots()
        return journal

    def _take(self, line: Mapping[str, Any]) -> None:
        if "segment" in line:
            done = Finished(**json_object(line["segment"]))
            done.check(self.plan)
            if done.kind is not None and done.kind not in self.kinds:
                raise ValueError(f"segment {done.index} is of a machine that is not known")
            self.finished[done.index] = done
        elif "kind" in line:
            self.kinds[text(line["kind"])] = json_object(line["facts"], ("machine", "versions"))
        elif "again" in line:
            for index in line["again"]:
                self.finished.pop(whole_number(index, most=MAX_FIELD), None)
        elif "rung" in line:
            frame, rung = whole_number(line["frame"], most=MAX_FIELD), Rung(**json_object(line["rung"]))
            check_rung(rung)
            self.lowered.append((frame, rung))
        elif "published" in line:
            self.published = (
                PublishedResult(**json_object(line["published"])) if line["published"] is not None else None
            )
            if self.published is not None:
                check_fields(self.published)

    def segment_path(self, index: int, suffix: str) -> Path:
        return self.folder / f"{index:06d}{suffix}"

    def add_segment(self, index: int, path: Path, frames: int, carry: Path | None = None) -> Finished:
        """Say that a segment is on disk under its final name."""
        return self.add_finished(Finished.of(index, path, frames, carry))

    def add_finished(self, done: Finished) -> Finished:
        """`add_segment` where hashes are known."""
        self._append({"segment": done.to_dict()})
        self.finished[done.index] = done
        return done

    def add_all_finished(self, all_done: Sequence[Finished]) -> None:
        """`add_finished` for several, in their order; all of them are durable afterwards."""
        self._append(*({"segment": done.to_dict()} for done in all_done))
        self.finished.update({done.index: done for done in all_done})

    def add_rung(self, rung: Rung, frame: int) -> None:
        """Say, before it is tried, what chunks are cut by from this frame on, where memory ran out."""
        self._append({"rung": rung.to_dict(), "frame": frame})
        self.lowered.append((frame, rung))

    def add_kind(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Say what another kind of machine is, before anything that it made is added."""
        if kind not in self.kinds:
            self._append({"kind": kind, "facts": dict(facts)})
            self.kinds[kind] = facts

    def make_again(self, indices: Sequence[int]) -> None:
        """Say that finished segments do not count any more; what is made in their place may differ."""
        self._append({"again": list(indices)})
        for index in indices:
            self.finished.pop(index, None)

    def kind_of_shots(self) -> dict[int, str | None]:
        """Shot of which something is finished -> kind of the machines that made it, None: the one of the facts.

        Raises ValueError where a shot is of two kinds.
        """
        found: dict[int, str | None] = {}
        for index, done in self.finished.items():
            shot = self.plan.segments[index].shot
            if found.setdefault(shot, done.kind) != done.kind:
                raise ValueError(f"shot {shot} is of two kinds of machines")
        return found

    def add_published(self, published: PublishedResult) -> None:
        """Say that the result is whole and gets its name now. What has these bytes under that name is ours."""
        self._append({"published": asdict(published)})
        self.published = published

    def add_assembled(self) -> None:
        """Say that the output is the user's from now on, and is not taken for unfinished work again."""
        self._append({"published": None})
        self.published = None

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

    def _append(self, *lines: Mapping[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                self._file = os.fdopen(open_own(self.folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")
                self._heal()
            check = self._check
            for line in lines:
                check = line_check(check, line)
                self._file.write(json.dumps({**line, "check": check}, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._check = check

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
        data = read_regular(path, MAX_JOURNAL_BYTES)
    except OSError:
        return [], 0
    lines: list[dict[str, Any]] = []
    position = 0
    while (end := data.find(b"\n", position)) >= 0:
        try:
            line = parse_json(data[position:end])
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
        position = end + 1
    return lines, position


def line_check(before: str, line: Mapping[str, Any]) -> str:
    """The check of a line: over its values and the check of the line before."""
    return digest_of([before, line])[:16]


def checked(lines: list[dict[str, Any]]) -> str:
    """The check of the last line. Raises ValueError for the first line that is not as it was written."""
    check = ""
    for number, line in enumerate(lines, 1):
        said = line.pop("check", None)
        check = line_check(check, line)
        if said != check:
            raise ValueError(f"line {number} was changed")
    return check


def check_plan(plan: Plan) -> None:
    """Raises ValueError for a plan that no run has made: its segments must follow each other and cover its frames."""
    check_fields(plan)
    check_rung(plan.rung)
    position = plan.frames.start
    for segment in plan.segments:
        if segment.core.start != position:
            raise ValueError(f"segment {segment.index} does not begin where the one before ends")
        position = segment.core.stop
    if position != plan.frames.stop or not 1 <= plan.threads <= 256 or plan.grid_frames < 1:
        raise ValueError("the segments are not those of a run")


def check_rung(rung: Rung) -> None:
    """Raises ValueError for sizes of pieces that the ladder does not have."""
    check_fields(rung)
    for name, value in rung.to_dict().items():
        if value is not None and not isinstance(value, bool) and value < 1:
            raise ValueError(f"{name} is {value}")


def clear(folder: Path) -> None:
    """Delete what a former run left; the journal first, so that a crash leaves nothing to reuse."""
    remove(folder / NAME)
    for path in list(folder.iterdir()):
        if is_our_name(path.name) and path.name not in ("lock", *FRESH):
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
