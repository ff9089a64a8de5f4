"""Making shards of prepared pairs from a folder: in worker processes, and on from where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from csv import DictReader
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

from limpid import __version__
from limpid.durable.files import discard, sha256_of, temporary_name, write_atomic
from limpid.train.data.clips import TrainingClips, open_clips
from limpid.train.data.degrading import pipeline_of
from limpid.train.data.pairs import FACTS, pair_facts
from limpid.train.data.processes import worker_context
from limpid.train.data.teachers import Teacher
from limpid.train.data.writing import Files, Store, pair_files, write_shard
from limpid.train.stage import ClipSpec
from limpid.types import OutputError, ResourceError, SettingsError
from limpid.video.files import writing

_FORMAT = 1
_LIBRARIES = ("numpy", "opencv-python-headless", "av")
OnPairs = Callable[[int, int, int], None]
"""Told after each shard: clips that are there, clips in all, clips made by this run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What is to be made from ``data`` in ``out``."""

    data: Path
    out: Path
    count: int
    frames: int
    crop: int
    scale: int
    strides: tuple[int, int]
    degradation: str
    seed: int
    keep_out: list[str]
    shard: int
    """TrainingClips in each."""
    store: Store
    teacher: str | None = None
    """Path of an image network (`limpid.train.data.teachers.Teacher`)."""
    teacher_cleaner: str | None = None
    """Path of a cleaner that goes before it."""

    def spec(self) -> ClipSpec:
        """The clips. Raises `SettingsError` for numbers that make none."""
        if self.count < 1 or self.shard < 1 or self.seed < 0:
            raise SettingsError("--count and --shard must be 1 or more, --seed 0 or more")
        try:
            return ClipSpec(
                frames=self.frames,
                crop_px=self.crop,
                scale=self.scale,
                strides=self.strides,
                degradation=self.degradation,
                captions=True,
            )
        except ValueError as error:
            raise SettingsError(str(error)) from error

    def shards(self) -> list[tuple[Path, range]]:
        """Files, and the numbers of the clips in them."""
        starts = range(0, self.count, self.shard)
        return [
            (self.out / f"clips-{index:05d}.tar", range(start, min(start + self.shard, self.count)))
            for index, start in enumerate(starts)
        ]


def prepare_pairs(
    wanted: Preparation, *, workers: int | None, tell: Callable[[str], None], progress: OnPairs | None = None
) -> int:
    """Make what is missing of the shards; gives the number of clips made.

    A shard that is there is kept: it was renamed when it was whole.

    Raises:
        SettingsError: the folder holds shards that were made otherwise.
        OutputError: it cannot be written. InputError: the data cannot be used. ResourceError: a worker was killed.
    """
    spec = wanted.spec()
    pipeline_of(spec)
    _refuse_inside(wanted)
    clips = open_clips(wanted.data, spec, seed=wanted.seed, keep_out=wanted.keep_out)
    tell(clips.describe())
    teacher = _teacher(wanted)
    _begin(wanted, clips, teacher)
    made, notes = 0, set[str]()
    with _makers(Making(clips=clips, store=wanted.store, teacher=teacher), workers) as make:
        for path, numbers in wanted.shards():
            if not path.exists():
                write_shard(path, _noted(make(numbers), notes, tell))
                made += len(numbers)
                if progress is not None:
                    progress(numbers.stop, wanted.count, made)
    _write_facts(wanted, _facts(wanted, clips, teacher) | {"complete": True})
    return made


def _refuse_inside(wanted: Preparation) -> None:
    data, out = wanted.data.resolve(), wanted.out.resolve()
    if out == data or data in out.parents:
        raise SettingsError(f"{wanted.out}: lies inside of the data and would become part of it; choose another folder")


def _facts(wanted: Preparation, clips: TrainingClips, teacher: Teacher | None) -> dict[str, Any]:
    """What later runs compare, and people want to know."""
    licences = read_licences(wanted.data)
    names = clips.source_names()
    return {
        "format": _FORMAT,
        "seed": wanted.seed,
        "count": wanted.count,
        "shard": wanted.shard,
        "store": wanted.store,
        "frames": wanted.frames,
        "crop": wanted.crop,
        "scale": wanted.scale,
        "strides": list(wanted.strides),
        "degradation": wanted.degradation,
        "teacher": _teacher_facts(teacher),
        "pipeline": pipeline_of(wanted.spec()).name,
        "keep_out": sorted(wanted.keep_out),
        "fingerprint": clips.fingerprint,
        "versions": {"limpid": __version__} | {name: version(name) for name in _LIBRARIES},
        "described": clips.describe(),
        "sources": {name: licences.get(name, "") for name in names},
        "complete": False,
    }


def _teacher(wanted: Preparation) -> Teacher | None:
    """Raises `SettingsError` for a cleaner that goes before nothing."""
    if wanted.teacher is not None:
        return Teacher.of(wanted.teacher, wanted.teacher_cleaner)
    if wanted.teacher_cleaner is not None:
        raise SettingsError("--teacher-cleaner goes before a teacher: add --teacher MODEL, or leave it out")
    return None


def _teacher_facts(teacher: Teacher | None) -> dict[str, str] | None:
    if teacher is None:
        return None
    cleaner = {} if teacher.cleaner is None else {"cleaner_sha256": sha256_of(teacher.cleaner)}
    return {"name": teacher.name, "sha256": teacher.weights.digest(), **cleaner}


def _begin(wanted: Preparation, clips: TrainingClips, teacher: Teacher | None) -> None:
    """Compare with what is there, and write down what is being made."""
    with writing(wanted.out):
        wanted.out.mkdir(parents=True, exist_ok=True)
    old, new = pair_facts(wanted.out), json.loads(json.dumps(_facts(wanted, clips, teacher)))
    if not old and any(path.exists() for path, _ in wanted.shards()):
        raise OutputError(f"{wanted.out}: holds shards without {FACTS}: choose another folder or empty it")
    changed = [
        name for name in new if old and name not in ("complete", "described", "sources") and new[name] != old.get(name)
    ]
    if changed:
        name = changed[0]
        was = f"{name} {old.get(name)}" if name != "fingerprint" else "other data"
        raise SettingsError(f"{wanted.out}: was begun with {was}, not {new[name]}: use the same or another folder")
    for path, _ in wanted.shards():
        discard(temporary_name(path))
    _write_facts(wanted, new)


def _write_facts(wanted: Preparation, facts: dict[str, Any]) -> None:
    with writing(wanted.out / FACTS):
        write_atomic(wanted.out / FACTS, json.dumps(facts, indent=1) + "\n")


def read_licences(folder: Path) -> dict[str, str]:
    """Licence and author by file, from ``manifest.csv`` (columns ``file``, ``licence``, ``author_if_known``)."""
    path = folder / "manifest.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in DictReader(file) if row.get("file")]
    credits = ((row["file"], (row.get("licence") or row.get("license"), row.get("author_if_known"))) for row in rows)
    return {name: ", ".join(each for each in parts if each) for name, parts in credits}


Made = tuple[Files, tuple[str, ...]]
"""Members of a key, and notes on sources that could not be used."""


def _noted(made: Iterator[Made], notes: set[str], tell: Callable[[str], None]) -> Iterator[Files]:
    for files, said in made:
        for note in said:
            if note not in notes:
                tell(f"left out: {note}")
        notes.update(said)
        yield files


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """What a process needs to make clips."""

    clips: TrainingClips
    store: Store
    teacher: Teacher | None

    def __call__(self, number: int) -> Made:
        """Members of clip ``number``. Raises `SettingsError` for a teacher of another scale."""
        sample = self.clips.sample(number)
        if self.teacher is not None:
            made = self.teacher(sample.lr)
            if made.shape != sample.hr.shape:
                sizes = f"{made.shape[1:3]} of {sample.lr.shape[1:3]}, not {sample.hr.shape[1:3]}"
                raise SettingsError(f"--teacher {self.teacher.name} makes {sizes}: choose another teacher or --scale")
            sample = replace(sample, teacher=made)
        return pair_files(f"{number:08d}", number, sample, self.store), sample.notes


def _makers(making: Making, workers: int | None) -> AbstractContextManager[Callable[[range], Iterator[Made]]]:
    workers = max(1, (os.cpu_count() or 2) - 1) if workers is None else workers
    if workers < 0:
        raise SettingsError(f"--workers {workers}: must be 0 or more")
    if workers == 0:
        return nullcontext(lambda numbers: (making(number) for number in numbers))
    return _Pool(making, workers)


class _Pool(AbstractContextManager[Callable[[range], Iterator[Made]]]):
    def __init__(self, making: Making, workers: int) -> None:
        context = worker_context(__name__)
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(making,))

    def __enter__(self) -> Callable[[range], Iterator[Made]]:
        return self._make

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _make(self, numbers: range) -> Iterator[Made]:
        try:
            yield from self._pool.map(_make_here, numbers)
        except BrokenProcessPool as error:
            raise ResourceError(
                "a process that makes clips was ended, most often because memory ran out: use fewer --workers; "
                "the same command goes on"
            ) from error


_here: Making | None = None
"""What a worker process makes clips with; None in any other process."""


def _start(making: Making) -> None:
    global _here
    cv2.setNumThreads(1)
    _here = making


def _make_here(number: int) -> Made:
    assert _here is not None
    return _here(number)
