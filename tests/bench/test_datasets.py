"""Data set descriptions: found in every layout, and what is missing on disk is said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from limpid.bench.datasets import DATASETS, check_dataset, find_clips, find_dataset
from limpid.types import InputError, SettingsError


def images(folder: Path, numbers: range | list[int], size: tuple[int, int] = (16, 12)) -> Path:
    folder.mkdir(parents=True)
    _, data = cv2.imencode(".png", np.zeros((size[1], size[0], 3), np.uint8))
    for number in numbers:
        (folder / f"{number:08d}.png").write_bytes(data.tobytes())
    return folder


def test_the_seven_benchmarks_and_any_folder_are_described() -> None:
    assert list(DATASETS) == ["reds4", "reds30", "udm10", "spmcs", "youhq40", "videolq", "mvsr4x", "folder"]
    for dataset in DATASETS.values():
        assert dataset.where and dataset.licence
        assert not dataset.names or len(dataset.names) == dataset.clips
    assert sum(dataset.clips or 0 for dataset in DATASETS.values()) == 4 + 30 + 10 + 30 + 40 + 50 + 15


@pytest.mark.parametrize("name", ["aigc30", "realvideo10"])
def test_a_set_that_was_never_released_says_so(name: str) -> None:
    with pytest.raises(SettingsError, match=r"never released.*--dataset folder"):
        find_dataset(name)


def test_unknown_sets_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="udm10"):
        find_dataset("udm11")
    with pytest.raises(InputError, match="no such folder"):
        find_clips(find_dataset("udm10"), tmp_path / "nowhere")
    with pytest.raises(InputError, match="no clips"):
        find_clips(find_dataset("udm10"), tmp_path)


def test_reds4_takes_its_four_clips_out_of_the_training_set(tmp_path: Path) -> None:
    for name in ("000", "001", "011", "015", "020"):
        images(tmp_path / "train" / "train_sharp" / name, [0])
    clips = find_clips(find_dataset("reds4"), tmp_path)
    assert [clip.name for clip in clips] == ["000", "011", "015", "020"]
    assert all(clip.lr is None and clip.truth is not None for clip in clips)


def test_given_low_quality_frames_are_found(tmp_path: Path) -> None:
    images(tmp_path / "GT" / "archpeople", range(2))
    images(tmp_path / "LQ" / "archpeople", range(2), (4, 3))
    (clip,) = find_clips(find_dataset("udm10"), tmp_path)
    assert clip.truth == tmp_path / "GT" / "archpeople" and clip.lr == tmp_path / "LQ" / "archpeople"


def test_videolq_has_no_ground_truth(tmp_path: Path) -> None:
    images(tmp_path / "000", range(3))
    (clip,) = find_clips(find_dataset("videolq"), tmp_path)
    assert clip.truth is None and clip.lr == tmp_path / "000"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    images(tmp_path / "000", range(100), (1280, 720))
    images(tmp_path / "011", [n for n in range(100) if n not in (7, 42)], (1280, 720))
    images(tmp_path / "015", range(100))
    problems = "\n".join(check_dataset(find_dataset("reds4"), tmp_path))
    assert "clips are missing: 020" in problems
    assert "011: frames are missing: 7, 42" in problems
    assert "011: 98 frames, REDS4 has 100" in problems
    assert "015: 16x12, REDS4 is 1280x720" in problems
    assert "000:" not in problems


def test_unequal_pairs_are_named(tmp_path: Path) -> None:
    images(tmp_path / "GT" / "a", range(3))
    images(tmp_path / "LQ" / "a", range(2), (4, 3))
    assert check_dataset(find_dataset("folder"), tmp_path) == ["a: 3 frames of ground truth and 2 of low quality"]


def test_a_complete_folder_has_no_problems(tmp_path: Path) -> None:
    images(tmp_path / "a", range(3))
    images(tmp_path / "b", range(5))
    assert check_dataset(find_dataset("folder"), tmp_path) == []
