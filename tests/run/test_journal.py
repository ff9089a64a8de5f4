"""What a crash can leave behind is read, and nothing else is ever reused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.durable.files import move_durably, remove, sha256_of, size_of, write_atomic
from limpid.durable.lock import locked
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.run.journal import NAME, Journal, PublishedResult, differences
from limpid.types import OutputError, Window

FACTS = {"input": {"sha256": "abc", "size": 3}, "settings": {"seed": 0}}


def make_plan() -> Plan:
    frames = Window(start=0, stop=40)
    cutting = Cutting(frames=10, longest_frames=10, halo_frames=2)
    return Plan(
        segments=plan_segments([(0, 40)], frames, cutting),
        frames=frames,
        local=True,
        halo_frames=2,
        grid_frames=1,
        rung=Rung(chunk_frames=8),
        threads=1,
        peak_bytes=1,
    )


def make_journal(folder: Path, segments: int) -> Journal:
    journal = Journal.create(folder, FACTS, make_plan(), {"seconds": 1.0})
    for index in range(segments):
        path = journal.segment_path(index, ".nut")
        path.write_bytes(bytes([index]) * 100)
        journal.add_segment(index, path, 10)
    journal.close()
    return journal


def load(folder: Path) -> Journal:
    journal = Journal.load(folder)
    assert journal is not None
    return journal


def test_everything_comes_back(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, 2)
    journal.add_rung(Rung(chunk_frames=4), 30)
    whole = PublishedResult(size=3, sha256="0" * 64)
    journal.add_published(whole)
    journal.close()
    again = load(tmp_path)
    assert again.finished == journal.finished
    assert again.plan == make_plan()
    assert again.lowered == [(30, Rung(chunk_frames=4))]
    assert again.published == whole
    assert again.key == journal.key
    assert again.estimate == {"seconds": 1.0}
    assert again.drop_damaged() == []


@given(cut=st.integers(0, 4000))
def test_a_torn_journal_is_read_up_to_the_tear_and_goes_on(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("work")
    make_journal(folder, 3)
    whole = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(whole[:cut])
    journal = Journal.load(folder)
    lines = whole[:cut].count(b"\n")
    if lines == 0:
        assert journal is None
        return
    assert journal is not None
    assert len(journal.finished) == lines - 1
    journal.add_rung(Rung(chunk_frames=2), 10)
    journal.close()
    again = load(folder)
    assert again.lowered == [(10, Rung(chunk_frames=2))]
    assert len(again.finished) == lines - 1


def test_lines_after_garbage_do_not_count_and_are_cut_off(tmp_path: Path) -> None:
    make_journal(tmp_path, 3)
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join([*lines[:2], b"\0\0garbage\n", *lines[2:]]))
    journal = load(tmp_path)
    assert list(journal.finished) == [0]
    journal.add_rung(Rung(chunk_frames=2), 10)
    journal.close()
    assert load(tmp_path).lowered == [(10, Rung(chunk_frames=2))]


@pytest.mark.parametrize("text", ["", "\n", "[]\n", "{}\n", '{"limpid_journal": 99}\n', '{"limpid_journal": 1}\n'])
def test_what_is_no_journal_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert Journal.load(tmp_path) is None


def test_missing_and_changed_segments_are_dropped(tmp_path: Path) -> None:
    make_journal(tmp_path, 4)
    (tmp_path / "000001.nut").unlink()
    data = bytearray((tmp_path / "000002.nut").read_bytes())
    data[50] ^= 1
    (tmp_path / "000002.nut").write_bytes(data)
    journal = load(tmp_path)
    assert journal.drop_damaged() == [1, 2]
    assert sorted(journal.finished) == [0, 3]


def test_creating_deletes_what_was_there(tmp_path: Path) -> None:
    make_journal(tmp_path, 3)
    journal = make_journal(tmp_path, 0)
    assert journal.finished == {}
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_the_key_depends_on_every_fact(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, 0)
    other = json.loads(json.dumps(FACTS))
    other["settings"]["seed"] = 1
    changed = Journal.create(tmp_path, other, make_plan(), {})
    changed.close()
    assert changed.key != journal.key
    assert differences(FACTS, other) == ["settings.seed"]
    assert differences(FACTS, {"input": FACTS["input"]}) == ["settings"]


def test_folders_of_images_have_a_size_and_a_hash(tmp_path: Path) -> None:
    folder = tmp_path / "000000"
    folder.mkdir()
    for name in "ba":
        (folder / name).write_text(name)
    before = sha256_of(folder)
    assert size_of(folder) == 2
    (folder / "a").rename(folder / "c")
    assert sha256_of(folder) != before


def test_moving_replaces_a_folder_that_a_crash_left(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    move_durably(tmp_path / "new", tmp_path / "old")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]
    remove(tmp_path / "old")
    remove(tmp_path / "old")
    assert list(tmp_path.iterdir()) == []


def test_atomic_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.json", "one")
    write_atomic(tmp_path / "a.json", "two")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "two")]


def test_a_second_run_is_refused_and_dies_locks_do_not(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from limpid.durable.lock import locked
with locked(pathlib.Path({str(tmp_path / "work")!r})):
    print("locked", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(OutputError, match=f"process {other.pid}"), locked(tmp_path / "work"):
            pass
        other.kill()
        other.wait()
    with locked(tmp_path / "work"):
        pass


def test_a_folder_removed_under_the_lock_is_made_again(tmp_path: Path) -> None:
    with locked(tmp_path / "work"):
        remove(tmp_path / "work")
        with locked(tmp_path / "work"):
            assert (tmp_path / "work" / "lock").exists()
