"""Writing shards of prepared pairs: each shard is finished under a hidden name and then renamed."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from limpid.durable.files import clear_temporary, publish, temporary_name
from limpid.train.data.clips import ClipSample
from limpid.video.files import writing

Store = Literal["png", "npy"]
Files = list[tuple[str, bytes]]
"""Names and contents of the members of one key."""


def pair_files(key: str, number: int, sample: ClipSample, store: Store) -> Files:
    """The members for a clip. PNG of the lowest effort: half the size of plain arrays, hardly larger than its best."""
    facts = {"number": number, "source": sample.key, "damage": sample.damage, "notes": list(sample.notes)}
    files = [
        (f"{key}.hr.{store}", _encoded(sample.hr, store)),
        (f"{key}.lr.{store}", _encoded(sample.lr, store)),
        *([(f"{key}.teacher.{store}", _encoded(sample.teacher, store))] if sample.teacher is not None else []),
        (f"{key}.json", json.dumps(facts).encode()),
    ]
    return [*files, (f"{key}.txt", sample.caption.encode())] if sample.caption else files


def _encoded(frames: np.ndarray, store: Store) -> bytes:
    if store == "npy":
        data = io.BytesIO()
        np.save(data, frames)
        return data.getvalue()
    tall = cv2.cvtColor(frames.reshape(-1, *frames.shape[2:]), cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", tall, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return encoded.tobytes()


def write_shard(path: Path, clips: Iterable[Files]) -> None:
    """Write a shard that appears whole or not at all. Times and owners are left out: equal clips, equal bytes.

    Raises `OutputError` when it cannot be written.
    """
    hidden = temporary_name(path)
    with writing(path):
        clear_temporary(hidden)
        tar = tarfile.open(hidden, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  (closed below, errors named)
    try:
        for files in clips:
            with writing(path):
                _add(tar, files)
    finally:
        with writing(path):
            tar.close()
    with writing(path):
        publish(hidden, path, overwrite=True)


def _add(tar: tarfile.TarFile, files: Files) -> None:
    for name, data in files:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
