"""Small synthetic media files for tests, written with PyAV: every function returns the path that it wrote.

Each picture carries its own number as a row of black and white blocks (`stamp`), which survives lossy coding, so that a
test can ask which frame it was given (`read_stamp`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from limpid.video.priority import kept_priority

os.environ.setdefault("SVT_LOG", "1")
STAMP_BITS = 10
_QUIET = {"libx264": {"preset": "veryfast"}, "libx265": {"preset": "veryfast", "x265-params": "log-level=none"}}


def picture(index: int, width: int = 64, height: int = 48, *, channels: int = 3, stamp: bool = True) -> np.ndarray:
    """A moving, textured RGB (or RGBA) picture ``h w c`` uint8; the same for the same arguments."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = [
        128 + 70 * np.sin((x + 2 * index) / 9 + 0.3) + 30 * np.cos(y / 5),
        128 + 60 * np.cos((y - index) / 7) + 25 * np.sin(x / 6),
        128 + 50 * np.sin((x + y + 3 * index) / 11),
        40 + 200 * (((x - index) % width) / width),
    ]
    rgb = np.clip(np.stack(planes[:channels], axis=-1), 0, 255).astype(np.uint8)
    if stamp:
        edges = np.linspace(0, width, STAMP_BITS + 1).astype(int)
        for bit in range(STAMP_BITS):
            rgb[: max(4, height // 5), edges[bit] : edges[bit + 1], :3] = 255 if index >> bit & 1 else 0
    return rgb


def read_stamp(pixels: np.ndarray) -> int:
    """The number in a picture made by `picture`, at any size and bit depth, also after lossy coding."""
    height, width = pixels.shape[:2]
    block, rows = width / STAMP_BITS, max(4, height // 5)
    half = np.iinfo(pixels.dtype).max / 2
    row = pixels[: max(1, rows - 2), :, :3].astype(np.float64).mean(axis=(0, 2))
    return sum(1 << bit for bit in range(STAMP_BITS) if row[int((bit + 0.5) * block)] > half)


def shot_picture(index: int, width: int, height: int, cuts: Sequence[int]) -> np.ndarray:
    """A slowly moving picture whose content changes altogether at each frame in ``cuts``."""
    shot = sum(index >= cut for cut in cuts)
    rng = np.random.default_rng(shot)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    large = cv2.resize(small, (width + 32, height), interpolation=cv2.INTER_CUBIC)
    shift = abs(index % 32 - 16)
    return np.ascontiguousarray(large[:, shift : shift + width])


def weave(index: int, width: int, height: int) -> np.ndarray:
    """An interlaced picture: even lines of time ``2 index``, odd lines of time ``2 index + 1`` (top field first)."""
    frame = picture(2 * index, width, height, stamp=False)
    frame[1::2] = picture(2 * index + 1, width, height, stamp=False)[1::2]
    return frame


def _video_stream(container: Any, codec: str, fps: Fraction, pix_fmt: str, size: tuple[int, int], **more: Any) -> Any:
    stream = container.add_stream(codec, rate=fps, options=more.get("options") or {})
    stream.width, stream.height = size
    stream.pix_fmt = pix_fmt
    context = stream.codec_context
    if more.get("time_base"):
        context.time_base = more["time_base"]
    if more.get("sample_aspect"):
        context.sample_aspect_ratio = more["sample_aspect"]
    for name in ("color_primaries", "color_trc", "colorspace", "color_range"):
        if more.get(name) is not None:
            setattr(context, name, more[name])
    if more.get("threads"):
        context.thread_count = more["threads"]
    if more.get("rotation") is not None or more.get("mirrored"):
        stream.set_display_rotation(-(more.get("rotation") or 0), hflip=bool(more.get("mirrored")))
    return stream


def make_video(
    path: Path,
    *,
    codec: str = "libx264",
    width: int = 64,
    height: int = 48,
    frames: int = 12,
    fps: Fraction = Fraction(25),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int | None = None,
    mirrored: bool = False,
    sample_aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    audio: bool = False,
    subtitles: bool = False,
    format: str | None = None,
    container_options: dict[str, str] | None = None,
    draw: Callable[[int], np.ndarray] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """One video file. ``rotation`` is in degrees clockwise that players must turn; ``pts`` are in ``time_base``.

    ``draw(i)`` gives the picture, RGB(A) uint8 or uint16; default `picture`. ``tags``: color_primaries, color_trc,
    colorspace, color_range as FFmpeg's numbers. ``audio`` adds a sine as long as the video (AAC, Opus in WebM),
    ``subtitles`` one line of text.
    """
    channels = 4 if pix_fmt.startswith(("yuva", "rgba", "bgra", "gbrap", "argb")) else 3
    draw = draw or (lambda i: picture(i, width, height, channels=channels))
    with av.open(str(path), "w", format=format, options=container_options or {}) as out:
        out.metadata.update(metadata or {})
        options = {**_QUIET.get(codec, {}), **(options or {})}
        more = {"options": options, "time_base": time_base, "sample_aspect": sample_aspect, **(tags or {})}
        more |= {"rotation": rotation, "mirrored": mirrored}
        stream = _video_stream(out, codec, fps, pix_fmt, (width, height), **more)
        sound = _audio_stream(out, path) if audio else None
        text = _subtitle_stream(out, path) if subtitles else None
        for i in range(frames):
            frame = to_frame(draw(i), pix_fmt, **(tags or {}))
            frame.pts, frame.time_base = (i if pts is None else pts[i]), time_base or 1 / fps
            with kept_priority():
                packets = stream.encode(frame)
            out.mux(packets)
        out.mux(stream.encode(None))
        if sound is not None:
            _write_sine(out, sound, float(frames / fps))
        if text is not None:
            _write_subtitle(out, text)
    return path


def to_frame(pixels: np.ndarray, pix_fmt: str, **tags: int) -> av.VideoFrame:
    """RGB(A) pixels as a frame of another format, converted with the tagged matrix and range."""
    name = {(3, 1): "rgb24", (3, 2): "rgb48le", (4, 1): "rgba", (4, 2): "rgba64le"}[
        pixels.shape[2], pixels.dtype.itemsize
    ]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)
    matrix = {1: 1, 5: 5, 6: 5, 7: 7, 9: 9}.get(tags.get("colorspace", 2), 5)
    flags = "BICUBIC"
    out = frame.reformat(
        format=pix_fmt, dst_colorspace=matrix, dst_color_range=tags.get("color_range", 0), interpolation=flags
    )
    for key, value in tags.items():
        setattr(out, key, value)
    return out


def _audio_stream(out: Any, path: Path) -> Any:
    return out.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000, layout="mono")


def _write_sine(out: Any, stream: Any, seconds: float) -> None:
    total, size = int(seconds * 48000), 960
    wave = (0.2 * np.sin(np.arange(total) * 2 * np.pi * 440 / 48000)).astype(np.float32)
    resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=48000)
    for start in range(0, total, size):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + size], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for piece in resampler.resample(frame):
            out.mux(stream.encode(piece))
    for piece in resampler.resample(None):
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def _subtitle_stream(out: Any, path: Path) -> Any:
    codec = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}.get(path.suffix, "subrip")
    stream = out.add_stream(codec)
    stream.codec_context.subtitle_header = b"[Script Info]\n\n[V4+ Styles]\n\n[Events]\n"
    return stream


def _write_subtitle(out: Any, stream: Any) -> None:
    text = b"hello"
    data = len(text).to_bytes(2, "big") + text if stream.codec_context.name == "mov_text" else text
    packet = av.Packet(data)
    packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 200
    packet.time_base = Fraction(1, 1000)
    out.mux(packet)


def remux(
    source: Path, path: Path, *, shift: int = 0, options: dict[str, str] | None = None, format: str | None = None
) -> Path:
    """Copy the video packets without re-encoding, their times moved by ``shift`` (in the source's time base)."""
    with av.open(str(source)) as src, av.open(str(path), "w", format=format, options=options or {}) as out:
        stream = out.add_stream_from_template(src.streams.video[0])
        for packet in src.demux(src.streams.video[0]):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = stream
            out.mux(packet)
    return path


def hidden_frames_mp4(path: Path, *, hidden: int, frames: int = 24, **more: Any) -> Path:
    """An mp4 whose edit list hides the first ``hidden`` frames, as phones and cutting tools write it."""
    whole = make_video(path.with_name(path.stem + "_whole.mp4"), frames=frames, **more)
    with av.open(str(whole)) as src:
        tick = int(1 / src.streams.video[0].average_rate / src.streams.video[0].time_base)
    return remux(whole, path, shift=-hidden * tick, options={"avoid_negative_ts": "disabled"})


def image_folder(
    folder: Path,
    *,
    frames: int = 5,
    width: int = 64,
    height: int = 48,
    suffix: str = ".png",
    channels: int = 3,
    dtype: Any = np.uint8,
    name: str = "frame_{}",
) -> Path:
    """A folder of numbered images; without zero padding, so that only a natural sort gives the right order."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(frames):
        rgb = picture(i, width, height, channels=channels)
        write_image(folder / (name.format(i) + suffix), rgb.astype(dtype) * (257 if dtype == np.uint16 else 1))
    return folder


def write_image(path: Path, rgb: np.ndarray) -> Path:
    """One still image from RGB or RGBA pixels."""
    code = cv2.COLOR_RGBA2BGRA if rgb.shape[2] == 4 else cv2.COLOR_RGB2BGR
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, code))
    assert done
    path.write_bytes(data.tobytes())
    return path


def truncate(source: Path, path: Path, fraction: float) -> Path:
    """The first ``fraction`` of a file's bytes."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


def damage(source: Path, path: Path, *, start: float = 0.4, length: int = 300, seed: int = 0) -> Path:
    """The file with ``length`` bytes of noise written over it at ``start`` (a fraction of its size)."""
    data = bytearray(source.read_bytes())
    at = int(len(data) * start)
    data[at : at + length] = np.random.default_rng(seed).bytes(length)[: max(0, len(data) - at)]
    path.write_bytes(bytes(data))
    return path
