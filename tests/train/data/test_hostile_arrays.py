"""Arrays in shards that promise what they do not hold: terabytes, objects, odd shapes, nonsense (K)."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from limpid.cli.main import main
from limpid.train.data import open_clips
from limpid.train.stage import ClipSpec
from limpid.types import InputError

from .material import write_tar

SPEC = ClipSpec(frames=3, crop_px=64, degradation="light")

HEADERS = {
    "a terabyte": {"descr": "|u1", "fortran_order": False, "shape": (3, 1 << 20, 1 << 18, 3)},
    "beyond 64 bits": {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 1 << 40, 1 << 40, 3)},
    "below zero": {"descr": "|u1", "fortran_order": False, "shape": (-3, -64, 64, 3)},
    "below zero in pairs": {"descr": "|u1", "fortran_order": False, "shape": (1, -1, -16, 1)},
    "objects": {"descr": "|O", "fortran_order": False, "shape": (2,)},
    "doubles": {"descr": "<f8", "fortran_order": False, "shape": (1, 1, 1, 2)},
    "one value of a terabyte": {"descr": "|V1099511627776", "fortran_order": False, "shape": (1,)},
    "text for a shape": {"descr": "|u1", "fortran_order": False, "shape": "3, 64, 64, 3"},
    "no shape": {"descr": "|u1", "fortran_order": False},
    "truth for sizes": {"descr": "|u1", "fortran_order": False, "shape": (True, True, 16, True)},
}
TEXTS = {
    "deep": b"{'descr': '|u1', 'fortran_order': False, 'shape': " + b"(" * 4000 + b"}",
    "deep and closed": b"(" * 2000 + b")" * 2000,
    "long": b"{'descr': '|u1', 'fortran_order': False, 'shape': (" + b"1," * 30_000 + b")}",
    "huge number": b"{'descr': '|u1', 'fortran_order': False, 'shape': (" + b"9" * 6000 + b",)}",
    "code": b"__import__('os').system('touch touched')",
    "control": b"{'descr': '\x1b[2J', 'fortran_order': False, 'shape': (1,)}",
    "zeros": b"\0" * 100,
    "nothing": b"",
}
HOSTILE = {**{name: repr(header).encode() for name, header in HEADERS.items()}, **TEXTS}


def array(text: bytes, *, version: int = 1, promised: int | None = None) -> bytes:
    """An array file of 16 bytes of data with such a header; ``promised``: the length that it claims to have."""
    length = struct.pack("<H" if version == 1 else "<I", len(text) + 1 if promised is None else promised)
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + b"\n" + b"\0" * 16


def good(*shape: int) -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros(shape, np.uint8))
    return data.getvalue()


def check_refused(folder: Path, members: dict[str, bytes]) -> None:
    write_tar(folder / "a.tar", members)
    with pytest.raises(InputError, match="cannot be read") as found:
        open_clips(folder, SPEC, seed=0).sample(0)
    assert len(str(found.value)) < 600
    assert not (folder / "touched").exists()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("side", ["hr", "lr"])
@pytest.mark.parametrize("name", HOSTILE)
def test_headers_that_lie_are_refused(tmp_path: Path, name: str, side: str, version: int) -> None:
    members = {"x.hr.npy": good(3, 64, 64, 3), "x.lr.npy": good(3, 16, 16, 3)}
    check_refused(tmp_path, {**members, f"x.{side}.npy": array(HOSTILE[name], version=version)})


@pytest.mark.parametrize("data", [array(b"{}", version=3), array(b"{}", version=9), b"\x93NUMPY", b"", b"PK\3\4"])
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, data: bytes) -> None:
    check_refused(tmp_path, {"x.hr.npy": data, "x.lr.npy": good(3, 16, 16, 3)})


@pytest.mark.parametrize("promised", [65535, 0])
def test_headers_of_another_length_than_they_say(tmp_path: Path, promised: int) -> None:
    data = array(HOSTILE["a terabyte"], promised=promised)
    check_refused(tmp_path, {"x.hr.npy": data, "x.lr.npy": good(3, 16, 16, 3)})


def test_a_training_on_such_pairs_ends_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    lie = array(HOSTILE["a terabyte"])
    write_tar(tmp_path / "data" / "a.tar", {"k.hr.npy": lie, "k.lr.npy": lie})
    places = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    code = main(["train", "--recipe", "tiny", "--small", "--steps", "1", "--workers", "0", *places])
    said = capsys.readouterr().err
    assert code == 3, said
    assert "k.hr.npy: cannot be read" in said and "Traceback" not in said
