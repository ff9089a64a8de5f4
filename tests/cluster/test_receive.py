"""What workers send becomes durable together, and only what is whole and what it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpid.cluster.orders import SentPart
from limpid.cluster.receive import Receiver, WrongPartError
from limpid.durable.files import sha256_of
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.run import journal as journals
from limpid.run.journal import Finished, Journal
from limpid.types import Window


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    """Of a plan of 5 segments with 4 frames each."""
    frames = Window(start=0, stop=20)
    plan = Plan(
        segments=plan_segments([(0, 20)], frames, Cutting(frames=4, longest_frames=4, halo_frames=0)),
        frames=frames,
        local=True,
        halo_frames=0,
        grid_frames=1,
        rung=Rung(chunk_frames=4),
        threads=1,
        peak_bytes=1,
    )
    return Receiver(Journal.create(tmp_path, {}, plan, {}))


def parts(folder: Path, index: int, data: bytes = b"pictures") -> list[SentPart]:
    """A segment of two parts."""
    path = folder / f"{index:06d}.bin"
    path.write_bytes(data)
    done = Finished.of(index, path, 4, None)
    path.unlink()
    half = len(data) // 2
    first = SentPart(index=index, name=path.name, offset=0, data=data[:half])
    return [first, SentPart(index=index, name=path.name, offset=half, data=data[half:], done=done)]


def test_whole_segments_are_committed_together_with_one_line_each(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = journals.os.fsync
    monkeypatch.setattr(journals.os, "fsync", lambda number: synced.append(number) or real(number))
    for index in (3, 0, 2):
        for part in parts(tmp_path, index, bytes([index]) * 9):
            receiver.take(part)
    receiver.take(parts(tmp_path, 1)[0])
    assert not receiver.journal.finished
    committed = receiver.commit()
    assert [done.index for done in committed] == [3, 0, 2]
    assert len(synced) == 3 + 1 + 1, "the files, their folder, the journal"
    assert receiver.commit() == []
    written = Journal.read(tmp_path)
    assert written is not None
    assert list(written.finished) == [3, 0, 2]
    assert written.drop_damaged() == []
    receiver.close()
    assert sorted(path.name for path in tmp_path.glob("*.bin")) == ["000000.bin", "000002.bin", "000003.bin"]


def test_a_segment_that_waits_is_not_taken_again(receiver: Receiver, tmp_path: Path) -> None:
    for part in (*parts(tmp_path, 1), *parts(tmp_path, 1, b"others")):
        receiver.take(part)
    (done,) = receiver.commit()
    assert done.sha256 == sha256_of(tmp_path / "000001.bin")
    assert (tmp_path / "000001.bin").read_bytes() == b"pictures"
    receiver.close()


def test_what_its_worker_did_not_make_is_never_committed(receiver: Receiver, tmp_path: Path) -> None:
    first, last = parts(tmp_path, 1)
    _, others = parts(tmp_path, 1, b"PICTURES")
    receiver.take(first)
    with pytest.raises(WrongPartError, match="not what its worker made"):
        receiver.take(SentPart(index=1, name=last.name, offset=last.offset, data=last.data, done=others.done))
    assert receiver.commit() == []
    receiver.forget(1)
    assert not list(tmp_path.glob("*.bin"))
    receiver.close()
