"""A small folder of everything that clips are made from."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from .material import counted, mp4, save, texture, write_tar


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos, a video, a folder of 24 frames, and a shard with a video and a photo; some have captions."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(2):
        save(folder / "photos" / f"photo_{number}.png", texture(120, 160, number))
    (folder / "photos" / "photo_0.txt").write_text("a rug\n")
    for number, frame in enumerate(counted(24)):
        save(folder / "film" / f"{number:04d}.png", frame)
    (folder / "grey.mp4").write_bytes(mp4(counted(20)))
    png = cv2.imencode(".png", texture(100, 100, 9))[1].tobytes()
    shard = {"a.mp4": mp4(counted(12)), "a.txt": b"a grey wall", "b.png": png, "b.json": b'{"caption": "noise"}'}
    write_tar(folder / "shard.tar", shard)
    (folder / "captions.csv").write_text("file,caption\ngrey.mp4,brighter and brighter\nfilm,a film\n")
    return folder
