"""Orientation, profile, EXIF and XMP of images, from every kind to every kind that has a place for them; HEIC."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import heif
import numpy as np
import pytest
from media import picture
from passing import pass_through

from limpid.types import InputError
from limpid.video import probe
from limpid.video.directories import EXIF, GPS, TagField, read_directory, write_directory
from limpid.video.heif import read_heif
from limpid.video.image_tags import ImageTags, read_tags, with_tags
from limpid.video.images import load_image
from limpid.video.stills import can_write

ICC = bytes(16) + b"RGB " + bytes(range(200)) * 4
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="A title"/></x:xmpmeta>'
FIELDS = (
    TagField(tag=271, kind=2, data=b"Maker\0"),
    TagField(tag=274, kind=3, data=struct.pack("<H", 6)),
    TagField(tag=306, kind=2, data=b"2026:01:02 03:04:05\0"),
    TagField(tag=33432, kind=2, data=b"Somebody\0"),
    TagField(tag=EXIF, kind=4, inner=(TagField(tag=33434, kind=5, data=struct.pack("<II", 1, 250)),)),
    TagField(tag=GPS, kind=4, inner=(TagField(tag=2, kind=5, data=struct.pack("<6I", 52, 1, 31, 1, 12, 1)),)),
)
KINDS = ["png", "jpg", "webp", "tif", *(["avif"] if can_write("avif") else [])]


def block(order: str) -> bytes:
    """EXIF in either order of bytes; the orientation says: turn by 90 degrees clockwise."""
    mark = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return mark + write_directory(FIELDS, order, 8)


def image(path: Path, tags: ImageTags, channels: int = 3) -> Path:
    """64x48 with these tags; AVIF through OpenCV, as Limpid writes it."""
    data = cv2.imencode(path.suffix, picture(1, channels=channels))[1].tobytes()
    if path.suffix == ".avif":
        blocks = {
            cv2.IMAGE_METADATA_EXIF: tags.exif,
            cv2.IMAGE_METADATA_ICCP: tags.icc,
            cv2.IMAGE_METADATA_XMP: tags.xmp,
        }
        arrays = [np.frombuffer(each, np.uint8) for each in blocks.values()]
        data = cv2.imencodeWithMetadata(".avif", picture(1, channels=channels), list(blocks), arrays)[1].tobytes()
    path.write_bytes(data if path.suffix == ".avif" else with_tags(data, path.suffix[1:], tags))
    return path


def described(exif: bytes) -> dict[int, bytes | dict[int, bytes]]:
    return {
        entry.tag: {inner.tag: inner.data for inner in entry.inner} if entry.inner else entry.data
        for entry in read_directory(exif)
    }


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_tags_go_from_every_kind_to_every_kind(tmp_path: Path, source: str, target: str, order: str) -> None:
    given = image(tmp_path / f"in.{source}", ImageTags(exif=block(order), icc=ICC, xmp=XMP))
    passed = pass_through(given, tmp_path / f"out.{target}")
    found = read_tags(passed.output)
    assert found.icc == ICC
    assert b"A title" in found.xmp and b'tiff:Orientation="1"' in found.xmp
    values = described(found.exif)
    due = {entry.tag: {i.tag: i.data for i in entry.inner} if entry.inner else entry.data for entry in FIELDS}
    for tag in (271, 306, 33432, EXIF, GPS):
        assert values[tag] == due[tag]
    assert values.get(274, b"\1\0") == b"\1\0"
    assert probe(passed.output).width == (64 if source == "tif" else 48)  # a TIFF says so elsewhere
    assert not passed.says("EXIF") and not passed.says("profile")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "avif"])
def test_every_orientation_with_and_without_transparency(
    tmp_path: Path, kind: str, channels: int, orientation: int
) -> None:
    """What OpenCV makes of a picture without transparency is right; those with it must be turned in the same way."""
    if kind not in KINDS:
        pytest.skip("this OpenCV has no AVIF")
    exif = block("<").replace(struct.pack("<HHIH", 274, 3, 1, 6), struct.pack("<HHIH", 274, 3, 1, orientation))
    given = image(tmp_path / f"in.{kind}", ImageTags(exif=exif), channels)
    shown = cv2.imread(str(given), cv2.IMREAD_COLOR)
    if shown is None:
        pytest.skip("this OpenCV cannot read it either")
    due = shown[..., ::-1]
    found = load_image(given, alpha=channels == 4, deep=False)
    assert found is not None and np.array_equal(found[..., :3], due)
    passed = pass_through(given, tmp_path / "out.png")
    assert np.array_equal(cv2.imread(str(passed.output), cv2.IMREAD_UNCHANGED)[..., 2::-1], due)


@pytest.mark.parametrize(
    "junk", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0" * 9]
)
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_exif_that_is_none_harms_nothing(tmp_path: Path, kind: str, junk: bytes) -> None:
    given = image(tmp_path / f"in.{kind}", ImageTags(exif=junk, icc=ICC))
    for target in ("png", "tif"):
        passed = pass_through(given, tmp_path / f"out.{target}")
        assert cv2.imread(str(passed.output)).shape == (48, 64, 3)
        assert read_tags(passed.output).icc == ICC


def test_directories_that_contain_themselves(tmp_path: Path) -> None:
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, EXIF, 4, 1, 8) + bytes(4)
    assert len(read_directory(loop)) == 1
    (tmp_path / "x.tif").write_bytes(
        with_tags(cv2.imencode(".tif", picture(0))[1].tobytes(), "tif", ImageTags(exif=loop))
    )
    assert cv2.imread(str(tmp_path / "x.tif")).shape == (48, 64, 3)


# ----------------------------------------------------------------------------------------------------- HEIC


def colours(*shades: tuple[int, int, int], width: int = 64, height: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), shade, np.uint8) for shade in shades]


def test_one_picture_of_heic(tmp_path: Path) -> None:
    writer = heif.HeicWriter()
    main = writer.add_picture(colours((200, 30, 30))[0], heif.profile(ICC))
    writer.refer(b"cdsc", writer.add(b"Exif", bytes(4) + block(">")), main)
    writer.refer(b"cdsc", writer.add(b"mime", XMP, more=b"application/rdf+xml\0"), main)
    path = writer.write(tmp_path / "in.heic", main)
    passed = pass_through(path, tmp_path / "out.png")
    shown = cv2.imread(str(passed.output))[..., ::-1].astype(int)
    assert shown.shape == (64, 64, 3) and np.abs(shown - (200, 30, 30)).max() < 12
    found = read_tags(passed.output)
    assert (found.icc, described(found.exif)[271]) == (ICC, b"Maker\0") and b"A title" in found.xmp
    assert not passed.says("profile")
    assert pass_through(path, tmp_path / "out.mkv").says("colour profile", "sRGB")


@pytest.mark.parametrize("size", [(63, 63), (61, 40), (64, 63)])
def test_hidden_edges_of_heic(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = heif.HeicWriter()
    main = writer.add_picture(picture(0, 64, 64), heif.aperture(*size, (64, 64)))
    passed = pass_through(writer.write(tmp_path / "in.heic", main), tmp_path / "out.png")
    assert cv2.imread(str(passed.output)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("columns", "rows"), [(2, 1), (1, 2), (2, 2)])
def test_a_grid_of_heic_is_whole_or_refused(tmp_path: Path, columns: int, rows: int) -> None:
    """As cameras write them, in tiles."""
    writer, shades = heif.HeicWriter(), ((200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 220))
    tiles = [writer.add_picture(tile) for tile in colours(*shades[: columns * rows])]
    size = (64 * columns, 64 * rows)
    main = writer.add(b"grid", heif.grid(columns, rows, *size), heif.extent(*size))
    writer.refer(b"dimg", main, *tiles)
    path = writer.write(tmp_path / "in.heic", main)
    with pytest.raises(InputError, match=f"{columns * rows} tiles"):
        probe(path)


def test_several_pictures_and_transparency_are_told(tmp_path: Path) -> None:
    writer = heif.HeicWriter()
    main, other = (writer.add_picture(each) for each in colours((200, 30, 30), (30, 30, 200)))
    mask = writer.add_picture(colours((128, 128, 128))[0], heif.ALPHA)
    writer.refer(b"auxl", mask, main)
    passed = pass_through(writer.write(tmp_path / "in.heic", main), tmp_path / "out.png")
    assert passed.says("only the main one is restored")
    assert any("transparency" in warning for warning in passed.clip.warnings)
    assert other and np.abs(cv2.imread(str(passed.output))[..., ::-1].astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize("cut", [9, 40, 120, 300])
def test_damaged_heic_is_refused_or_read(tmp_path: Path, cut: int) -> None:
    writer = heif.HeicWriter()
    data = writer.write(tmp_path / "in.heic", writer.add_picture(picture(0, 64, 64))).read_bytes()
    for broken in (data[:cut], data[:cut] + b"\xff" * 60 + data[cut + 60 :], data[:cut] + data[cut + 8 :]):
        (tmp_path / "x.heic").write_bytes(broken)
        assert read_heif(tmp_path / "x.heic").size in ((0, 0), (64, 64))
        with pytest.raises(InputError):
            pass_through(tmp_path / "x.heic", tmp_path / "out.png")
            raise InputError("or it was read")
