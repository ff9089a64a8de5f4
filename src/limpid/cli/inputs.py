"""What the file names on the command line mean: which are inputs, where each result goes.

The rules, also in docs/cli.md:

* one name is an input; two are INPUT OUTPUT; three or more are inputs, or two and more with ``-o``;
* a folder of images is one clip, a folder of videos stands for the videos in it;
* several inputs need a folder as ``-o``, or none: then each result lies beside its input.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import isdir, isfile  # unlike those of Path they are False for impossible names
from pathlib import Path

from limpid.cli.words import shown
from limpid.run.places import default_output, is_result, kind_of, sidecar_of
from limpid.settings import Settings
from limpid.types import InputError, OutputError, SettingsError
from limpid.video import VIDEO_SUFFIXES

_MOST_FOLDERS_TO_ASK = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One input and where its result goes: a file, a folder in which it gets a name of its own, or beside the input."""

    input: Path
    output: Path | None = None
    into_folder: bool = False
    alone: bool = True


def output_of(job: Job, settings: Settings) -> Path:
    """The result of a job, as far as it can be known before the input is opened."""
    kind = kind_of(job.input)
    own_name = default_output(job.input.absolute(), settings, kind=kind)
    if job.output is None:
        return own_name
    makes_images = kind != "still" and (settings.codec == "images" or (kind == "folder" and settings.codec is None))
    if not job.into_folder or (job.alone and makes_images):
        return job.output
    return job.output / own_name.name


def refuse_same_outputs(jobs: Sequence[Job], settings: Settings) -> None:
    """``a.avi`` and ``a.wmv`` would both become ``a_x4.mkv``. Raises SettingsError."""
    seen: dict[Path, Job] = {}
    for job in jobs:
        output = output_of(job, settings).absolute()
        other = seen.setdefault(output, job)
        if other is not job:
            both = f"{shown(other.input)} and {shown(job.input)}"
            raise SettingsError(f"{both} would both be written to {shown(output)}; upscale them one by one with -o")


def plan_jobs(names: Sequence[str], output: str | None, *, recursive: bool = False) -> tuple[list[Job], list[str]]:
    """Names as typed -> jobs in order, and sentences on what was left out. ``recursive``: folders in folders, too.

    Raises:
        SettingsError: no input, or names that cannot be meant together.
        InputError: a folder with nothing usable, or with videos and images mixed.
        OutputError: the second of two names looks like a second input.
    """
    if not names:
        raise SettingsError("name an input: a video, or a folder of images or videos (see limpid upscale --help)")
    if output is None and len(names) == 2:
        names, output = names[:1], names[1]
        _refuse_second_input(names[0], output)
    inputs, notes = _expand(names, recursive=recursive)
    if output is None:
        return [Job(input=found.path) for found in inputs], notes
    several = len(inputs) > 1 or any(found.within for found in inputs)
    return _with_output(inputs, output, several=several), notes


def has_sidecar(path: Path) -> bool:
    """True when `path` is a result of Limpid: its ``.limpid.json`` lies beside it."""
    return bool(path.name) and isfile(sidecar_of(path))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """An input; ``within`` says that it stands in a folder that was named, ``under`` in which folder of that one."""

    path: Path
    within: bool = False
    under: Path = Path()


def _with_output(inputs: list[_Found], output: str, *, several: bool) -> list[Job]:
    path = Path(output)
    if several:
        if path.suffix.lower() in VIDEO_SUFFIXES and not isdir(path):
            raise SettingsError(f"{shown(path)} names one file for {len(inputs)} inputs; give a folder with -o")
        return [Job(input=each.path, output=path / each.under, into_folder=True, alone=False) for each in inputs]
    # A folder of images that Limpid made, or is about to make, is the result itself and no place for results.
    into = (isdir(path) and not is_result(path)) or output.endswith(("/", os.sep))
    return [Job(input=inputs[0].path, output=path, into_folder=into)]


def _refuse_second_input(first: str, second: str) -> None:
    """``limpid upscale *.mp4`` must not write over the second of two films."""
    path = Path(second)
    ours = not isfile(path) or path.stat().st_size == 0 or is_result(path)
    if ours or path.suffix.lower() not in VIDEO_SUFFIXES or _same(Path(first), path):
        return
    raise OutputError(
        f"{shown(second)} exists and was not written by Limpid; to write over it say -o {shown(second)} --overwrite, "
        "and to upscale both files give a folder with -o"
    )


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def _expand(names: Sequence[str], *, recursive: bool) -> tuple[list[_Found], list[str]]:
    inputs: list[_Found] = []
    notes: list[str] = []
    for path in map(Path, names):
        found = _in_folder(path, recursive=recursive) if isdir(path) else [_Found(path=path)]
        films = [each for each in found if not (each.within and has_sidecar(each.path))]
        if len(films) < len(found):
            notes.append(f"{shown(path)}: {len(found) - len(films)} results of Limpid in it are not upscaled again")
        deeper = _folder_with_films(path) if films and isdir(path) and not recursive else None
        if deeper is not None:
            notes.append(
                f"{shown(path)}: what lies in folders of it, as in {shown(deeper)}, is left out; say -r to take it"
            )
        inputs += films or [_Found(path=path)]
    return inputs, notes


def _in_folder(folder: Path, *, recursive: bool) -> list[_Found]:
    """The videos of a folder; with ``recursive`` those of its folders too, and each folder of images as one clip.

    A folder that has nothing in it but images is one clip: nothing is found *in* it.
    """
    if not recursive:
        videos = _videos_in(folder)
        if not videos and not _has_images(folder):
            _say_where_films_are(folder)
        return [_Found(path=video, within=True) for video in videos]
    found: list[_Found] = []
    for where in _folders_under(folder):
        under = where.relative_to(folder)
        videos = _videos_in(where)
        found += [_Found(path=video, within=True, under=under) for video in videos]
        if not videos and _has_images(where) and where != folder:
            found.append(_Found(path=where, within=True, under=under.parent))
    return found


def _folders_under(folder: Path) -> list[Path]:
    """The folder and all in it, in natural order, without hidden ones and links."""
    from limpid.video import natural_key

    inside = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    folders = sorted((path for path in inside if isdir(path)), key=natural_key)
    return [folder, *(deeper for path in folders for deeper in _folders_under(path))]


def _has_images(folder: Path) -> bool:
    from limpid.video import is_image_name

    return any(is_image_name(path) and path.is_file() for path in folder.iterdir() if not path.name.startswith("."))


def _say_where_films_are(folder: Path) -> None:
    """Raises InputError when a folder has videos or images in its folders only."""
    where = _folder_with_films(folder)
    if where is not None:
        raise InputError(f"{shown(folder)} holds no videos or images itself, {shown(where)} does; say -r to take those")


def _folder_with_films(folder: Path) -> Path | None:
    """The first of the folders in a folder that has videos or images and is no result."""
    from limpid.video import is_image_name

    for number, (where, folders, files) in enumerate(os.walk(folder)):
        folders[:] = [name for name in folders if not name.startswith(".") and not has_sidecar(Path(where, name))]
        names = [Path(name) for name in files if not name.startswith(".") and not has_sidecar(Path(where, name))]
        films = any(name.suffix.lower() in VIDEO_SUFFIXES or is_image_name(name) for name in names)
        if films and Path(where) != folder:
            return Path(where)
        if number > _MOST_FOLDERS_TO_ASK:
            break
    return None


def _videos_in(folder: Path) -> list[Path]:
    """The videos in a folder in natural order; none when it is a folder of images, which is one clip."""
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{shown(folder)}: the folder cannot be read ({error.strerror})") from error
    from limpid.video import is_image_name, natural_key  # loads OpenCV

    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    images = sum(map(is_image_name, files))
    if videos and images:
        raise InputError(
            f"{shown(folder)} holds {len(videos)} videos and {images} images; name the videos one by one, "
            "or keep the images in a folder of their own"
        )
    return sorted(videos, key=natural_key)
