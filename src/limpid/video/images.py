"""A folder of images, or one image, as a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from limpid.bounded import read_regular
from limpid.types import Clip, ColorTags, InputError, Timeline
from limpid.video.cuts import CutDetector, small_size
from limpid.video.headers import MAX_IMAGE_BYTES, check_picture
from limpid.video.image_tags import clear_grey, further_pictures
from limpid.video.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_image_name, missing_numbers, natural_key
from limpid.video.orientation import by_exif, upright
from limpid.video.tiff import divided, plain_opacity, tiff_of

DEFAULT_FPS = Fraction(24)
_SRGB = ColorTags(primaries=1, transfer=13, matrix=0, full_range=True)


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in natural order, without hidden files. Raises `InputError` when it cannot be read."""
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror or error})") from error
    return sorted((path for path in entries if is_image_name(path) and path.is_file()), key=natural_key)


def probe_folder(folder: Path, fps: Fraction | None) -> Clip:
    """A folder of equally large images as a clip. Raises `InputError` when it holds none or they differ in size."""
    paths = list_images(folder)
    if not paths:
        kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        videos = any(path.suffix.lower() in VIDEO_SUFFIXES for path in folder.iterdir())
        rest = "; name one of its videos" if videos else " and no videos"
        raise InputError(f"{folder}: the folder holds no images ({kinds}){rest}")
    return _image_clip(folder, paths, fps, list(_number_gaps(paths)))


def _number_gaps(paths: Sequence[Path]) -> Iterator[str]:
    """A sentence where numbers are missing: frames that were deleted or never rendered."""
    gaps = missing_numbers(paths)
    if gaps:
        before, after = gaps[0]
        places = "1 place" if len(gaps) == 1 else f"{len(gaps)} places, first"
        yield (
            f"the numbers of the images have gaps in {places} between {before.name} and {after.name}; "
            "the images are taken one after the other"
        )


def probe_image(path: Path, fps: Fraction | None) -> Clip | None:
    """One still image as a clip of one frame; None when OpenCV cannot read it or when it is an animation."""
    if not is_image_name(path) or _is_animated(path) or _unchanged(path) is None:
        return None
    if _is_animated_webp(path):
        raise InputError(f"{path}: animated WebP is not supported; convert it to a video or to images first")
    return _image_clip(path, [path], fps, further_pictures(_content(path)))


def why_no_picture(path: Path) -> str:
    """A sentence on an image that cannot be read."""
    tiff = tiff_of(_content(path))
    if tiff is not None and tiff.is_float:
        return f"{path}: holds floating point values, which are not read from TIFF; convert it to 16 bits or to EXR"
    return f"{path}: the image cannot be decoded; it is damaged or cut off"


def _image_clip(path: Path, paths: Sequence[Path], asked_fps: Fraction | None, warnings: Sequence[str] = ()) -> Clip:
    fps = asked_fps or DEFAULT_FPS
    first, pixels = next(((p, a) for p in paths if (a := _unchanged(p)) is not None), (None, None))
    if first is None or pixels is None:
        raise InputError(f"{path}: none of its {len(paths)} images can be read")
    headers = {p: header for p in paths if (header := _png_header(p)) is not None}
    alpha = (pixels.ndim == 3 and pixels.shape[2] == 4) or any(header[3] in (4, 6) for header in headers.values())
    deep = pixels.dtype == np.uint16 or any(header[2] == 16 for header in headers.values())
    upright = load_image(first, alpha=alpha, deep=deep)
    assert upright is not None
    height, width = upright.shape[:2]
    for p, header in headers.items():
        if (header[0], header[1]) not in ((width, height), (height, width)):  # EXIF may turn it; the scan looks closely
            raise mixed_sizes(path, first, (width, height), p, (header[0], header[1]))
    return Clip(
        path=str(path),
        kind="images",
        width=width,
        height=height,
        fps=fps,
        time_base=1 / fps,
        codec=first.suffix.lower()[1:],
        pix_fmt=("rgba" if alpha else "rgb") + (("64le" if alpha else "48le") if deep else ("" if alpha else "24")),
        bit_depth=16 if deep else 8,
        container="images",
        color=_SRGB,
        has_alpha=alpha,
        field_order="progressive",
        duration_s=float(len(paths) / fps),
        num_frames=len(paths),
        size_bytes=sum(p.stat().st_size for p in paths),
        image_paths=tuple(str(p) for p in paths),
        warnings=tuple(warnings),
        fps_assumed=asked_fps is None,
    )


def mixed_sizes(
    folder: Path | str, first: Path | str, size: tuple[int, int], other: Path | str, other_size: tuple[int, int]
) -> InputError:
    """The error for a folder whose images differ in size."""
    return InputError(
        f"{folder}: the images differ in size: {Path(first).name} is {size[0]}x{size[1]}, {Path(other).name} is "
        f"{other_size[0]}x{other_size[1]}; all frames of a clip must be equally large"
    )


def load_image(path: Path | str, *, alpha: bool, deep: bool) -> np.ndarray | None:
    """An image as upright ``h w 3|4`` RGB(A), uint8 or (``deep``) full-scale uint16; None when it cannot be decoded."""
    data = _content(Path(path))
    pixels = _see_through(data) if alpha else None
    if pixels is None:
        pixels = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            return None
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGBA if alpha else cv2.COLOR_BGR2RGB))
        pixels = upright(pixels, data)
    if deep and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    if not deep and pixels.dtype == np.uint16:
        return np.rint(pixels / 257.0).astype(np.uint8)
    return pixels


def _see_through(data: bytes) -> np.ndarray | None:
    """An image with opacity as upright RGBA; None for one without."""
    tiff = tiff_of(data)
    if tiff is not None and tiff.is_cmyk:
        return None  # OpenCV calls the four inks, turned into colours, colours with opacity
    if tiff is not None and tiff.has_opacity and (plain := plain_opacity(data, tiff)) is not None:
        return np.ascontiguousarray(by_exif(plain, tiff.orientation))
    pixels = _decode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return None
    if tiff is not None and tiff.has_opacity and pixels.dtype == np.uint8 and pixels.ndim == 3:
        pixels = divided(pixels)  # OpenCV has multiplied them
    if pixels.ndim == 2 and (level := clear_grey(data)) is not None:
        pixels = cv2.merge([pixels, pixels, pixels, _opaque_but(pixels, level, data)])
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        return None
    return upright(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)), data)


def _opaque_but(pixels: np.ndarray, level: int, data: bytes) -> np.ndarray:
    """Opacity of grey pixels of which one level, as the file counts, is clear."""
    top, bits = np.iinfo(pixels.dtype).max, data[24]  # of a PNG
    clear = round(level * top / (2**bits - 1))
    return np.where(pixels == clear, 0, top).astype(pixels.dtype)


def _unchanged(path: Path) -> np.ndarray | None:
    """The pixels of an image in some form that shows depth and whether there is opacity."""
    data = _content(path)
    pixels = _see_through(data)
    return _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if pixels is None else pixels


def _content(path: Path) -> bytes:
    """The bytes of a file whose header claims a picture of a size that can be handled; empty for all others."""
    try:
        content = read_regular(path, MAX_IMAGE_BYTES)
    except (OSError, ValueError):
        return b""
    return content if check_picture(path, content) else b""


def _decode(data: bytes, flags: int) -> np.ndarray | None:
    """OpenCV's decoder on bytes (its own file reading cannot open every name); floats and broken files give None."""
    log: Any = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except (ValueError, cv2.error):
        return None
    finally:
        log.setLogLevel(level)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return None
    return _full_scale(np.asarray(pixels), data)


def _full_scale(pixels: np.ndarray, data: bytes) -> np.ndarray:
    """AVIF of 10 and 12 bits comes with values of so many bits (its box ``av1C`` says how many)."""
    head = data[:4096]
    if pixels.dtype != np.uint16 or head[4:8] != b"ftyp" or b"av1C" not in head:
        return pixels
    flags = head[head.index(b"av1C") + 6]
    top = 4095 if flags & 0x20 else 1023 if flags & 0x40 else 65535
    return np.asarray(np.rint(pixels.astype(np.float32) * np.float32(65535 / top)).astype(np.uint16))


def _png_header(path: Path) -> tuple[int, int, int, int] | None:
    """Width, height, bit depth and colour type of a PNG (ISO 15948, 11.2.2), without decoding it."""
    if path.suffix.lower() != ".png":
        return None
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return None
    if len(head) < 26 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"), head[24], head[25]


def _is_animated(path: Path) -> bool:
    """Animated PNG and AVIF sequences are films, for FFmpeg."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:12] == b"ftypavis":
        return True
    return head[:4] == b"\x89PNG" and b"acTL" in head.split(b"IDAT")[0]


def _is_animated_webp(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(64)
    return head[:4] == b"RIFF" and b"ANIM" in head


def scan_images(clip: Clip, *, detect_cuts: bool, on_progress: Callable[[int], None] | None) -> Timeline:
    """Decode every image once. Raises `InputError` when sizes differ; unreadable ones are left out, with a warning."""
    detector = CutDetector(clip.fps) if detect_cuts and len(clip.image_paths) > 1 else None
    good: list[int] = []
    bad: list[str] = []
    for number, path in enumerate(clip.image_paths):
        pixels = load_image(path, alpha=clip.has_alpha, deep=clip.bit_depth > 8)
        if pixels is None:
            bad.append(Path(path).name)
            continue
        height, width = pixels.shape[:2]
        if (width, height) != (clip.width, clip.height):
            raise mixed_sizes(clip.path, clip.image_paths[0], (clip.width, clip.height), path, (width, height))
        good.append(number)
        if detector is not None:
            detector.push(_small_bgr(pixels))
        if on_progress is not None:
            on_progress(len(good))
    if not good:
        raise InputError(f"{clip.path}: none of its {len(clip.image_paths)} images can be read")
    lost = (f"{len(bad)} of {len(clip.image_paths)} images cannot be read and are left out: {', '.join(bad[:5])}",)
    return Timeline(
        pts=tuple(good),
        time_base=clip.time_base,
        cuts=detector.finish() if detector is not None else (0,),
        last_duration=1,
        seekable=True,
        damaged=bool(bad),
        warnings=clip.warnings + (lost if bad else ()),
    )


def _small_bgr(pixels: np.ndarray) -> np.ndarray:
    small = cv2.resize(pixels[:, :, :3], small_size(pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_AREA)
    if small.dtype == np.uint16:
        small = (small // 257).astype(np.uint8)
    return np.ascontiguousarray(small[:, :, ::-1])
