"""The benchmarks of the four papers as descriptions: what belongs to each, where to get it, and what is missing here.

Nothing is downloaded. Layouts that are found: ``ROOT/GT/<clip>/*.png`` with ``ROOT/LQ/<clip>/*.png`` where low-quality
frames are given, ``ROOT/<clip>/*.png``, and the folders of the official archives. A clip is a folder of images or a
video. Sizes and counts are those of the official releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpid.types import InputError, SettingsError

_VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".264", ".h264", ".265", ".y4m", ".mpg"})
GT_FOLDERS = ("GT", "gt", "HR", "GT-Video")
LQ_FOLDERS = ("LQ", "lq", "LR", "lr", "LQ-Video")
SCALE = 4


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a benchmark consists of. ``frames`` is per clip, least and most; ``size`` that of the ground truth, w h."""

    name: str
    title: str
    clips: int | None
    frames: tuple[int, int] | None
    size: tuple[int, int] | None
    has_truth: bool
    where: str
    licence: str
    names: tuple[str, ...] = ()
    """The clips that count, where the folder may hold more."""
    folders: tuple[str, ...] = ()
    """Where the ground truth lies in the official archives, besides `GT_FOLDERS`."""
    note: str = ""


_REDS = "https://seungjunnah.github.io/Datasets/reds (also snah/REDS on the Hugging Face hub)"
_DOVE = "with low-quality frames in the test sets linked by github.com/zhengchen1999/DOVE"
_MVSR4X = "003 065 075 106 115 139 158 171 230 232 263 280 427 465 466"

DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="reds4",
            title="REDS4",
            clips=4,
            frames=(100, 100),
            size=(1280, 720),
            has_truth=True,
            names=("000", "011", "015", "020"),
            folders=("train/train_sharp", "train_sharp"),
            where=_REDS,
            licence="CC BY 4.0",
            note="four clips of the training set; real-world degradations of it were never released",
        ),
        Dataset(
            name="reds30",
            title="REDS30",
            clips=30,
            frames=(100, 100),
            size=(1280, 720),
            has_truth=True,
            names=tuple(f"{number:03d}" for number in range(30)),
            folders=("val/val_sharp", "val_sharp"),
            where=_REDS,
            licence="CC BY 4.0",
            note="the official validation set; elsewhere its clips are called 240 to 269",
        ),
        Dataset(
            name="udm10",
            title="UDM10",
            clips=10,
            frames=(32, 32),
            size=(1272, 720),
            has_truth=True,
            where=f"linked by github.com/psychopa4/PFNL; {_DOVE}",
            licence="for study only, says its README",
            note="the low-quality frames that came with it (BD) are shifted by part of a pixel: do not use them",
        ),
        Dataset(
            name="spmcs",
            title="SPMCS",
            clips=30,
            frames=(31, 31),
            size=(960, 540),
            has_truth=True,
            where=f"linked by github.com/jiangsutx/SPMC_VideoSR; {_DOVE}",
            licence="not stated (the code is MIT)",
            note="the low-quality height of 135 is odd",
        ),
        Dataset(
            name="youhq40",
            title="YouHQ40",
            clips=40,
            frames=(1, 100),
            size=(1920, 1080),
            has_truth=True,
            where=f"linked by github.com/sczhou/Upscale-A-Video; {_DOVE}",
            licence="YouTube content; non-commercial",
            note="about 32 frames per clip",
        ),
        Dataset(
            name="videolq",
            title="VideoLQ",
            clips=50,
            frames=(1, 100),
            size=None,
            has_truth=False,
            where="linked by github.com/ckkelvinchan/RealBasicVSR",
            licence="not stated",
            note="low-quality clips without ground truth; x4 in the four papers, x1 in some later ones",
        ),
        Dataset(
            name="mvsr4x",
            title="MVSR4x (test)",
            clips=15,
            frames=(100, 100),
            size=None,
            has_truth=True,
            names=tuple(_MVSR4X.split()),
            where=f"linked by github.com/HITRainer/EAVSR; {_DOVE}",
            licence="not stated (the code is MIT)",
            note="the two cameras differ in colour and are not aligned to the pixel: full-reference numbers are rough",
        ),
        Dataset(
            name="folder",
            title="a folder of clips",
            clips=None,
            frames=None,
            size=None,
            has_truth=True,
            where="any folder of videos or of folders of images",
            licence="yours",
        ),
    )
}

NEVER_RELEASED = {
    "aigc30": "AIGC30 (Upscale-A-Video) was never released",
    "realvideo10": "RealVideo10 (DiffVSR) was never released",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFiles:
    """Where one clip lies: ``truth`` and ``lr`` are a folder of images or a video each; None where there is none."""

    name: str
    truth: Path | None = None
    lr: Path | None = None


def find_dataset(name: str) -> Dataset:
    """Raises SettingsError for an unknown name; says so when a set was never released."""
    if name in NEVER_RELEASED:
        raise SettingsError(f"{NEVER_RELEASED[name]}; take clips of your own with --dataset folder --root DIR")
    if name not in DATASETS:
        raise SettingsError(f"there is no data set {name!r}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def find_clips(dataset: Dataset, root: Path) -> list[ClipFiles]:
    """The clips on disk, by name. Raises InputError when the folder is not there or holds no clip."""
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder; {dataset.title} is {dataset.where}")
    truth, lr = _clips_by_name(dataset, _truth_folder(dataset, root)), _clips_by_name(dataset, _first(root, LQ_FOLDERS))
    if not dataset.has_truth:
        truth, lr = {}, lr or _clips_by_name(dataset, root)
    names = sorted(truth or lr)
    if not names:
        raise InputError(f"{root}: no clips of {dataset.title} were found (folders of images, or videos, one per clip)")
    return [ClipFiles(name=name, truth=truth.get(name), lr=lr.get(name)) for name in names]


def _truth_folder(dataset: Dataset, root: Path) -> Path:
    return _first(root, (*GT_FOLDERS, *dataset.folders)) or root


def _first(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _clips_by_name(dataset: Dataset, folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not is_clip(path):
            continue
        name = path.name if path.is_dir() or path.stem in found else path.stem
        if not dataset.names or name in dataset.names:
            found[name] = path
    return found


def is_clip(path: Path) -> bool:
    """A video by its ending, or a folder with images in it."""
    if path.is_file():
        return path.suffix.lower() in _VIDEO_SUFFIXES
    return path.is_dir() and bool(_images(path))


def _images(folder: Path) -> list[Path]:
    from limpid.video import list_images

    return list_images(folder)


# ------------------------------------------------------------------------------------------ is it all there?


def check_dataset(dataset: Dataset, root: Path) -> list[str]:
    """What is missing or not as it should be, a sentence each; empty when the set is complete."""
    return list(_problems(dataset, find_clips(dataset, root)))


def _problems(dataset: Dataset, clips: list[ClipFiles]) -> Iterator[str]:
    names = {clip.name for clip in clips}
    missing = [name for name in dataset.names if name not in names]
    if missing:
        yield f"{dataset.title}: clips are missing: {', '.join(missing)}"
    elif dataset.clips is not None and len(clips) != dataset.clips:
        yield f"{dataset.title}: {len(clips)} clips were found, it has {dataset.clips}"
    for clip in clips:
        for path in (clip.truth, clip.lr):
            if path is not None:
                yield from _clip_problems(dataset, path, is_truth=path is clip.truth)
        yield from _pair_problems(clip)
        yield from _scale_problems(clip)


def _clip_problems(dataset: Dataset, path: Path, *, is_truth: bool) -> Iterator[str]:
    from limpid.types import LimpidError
    from limpid.video import probe

    try:
        clip = probe(path)
    except LimpidError as error:
        yield str(error)
        return
    yield from _numbering_problems(path)
    count, wanted = clip.num_frames, dataset.frames
    if wanted is not None and count is not None and not wanted[0] <= count <= wanted[1]:
        expected = f"{wanted[0]}" if wanted[0] == wanted[1] else f"{wanted[0]} to {wanted[1]}"
        yield f"{path}: {count} frames, {dataset.title} has {expected}"
    if is_truth and dataset.size is not None and (clip.width, clip.height) != dataset.size:
        yield f"{path}: {clip.width}x{clip.height}, {dataset.title} is {dataset.size[0]}x{dataset.size[1]}"


def _numbering_problems(path: Path) -> Iterator[str]:
    """Gaps in the numbers of a folder's images: frames that were lost in a copy."""
    if not path.is_dir():
        return
    numbers = [int(found[0]) for image in _images(path) if (found := re.findall(r"\d+", image.stem)[-1:])]
    gaps = sorted(set(range(min(numbers, default=0), max(numbers, default=-1) + 1)) - set(numbers))
    if gaps:
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        yield f"{path}: frames are missing: {', '.join(map(str, gaps[:5]))}{more}"


def _pair_problems(clip: ClipFiles) -> Iterator[str]:
    if clip.truth is None or clip.lr is None or not (clip.truth.is_dir() and clip.lr.is_dir()):
        return
    counts = len(_images(clip.truth)), len(_images(clip.lr))
    if counts[0] != counts[1]:
        yield f"{clip.name}: {counts[0]} frames of ground truth and {counts[1]} of low quality"


def _scale_problems(clip: ClipFiles) -> Iterator[str]:
    """Given low-quality frames must be a quarter of the ground truth, but for what a crop to multiples left out."""
    from limpid.types import LimpidError
    from limpid.video import probe

    if clip.truth is None or clip.lr is None:
        return
    try:
        truth, lr = probe(clip.truth), probe(clip.lr)
    except LimpidError:  # is a problem of its own already
        return
    if any(not 0 <= a - SCALE * b < 2 * SCALE for a, b in ((truth.width, lr.width), (truth.height, lr.height))):
        yield (
            f"{clip.name}: ground truth of {truth.width}x{truth.height} and low quality of {lr.width}x{lr.height} are "
            f"not {SCALE} to 1, and limpid bench enlarges by {SCALE}"
        )
