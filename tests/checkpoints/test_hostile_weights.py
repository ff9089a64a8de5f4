"""Weight files, cards and configs that ask for too much (kind H): refused at once, in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.checkpoints.configs import check_config, read_config
from limpid.checkpoints.folders import CARD, read_card
from limpid.checkpoints.opcodes import PLAIN, check_shape, run_pickle
from limpid.checkpoints.pickles import read_pickle
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.checkpoints.verify import changed_files
from limpid.networks.by_name import make_network
from limpid.types import WeightsError

MANY = 20_000


def run(program: bytes) -> Any:
    return run_pickle(io.BytesIO(b"\x80\x02" + program + b"."), PLAIN, lambda identity: None)


PROGRAMS: dict[str, bytes] = {
    "nested tuples": b")" + b"\x85" * MANY,
    "nested lists": b"]" * MANY + b"a" * (MANY - 1),
    "nested marks": b"(" * MANY + b"t" * MANY,
    "itself in a dictionary": b"}q\0(U\1xh\0u",
    "itself in a list": b"]q\0h\0a",
    "itself through another": b"]q\0]q\1h\0ah\1a" + b"0h\0h\1a",
    "doubled again and again": b"]q\0K\1a" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60)),
    "copied lists": b"](" + b"K\1" * MANY + b"eq\0(" + b"cbuiltins\nlist\nh\0\x85R" * 4000 + b"l",
    "copied texts": b"X\0\x40\0\0" + b"x" * (1 << 14) + b"q\0(" + b"c_codecs\nencode\nh\0\x85R" * 4000 + b"l",
    "a huge number": b"\x8b" + MANY.to_bytes(4, "little") + b"\x7f" * MANY,
    "a number of digits": b"L" + b"9" * MANY + b"L\n",
    "a deep key": b"}" + b")" + b"\x85" * MANY + b"K\1s",
    "a long key": b"}(" + b"K\1" * MANY + b"tK\1s",
    "a deep member of a set": b"\x8f(" + b")" + b"\x85" * MANY + b"\x90",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_programs_that_exhaust_are_refused(program: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as found:
        run(program)
    assert len(str(found.value)) < 400


def test_what_checkpoints_hold_is_fine() -> None:
    check_shape({"a": [1, (2, {"b": [None]})], "c": {str(n): n for n in range(10_000)}})
    assert run(b"}(X\1\0\0\0a]K\1a" + b"u") == {"a": [1]}


def torch_file(path: Path, pickle: bytes, entries: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + pickle + b".")
        archive.writestr("a/data/0", b"\0" * 64)
        for number in range(entries):
            archive.writestr(f"a/data/x{number}", b"")
    return path


STORAGE = b"((U\7storagectorch\nFloatStorage\nU\x010U\3cpuK\x10tQ"


def tensor(shape: bytes, stride: bytes) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + STORAGE + b"K\0" + shape + stride + b"\x89}tR"


HUGE = b"\x8a\x09" + (1 << 62).to_bytes(9, "little")


@pytest.mark.parametrize(
    "body",
    [
        tensor(b"(" + b"K\1" * 70 + b"t", b"(" + b"K\1" * 70 + b"t"),
        tensor(b"(" + HUGE + b"t", b"(K\0t"),
        tensor(b"(K\2t", b"(" + HUGE + b"t"),
    ],
    ids=["dimensions", "shape", "stride"],
)
def test_tensors_that_cannot_be_are_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pickle(torch_file(tmp_path / "x.pth", body))


def test_views_are_not_far_larger_than_their_file(tmp_path: Path) -> None:
    body = tensor(b"(M\0\x40t", b"(K\1t").replace(b"K\x10tQ", b"M\0\x40tQ")
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02](" + body * 100 + b"e.")
        archive.writestr("a/data/0", b"\0" * 4 * (1 << 14))
    with pytest.raises(WeightsError, match="far larger than the file"):
        read_pickle(tmp_path / "x.pth")


def test_names_with_control_characters_are_escaped_and_cut(tmp_path: Path) -> None:
    name = b"\x1b[2J\n" * 1000
    key = b"X" + len(name).to_bytes(4, "little") + name
    body = b"ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\n" + key + b"U\3cpuK\x10tQK\0))\x89}tR"
    with pytest.raises(WeightsError) as found:
        read_pickle(torch_file(tmp_path / "x.pth", body))
    assert "\x1b" not in str(found.value) and "\n" not in str(found.value) and len(str(found.value)) < 500


def test_a_safetensors_header_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for data in (b"\xff" * 8, (90 << 20).to_bytes(8, "little") + b"{" * 100, b"", b"\x02\0\0\0\0\0\0\0[]"):
        path.write_bytes(data)
        with pytest.raises(WeightsError) as found:
            SafetensorsFile(path)
        assert len(str(found.value)) < 400


@pytest.mark.parametrize(
    "config",
    [
        {"layers_per_block": 10**7},
        {"transformer_layers_per_block": [1, 10**9]},
        {"num_hidden_layers": 100_000},
        {"block_out_channels": [64] * 1000},
        {"norm_num_groups": 0, "block_out_channels": [32], "layers_per_block": 1},
        {"vocab_size": 2**40},
        {"a": {"b": {"layers": 2**31}}},
        {"attention_head_dim": "x"},
        {"block_out_channels": "abc"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["TemporalUNet", "UpscalerVAE", "no such network"])
def test_configs_of_endless_networks_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(WeightsError) as found:
        make_network(name, config)
    assert len(str(found.value)) < 600


def test_published_sizes_pass() -> None:
    check_config({"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "vocab_size": 49408})


@pytest.mark.parametrize("text", ["[" * 100_000, "", "[]", '{"a": ' + "9" * 5000 + "}", "\x00"])
def test_configs_that_are_no_json_objects(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match="damaged"):
        read_config(tmp_path / "config.json")


FILES: list[Callable[[dict[str, Any]], object]] = [
    lambda card: card.update(files=3),
    lambda card: card.update(files={"x": 3}),
    lambda card: card.update(files={"../x": {"sha256": "a", "size": 1}}),
    lambda card: card.update(files={"/etc/passwd": {"sha256": "a", "size": 1}}),
    lambda card: card.update(files={"x": {"sha256": 1, "size": 1}}),
    lambda card: card.update(files={"x": {"sha256": "a", "size": -1}}),
    lambda card: card.update(name=3),
    lambda card: card.update(notes=5),
    lambda card: card.update(random="yes"),
    lambda card: card.update(defaults={"steps": []}),
    lambda card: card.update(sources=[1]),
    lambda card: card.pop("name"),
]


@pytest.mark.parametrize("edit", FILES)
def test_cards_are_checked(tmp_path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    card: dict[str, Any] = {"name": "x", "version": "1", "files": {"a": {"sha256": "0", "size": 1}}}
    (tmp_path / CARD).write_text(json.dumps(card))
    assert read_card(tmp_path).name == "x"
    edit(card)
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="damaged"):
        changed_files(tmp_path)
