"""Folders of images and single images as input."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import media
import numpy as np
import pytest

from limpid.types import InputError, Window
from limpid.video import FrameReader, list_images, probe, resolve_output, scan, to_tensor


def _read_all(path: Path, fps: Fraction | None = Fraction(25)) -> tuple:
    clip = probe(path, fps=fps)
    timeline = scan(clip)
    with FrameReader(clip, timeline) as reader:
        return clip, timeline, reader.read(Window(start=0, stop=timeline.num_frames))


def test_natural_order(tmp_path: Path) -> None:
    _, timeline, frames = _read_all(media.image_folder(tmp_path / "f", frames=12))
    assert [media.read_stamp(frame.pixels) for frame in frames] == list(range(12))
    assert timeline.pts == tuple(range(12))
    (tmp_path / "f" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "f" / "notes.txt").write_text("x")
    assert [path.name for path in list_images(tmp_path / "f")][:3] == ["frame_0.png", "frame_1.png", "frame_2.png"]


def test_missing_rate_is_assumed_and_said(tmp_path: Path) -> None:
    folder = media.image_folder(tmp_path / "f")
    clip, timeline, _ = _read_all(folder, None)
    assert (clip.fps, clip.time_base) == (24, Fraction(1, 24))
    assert clip.fps_assumed and timeline.warnings == ()  # said where it matters: when a film is made of them
    sizes = {"width": clip.width, "height": clip.height, "codec": None, "crf": 16, "bit_depth": None, "threads": 1}
    _, notes = resolve_output(clip, timeline, tmp_path / "out.mp4", **sizes)
    assert any("24 frames/s is assumed" in text for text in notes)
    assert resolve_output(clip, timeline, tmp_path / "out", **sizes)[1] == ()
    assert scan(probe(folder, fps=Fraction(30000, 1001))).warnings == ()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".jpg"])
def test_formats_give_the_pixels_that_were_written(tmp_path: Path, suffix: str) -> None:
    clip, _, frames = _read_all(media.image_folder(tmp_path / "f", frames=2, suffix=suffix))
    assert clip.color.matrix == 0
    assert clip.color.full_range
    difference = np.abs(frames[1].pixels.astype(int) - media.picture(1))
    assert difference.mean() <= (0 if suffix in (".png", ".tif", ".bmp") else 6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_and_alpha(tmp_path: Path, suffix: str, channels: int) -> None:
    folder = media.image_folder(tmp_path / "f", frames=2, suffix=suffix, channels=channels, dtype=np.uint16)
    clip, _, frames = _read_all(folder)
    assert (clip.bit_depth, clip.has_alpha) == (16, channels == 4)
    assert frames[0].pixels.dtype == np.uint16
    np.testing.assert_array_equal(frames[1].pixels, media.picture(1, channels=channels).astype(np.uint16) * 257)


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    cv2.imwrite(str(tmp_path / "f" / "1.png"), np.full((20, 30), 77, np.uint8))
    _, _, frames = _read_all(tmp_path / "f")
    assert frames[0].pixels.shape == (20, 30, 3)
    assert np.all(frames[0].pixels == 77)


def test_one_image_with_alpha_or_depth_decides_for_all(tmp_path: Path) -> None:
    folder = media.image_folder(tmp_path / "f", frames=2)
    media.write_image(folder / "z.png", media.picture(2, channels=4).astype(np.uint16) * 257)
    clip, _, frames = _read_all(folder)
    assert (clip.bit_depth, clip.has_alpha, clip.pix_fmt) == (16, True, "rgba64le")
    assert np.all(frames[0].pixels[:, :, 3] == 65535)
    np.testing.assert_array_equal(frames[0].pixels[:, :, :3], media.picture(0).astype(np.uint16) * 257)


def test_single_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    clip, timeline, frames = _read_all(media.write_image(tmp_path / "a.png", media.picture(5)), None)
    assert (clip.kind, clip.num_frames, timeline.num_frames, timeline.cuts) == ("images", 1, 1, (0,))
    assert media.read_stamp(frames[0].pixels) == 5
    assert timeline.warnings == ()


def test_camera_orientation_is_followed(tmp_path: Path) -> None:
    path = media.write_image(tmp_path / "a.jpg", media.picture(3))
    plain = path.read_bytes()
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + b"\x00\x01" + b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" + bytes(4)
    exif = b"Exif\x00\x00" + tiff
    path.write_bytes(plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:])
    clip, _, frames = _read_all(path)
    assert (clip.width, clip.height) == (48, 64)
    assert media.read_stamp(np.rot90(frames[0].pixels, 1)) == 3


def test_unreadable_image_is_left_out_and_said(tmp_path: Path) -> None:
    folder = media.image_folder(tmp_path / "f", frames=5)
    (folder / "frame_2.png").write_bytes((folder / "frame_2.png").read_bytes()[:40])
    _, timeline, frames = _read_all(folder)
    assert [media.read_stamp(frame.pixels) for frame in frames] == [0, 1, 3, 4]
    assert timeline.pts == (0, 1, 3, 4)
    assert timeline.damaged
    assert any("frame_2.png" in text for text in timeline.warnings)


def test_mixed_sizes_without_png_headers_are_refused_by_scan(tmp_path: Path) -> None:
    folder = media.image_folder(tmp_path / "f", frames=2, suffix=".jpg")
    media.write_image(folder / "z.jpg", media.picture(0, 32, 32))
    with pytest.raises(InputError, match=r"differ in size: frame_0.jpg is 64x48, z.jpg is 32x32"):
        scan(probe(folder, fps=Fraction(25)))


def test_changed_image_is_noticed(tmp_path: Path) -> None:
    folder = media.image_folder(tmp_path / "f", frames=2)
    clip = probe(folder, fps=Fraction(25))
    timeline = scan(clip)
    (folder / "frame_1.png").unlink()
    with FrameReader(clip, timeline) as reader, pytest.raises(InputError, match="has changed"):
        reader.read(Window(start=0, stop=2))


def test_animated_png_is_a_video_and_animated_webp_is_refused(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.png", codec="apng", pix_fmt="rgba", format="apng", frames=5)
    assert scan(probe(path)).num_frames == 5
    media.write_image(tmp_path / "a.webp", media.picture(0))
    data = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(data[:12] + b"ANIM" + data[12:])
    with pytest.raises(InputError):
        probe(tmp_path / "a.webp")


def test_cuts_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for i in range(40):
        media.write_image(tmp_path / "f" / f"{i}.bmp", media.shot_picture(i, 64, 48, [20]))
    assert scan(probe(tmp_path / "f", fps=Fraction(24))).cuts == (0, 20)
    assert scan(probe(tmp_path / "f", fps=Fraction(24)), detect_cuts=False).cuts == (0,)


def test_tensor_of_sixteen_bit_images(tmp_path: Path) -> None:
    _, _, frames = _read_all(media.image_folder(tmp_path / "f", frames=2, dtype=np.uint16))
    tensor = to_tensor(frames)
    assert tuple(tensor.shape) == (2, 3, 48, 64)
    np.testing.assert_allclose(tensor[0].permute(1, 2, 0).numpy(), media.picture(0) / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("001", "002", "005", "006"), "in 1 place between 002.png and 005.png"),
        (("f1a", "f2a", "f4a", "f5a", "f6a", "f8a", "f9a"), "in 2 places, first between f2a.png and f4a.png"),
        (("1", "2", "3"), None),
        (("f10", "f20", "f30", "f40"), None),
        (("a1", "a2", "b7", "b8"), None),
        (("summer", "winter"), None),
        (("7",), None),
    ],
)
def test_numbers_that_are_missing_are_told(tmp_path: Path, names: tuple[str, ...], told: str | None) -> None:
    """Not where frames were numbered in other steps, or the names say something else."""
    for number, name in enumerate(names):
        media.write_image(tmp_path / f"{name}.png", media.picture(number))
    warnings = scan(probe(tmp_path)).warnings
    assert warnings == () if told is None else told in warnings[0]
