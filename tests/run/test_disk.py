"""Disks that fail at any change of a run: a sentence, finished work kept, the same command completes (L, disk)."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import media
import pytest
from fakes import local_method
from file_changes import FAULTS, failing_at, removing_at, small_files, watching

import limpid
from limpid.cli.main import explain
from limpid.durable.files import sha256_of
from limpid.methods import METHODS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file sizes cannot be limited on Windows")
WAYS = {
    "file": ("o.mkv", {}),
    "images": ("frames", {}),
    "work elsewhere": ("o.mp4", {"work_dir": "work"}),
    "overwrite": ("o.mkv", {"overwrite": True}),
}
"""Output and options of the runs."""
SENTENCE_CODES = (3, 4, 5)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "fast", lambda: local_method(name="fast", options=frozenset({"seed"})))
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no power is cut, and disks may be slow


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(
        media.make_video(tmp_path_factory.mktemp("short") / "in.mp4", width=48, height=32, frames=5, audio=True)
    )


class Runs:
    """One way to call Limpid, again and again in folders of their own, compared with an untroubled run."""

    def __init__(self, source: Path, folder: Path, way: str) -> None:
        self._source, self._folder, self._count = source, folder, 0
        self._name, self._options = WAYS[way]
        here, seen = self._fresh(), []
        with watching(here, lambda number, event, path: seen.append(event)):
            self._upscale(here)
        self.changes, self._digest = len(seen), sha256_of(here / self._name)
        self._left = sorted(path.name for path in here.iterdir())

    def _fresh(self) -> Path:
        self._count += 1
        return self._prepared(self._folder / str(self._count))

    def _prepared(self, here: Path) -> Path:
        here.mkdir()
        if "overwrite" in self._options:
            (here / self._name).write_bytes(b"a former result")
        return here

    def _upscale(self, here: Path) -> Any:
        options = {key: here / value if key == "work_dir" else value for key, value in self._options.items()}
        chosen = {"method": "fast", "segment_frames": 2, "threads": 1, "scale": 1, **options}
        return limpid.upscale(self._source, here / self._name, **chosen)

    def troubled(self, trouble: Callable[[Path], AbstractContextManager[None]]) -> tuple[int, set[str]]:
        """A run in ``trouble`` and one without; the exit code of the first, and its finished segments by name."""
        here, code = self._fresh(), 0
        try:
            with trouble(here):
                self._upscale(here)
        except Exception as error:
            sentence, code = explain(error)
            assert code in SENTENCE_CODES, sentence
        kept = {path.name for path in here.rglob("00000?.*") if path.suffix in ("", ".nut")}
        if not here.exists():
            self._prepared(here)
        output = here / self._name
        former = output.is_file() and output.read_bytes() == b"a former result"
        assert not output.exists() or former or sha256_of(output) == self._digest, "a part lies under the final name"
        if former or not self._is_final(here):
            report = self._upscale(here)
            assert report.resumed_segments >= len(kept) - 1  # the last may be whole and not in the journal yet
        assert sha256_of(output) == self._digest
        assert sorted(path.name for path in here.iterdir()) == self._left
        return code, kept

    def _is_final(self, here: Path) -> bool:
        return sorted(path.name for path in here.iterdir()) == self._left


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", range(len(FAULTS)), ids=[errno.errorcode[code] for code in FAULTS])
def test_a_fault_at_any_change(short_clip: Path, tmp_path: Path, way: str, first: int) -> None:
    """Every change of a run in turn; over the parameters, each fault at each of them."""
    runs = Runs(short_clip, tmp_path, way)
    for number in range(1 + first, runs.changes + 1, len(FAULTS)):
        runs.troubled(lambda here, n=number: watching(here, failing_at(n, FAULTS[first])))


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_somebody_deletes(short_clip: Path, tmp_path: Path, way: str) -> None:
    runs = Runs(short_clip, tmp_path, way)
    for number in range(1, runs.changes + 1, 4):
        runs.troubled(lambda here, n=number: watching(here, removing_at(n, here)))


@pytest.mark.parametrize("way", WAYS)
def test_writing_that_fails_inside_of_ffmpeg(short_clip: Path, tmp_path: Path, way: str) -> None:
    runs = Runs(short_clip, tmp_path, way)
    codes = [runs.troubled(lambda here, n=size: small_files(n))[0] for size in (0, 300, 1500, 4000, 8000)]
    assert codes[0] == codes[1] == 4


def test_finished_segments_are_kept(short_clip: Path, tmp_path: Path) -> None:
    """A disk that is full from some change on: later changes leave more segments behind."""
    runs = Runs(short_clip, tmp_path, "file")
    found = [
        runs.troubled(lambda here, n=number: watching(here, failing_at(n, errno.ENOSPC)))[1]
        for number in range(1, runs.changes + 1, 3)
    ]
    assert max(len(kept) for kept in found) == 3 and found[0] == set()
