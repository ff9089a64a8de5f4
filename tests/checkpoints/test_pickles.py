"""Files of ``torch.save`` are read, whatever else is in them does nothing."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from limpid.checkpoints import pickles
from limpid.checkpoints.opcodes import PLAIN, Placeholder, run_pickle
from limpid.checkpoints.pickles import read_pickle
from limpid.types import WeightsError

SHARED = torch.arange(12.0).reshape(3, 4)
STATE = OrderedDict(
    float32=torch.randn(3, 5),
    float16=torch.randn(7).half(),
    bfloat16=torch.randn(2, 2).bfloat16(),
    float64=torch.randn(3).double(),
    int64=torch.arange(5),
    uint8=torch.arange(3, dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    transposed=SHARED.T,
    part=SHARED[1:, 2],
    parameter=nn.Parameter(torch.randn(2)),
)


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def new(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def saved(path: Path, value: Any, new: bool = True) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


def equal(left: Any, right: Any) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())


def test_tensors_of_every_kind(tmp_path: Path, new: bool) -> None:
    read = read_pickle(saved(tmp_path / "a.pt", STATE, new))
    assert list(read) == list(STATE)
    assert all(equal(read[name], STATE[name]) for name in STATE)


def test_a_state_dict_with_its_metadata(tmp_path: Path, new: bool) -> None:
    state = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict()
    read = read_pickle(saved(tmp_path / "a.pt", {"ema": state, "step": 7, "loss": 0.5, "note": b"x\xff"}, new))
    assert (read["step"], read["loss"], read["note"]) == (7, 0.5, b"x\xff")
    assert all(equal(read["ema"][name], state[name]) for name in state)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {"set": {1, 2}, "frozen": frozenset({"a"}), "nested": [1, (2, [None, True]), {"x": -(10**30)}], "t": STATE}
    torch.save(value, tmp_path / "a.pt", pickle_protocol=protocol)
    read = read_pickle(tmp_path / "a.pt")
    assert {key: read[key] for key in value if key != "t"} == {key: value[key] for key in value if key != "t"}
    assert equal(read["t"]["transposed"], STATE["transposed"])


def test_what_is_shared_stays_shared_and_the_file_is_not_changed(tmp_path: Path) -> None:
    tensor = torch.zeros(4)
    path = saved(tmp_path / "a.pt", {"a": tensor, "b": tensor[2:]})
    before = path.read_bytes()
    read = read_pickle(path)
    read["a"][3] = 1
    assert read["b"].tolist() == [0, 1]
    del read
    assert path.read_bytes() == before


# ---------------------------------------------------------------------------------------------- hostile files


class Runs:
    """Pickles to a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("name", ["system", "exec", "eval", "getattr", "nested"])
def test_a_file_that_calls_something_does_nothing(tmp_path: Path, name: str, new: bool) -> None:
    mark = tmp_path / "mark"
    attack = {
        "system": Runs(os.system, f"touch {mark}"),
        "exec": Runs(exec, f"open({str(mark)!r}, 'w')"),
        "eval": Runs(eval, f"open({str(mark)!r}, 'w')"),
        "getattr": Runs(getattr, Runs(__import__, "os"), "system"),
        "nested": Runs(map, Runs(getattr, Runs(__import__, "os"), "system"), [f"touch {mark}"]),
    }[name]
    path = saved(tmp_path / "a.pt", {"w": torch.ones(2), "x": attack}, new)
    read = read_pickle(path)
    assert not mark.exists()
    assert isinstance(read["x"], Placeholder) and "not loaded" in repr(read["x"])
    assert read["w"].tolist() == [1, 1]


PROGRAMS = {
    "dotted name": b"\x80\x04\x8c\x05torch\x8c\x10os.system.__call\x93\x8c\x06touch x\x85R.",
    "global": b"cos\nsystem\n(S'false'\ntR.",
    "inst": b"(S'false'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'false'\no.",
    "newobj_ex": b"\x80\x04cos\nsystem\n)}\x92.",
    "result called again": b"cos\nsystem\n)R(S'false'\ntR.",
    "state of a function": b"ctorch._utils\n_rebuild_tensor_v2\n}S'__defaults__'\nNsb.",
    "extension": b"\x80\x02\x82\x01)R.",
    "attribute of an allowed name": b"\x80\x04\x8c\x0bcollections\x8c\x18OrderedDict.__init__.__x\x93)R.",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_instructions_that_could_call_something(program: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("called"))
    try:
        value = run_pickle(io.BytesIO(program), PLAIN, Placeholder)
    except ValueError:
        return
    assert isinstance(value, Placeholder) or type(value).__name__ == "Allowed"


def test_reading_imports_nothing(tmp_path: Path) -> None:
    import sys

    data = saved(tmp_path / "a.pt", {"x": Runs(os.system, "x")}).read_bytes()
    name = "posix" if b"posix" in data else "nt"
    archive = tmp_path / "b.pt"
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(archive, "w") as changed:
        for entry in old.namelist():
            changed.writestr(entry, old.read(entry).replace(f"c{name}\n".encode(), b"cantigravity\n"))
    assert "antigravity" in repr(read_pickle(archive)["x"])
    assert "antigravity" not in sys.modules


class Callback:
    """A class that a reader does not have."""

    def __init__(self) -> None:
        self.best, self.items = torch.ones(1), [1]


class Settings(dict[str, Any]):
    """Like OmegaConf's: a dictionary class with state."""


@pytest.fixture
def training_state() -> dict[str, Any]:
    settings = Settings(lr=1e-4)
    settings.parent = {"flags": settings}  # type: ignore[attr-defined]
    return {
        "state_dict": OrderedDict(weight=torch.ones(2, 2)),
        "callbacks": {"ModelCheckpoint": Callback(), "other": [Callback()]},
        "hyper_parameters": settings,
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
    }


def test_a_training_state_with_classes_of_its_own(tmp_path: Path, training_state: dict[str, Any], new: bool) -> None:
    read = read_pickle(saved(tmp_path / "a.ckpt", training_state, new))
    assert read["state_dict"]["weight"].tolist() == [[1, 1], [1, 1]]
    assert isinstance(read["callbacks"]["ModelCheckpoint"], Placeholder)
    assert isinstance(read["hyper_parameters"], Placeholder)
    assert read["dtype"] is torch.float16 and tuple(read["size"]) == (1, 2)


# ---------------------------------------------------------------------------------------------- broken files


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        read_pickle(path)
    text = str(error.value)
    assert str(path) in text and "\n" not in text
    return text


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, new: bool, share: float) -> None:
    path = saved(tmp_path / "a.pt", {"w": torch.randn(1000)}, new)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path)


def test_other_files(tmp_path: Path) -> None:
    contents = {
        "<!DOCTYPE html><html>Sign in": "web page",
        "version https://git-lfs.github.com/spec/v1\noid": "git-lfs",
        '{"error": "not found"}': "JSON",
        "\0" * 5000: "zeros",
        "hello": "not a file that torch.save wrote",
    }
    for number, (content, words) in enumerate(contents.items()):
        path = tmp_path / f"{number}.pt"
        path.write_text(content)
        assert words in refused(path)
    save_file({"w": torch.ones(2)}, tmp_path / "a.bin")
    assert "safetensors" in refused(tmp_path / "a.bin")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"w": 1}))
    assert "torch.save" in refused(tmp_path / "b.pt")
    refused(tmp_path / "missing.pt")
    refused(tmp_path)


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 50_000_000)
    assert "compressed" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", b"x")
    assert "data.pkl" in refused(path)


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((1 << 40,), (0,), 0), ((5,), (1,), 0), ((2,), (1,), 3), ((2,), (-1,), 1), ((2, 2), (1,), 0), (("x",), (1,), 0)],
)
def test_a_tensor_larger_than_its_numbers_is_refused(size: Any, stride: Any, offset: int, tmp_path: Path) -> None:
    attack = Runs(
        torch._utils._rebuild_tensor_v2,
        torch.storage.TypedStorage(4, dtype=torch.float32, _internal=True),
        offset,
        size,
        stride,
        False,
        OrderedDict(),
    )
    assert "tensor" in refused(saved(tmp_path / "a.pt", attack))


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    deep = b")" + b"\x85" * 300_000
    with pytest.raises(ValueError, match="key"):
        run_pickle(io.BytesIO(b"\x80\x02}" + deep + b"Ns."), {}, Placeholder)
    with pytest.raises(ValueError):
        run_pickle(io.BytesIO(b"\x80\x04\x8f(" + deep + b"\x90."), {}, Placeholder)


def test_random_damage_never_raises_anything_else(tmp_path: Path, new: bool) -> None:
    path = saved(tmp_path / "a.pt", {"w": STATE, "x": [1, "two"]}, new)
    sound, chance = path.read_bytes(), random.Random(0)
    end = min(len(sound), 3000)
    for _ in range(400):
        broken = bytearray(sound)
        for _ in range(chance.choice([1, 3, 20])):
            broken[chance.randrange(end)] = chance.randrange(256)
        path.write_bytes(broken)
        try:
            read_pickle(path)
        except WeightsError:
            pass


def test_the_number_of_instructions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.checkpoints.opcodes.MAX_INSTRUCTIONS", 10)
    with pytest.raises(ValueError, match="instructions"):
        run_pickle(io.BytesIO(b"N0" * 20 + b"N."), {}, Placeholder)


def test_a_structure_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_PICKLE_BYTES", 10)
    assert "too large" in refused(saved(tmp_path / "a.pt", {"w": torch.ones(2)}))
