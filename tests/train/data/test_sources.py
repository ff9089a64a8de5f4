"""What a folder holds: nothing is left out without a word."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from limpid.train.data import open_clips
from limpid.train.data.captions import read_table
from limpid.train.data.sources import find_sources, is_numbered
from limpid.train.data.tars import read_index, read_member, split_name
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError

from .material import save, texture, write_tar


def test_kinds_and_what_is_left_out(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "clip" / f"im{number + 1}.png", texture(40, 40, number))
        save(tmp_path / "photos" / f"im{number + 1}.png", texture(40, 40, number))
        save(tmp_path / "LQ" / f"{number}.png", texture(40, 40, number))
    (tmp_path / "notes.xyz").write_text("?")
    (tmp_path / "more.tar.gz").write_text("?")
    (tmp_path / "LICENSE").write_text("?")
    (tmp_path / ".hidden.mp4").write_text("?")
    found = find_sources(tmp_path)
    assert [source.kind for source in found.sources] == ["frames", *["photo"] * 6]
    assert sorted(found.notes) == [
        "LQ/ is left out: its name is one of degraded frames",
        "more.tar.gz: not used, shards must be uncompressed tar files",
        "notes.xyz: not used, nothing is known about files that end in .xyz",
    ]


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        ([f"{n:08d}.png" for n in range(6)], True),
        ([f"im{n}.png" for n in range(1, 8)], True),
        (["1.png", "2.png", "3.png", "5.png", "6.png"], False),
        (["a_1_x.png", "a_2_y.png", "a_3_z.png", "a_4_x.png", "a_5_x.png"], False),
        (["1.png", "2.png", "3.png", "4.png"], False),
        (["1.png", "2.jpg", "3.png", "4.png", "5.png"], False),
    ],
)
def test_frames_are_numbered_without_gaps(names: list[str], frames: bool) -> None:
    assert is_numbered([Path(name) for name in names]) == frames


def test_keeping_out(everything: Path) -> None:
    kept = find_sources(everything, keep_out=["film", "photos/photo_1.png"])
    assert {source.name for source in kept.sources} == {"grey.mp4", "photos/photo_0.png", "shard.tar/a", "shard.tar/b"}
    assert kept.fingerprint() != find_sources(everything).fingerprint()
    with pytest.raises(SettingsError, match="nothing called fim to keep out"):
        find_sources(everything, keep_out=["fim"])


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        find_sources(tmp_path / "none")
    (tmp_path / "a.doc").write_text("?")
    with pytest.raises(InputError, match=r"holds no videos.*\(a\.doc: not used"):
        find_sources(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    save(tmp_path / "good.png", texture(80, 80, 0))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    says = open_clips(tmp_path, ClipSpec(frames=2, crop_px=64), seed=0).describe()
    assert says.startswith("1 photo.") and "left out: bad.png: the picture cannot be decoded" in says
    assert "left out: bad.mp4: is not a video" in says


def test_names_in_shards() -> None:
    assert split_name("./a/b.c/clip_01.hr.NPY") == ("a/b.c/clip_01", ".hr.npy")
    assert split_name("README") == ("README", "")


def test_members_are_read_where_they_are(tmp_path: Path) -> None:
    members = {f"{n:03d}.{end}": bytes([n]) * (n * 700 + 1) for n in range(20) for end in ("mp4", "txt")}
    write_tar(tmp_path / "a.tar", members)
    index = read_index(tmp_path / "a.tar")
    assert list(index.keys) == [f"{n:03d}" for n in range(20)] and index.notes == []
    for number in (19, 3, 0, 11):
        for member in index.keys[f"{number:03d}"]:
            assert read_member(tmp_path / "a.tar", member) == members[f"{number:03d}{member.suffix}"]


def test_odd_shards(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"a.mp4": b"x" * 3000, "b.mp4": b"y" * 3000, "c.md": b"?"})
    whole = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        link = tarfile.TarInfo("d.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "a.mp4"
        tar.addfile(link)
    found = find_sources(tmp_path)
    assert [source.name for source in found.sources] == ["a.tar/a", "a.tar/b"]
    assert found.notes == [
        "a.tar: d.mp4 is left out: it is no plain file",
        "a.tar: c is left out: it has neither a pair of frames, nor a video, nor a photo",
    ]
    (tmp_path / "a.tar").write_bytes(whole[:6000])  # in the middle of b
    index = read_index(tmp_path / "a.tar")
    assert list(index.keys) == ["a"] and "b.mp4 is left out: the shard is cut off there" in " ".join(index.notes)
    with pytest.raises(InputError, match="shorter since it was opened"):
        read_member(tmp_path / "a.tar", type(index.keys["a"][0])(".mp4", 5000, 2000))
    (tmp_path / "a.tar").write_bytes(b"\x1f\x8bnonsense" * 100)
    with pytest.raises(InputError, match="is not an uncompressed tar file"):
        read_index(tmp_path / "a.tar")


def test_tables_of_captions(tmp_path: Path) -> None:
    assert read_table(tmp_path) == {}
    (tmp_path / "results_10M_train.csv").write_text("videoid,contentUrl,duration,page_dir,name\n7,u,d,0_1,A dog\n")
    assert read_table(tmp_path) == {"7": "A dog"}
    (tmp_path / "captions.csv").write_text("clip,words\na,b\n")
    with pytest.raises(InputError, match=r"captions\.csv: needs a header with one of file, .*, not clip, words"):
        read_table(tmp_path)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    picture = texture(64, 64, 1)
    cv2.imwrite(str(tmp_path / "deep.png"), picture[..., ::-1].astype(np.uint16) * 257)
    sample = open_clips(tmp_path, ClipSpec(frames=1, crop_px=64, flips=False), seed=0).sample(0)
    assert sample.hr.dtype == np.uint8 and abs(sample.hr.mean() - picture.mean()) < 12
