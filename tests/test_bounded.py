"""One parser per kind of value from outside, each with a bound (kind K)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpid
from limpid import bounded
from limpid.run.sidecar import from_sidecar
from limpid.settings import Settings
from limpid.types import InputError, LimpidError, SettingsError

ODD = ["1e99999999", "9" * 5000, "1/0", "1e-999999", "nan", "inf", "0x10", "1_0", "", " ", "1//2", "\u0661"]


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_are_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number"):
        bounded.fraction(text)
    with pytest.raises(SettingsError, match="fps is"):
        Settings(fps=text)  # type: ignore[arg-type]
    with pytest.raises(SettingsError):
        limpid.restore([], fps=text)


RATES = [("25", 25), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001))]


@pytest.mark.parametrize(("text", "value"), RATES)
def test_rates_are_exact(text: str, value: Fraction) -> None:
    assert bounded.fraction(text) == value == Settings(fps=text).fps  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"propagation_steps": "1" * 5000},
        {"propagation_steps": "0." + "1" * 5000},
        {"preview": "9" * 5000 + "-1"},
        {"preview": "0:0-1e9"},
        {"device": "cuda:99999"},
        {"device": "cuda:" + "9" * 5000},
        {"seed": 10**5000},
        {"scale": 10**400},
        {"steps": "\x1b[2J"},
        {"method": "x" * 100_000},
        {"weights": "a\0b"},
        {"x" * 10_000: 1},
    ],
    ids=lambda changes: next(iter(changes))[:20],
)
def test_odd_options_are_one_short_sentence(changes: dict[str, object]) -> None:
    from limpid.methods import find_method

    with pytest.raises(LimpidError) as found:
        find_method(Settings().replace(**changes).method, Settings())
    assert len(str(found.value)) < 2000


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_quoting_is_short_and_on_one_line(value: object) -> None:
    said = bounded.quoted(value)
    assert len(said) <= 90 and said == bounded.one_line(said)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 5000, "9" * 5000, "NaN", "-Infinity", '{"a": 1', ""])
def test_json_that_exhausts_or_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        bounded.parse_json(text)
    (tmp_path / "x.limpid.json").write_text(text)
    with pytest.raises(InputError, match="no sidecar"):
        from_sidecar(tmp_path / "x.limpid.json")


def test_pipes_and_large_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    for name in ("pipe", "large"):
        with pytest.raises(ValueError, match=r"regular|more than"):
            bounded.read_json(tmp_path / name)


@dataclass(frozen=True)
class Record:
    count: int
    name: str
    kind: Literal["a", "b"]
    rate: float | None = None
    parts: tuple[int, ...] = ()


@pytest.mark.parametrize(
    "values",
    [
        (1.0, "x", "a"),
        (True, "x", "a"),
        (-1, "x", "a"),
        (2**41, "x", "a"),
        (1, 2, "a"),
        (1, "x", "c"),
        (1, "x" * 5000, "a"),
    ],
)
def test_fields_of_records_are_of_their_kind(values: tuple[object, ...]) -> None:
    bounded.check_fields(Record(1, "x", "a", 0.5, (1, 2)))
    with pytest.raises(ValueError, match=r"count|name|kind"):
        bounded.check_fields(Record(*values))  # type: ignore[arg-type]


def record(tmp_path: Path, **changes: object) -> Path:
    import json

    (tmp_path / "in.mp4").touch()
    values = {"limpid_sidecar": 1, "input": str(tmp_path / "in.mp4"), "settings": {}, "resolved": {}}
    (tmp_path / "o.limpid.json").write_text(json.dumps({**values, **changes}))
    return tmp_path / "o.limpid.json"


@pytest.mark.parametrize(
    "changes",
    [
        {"input": "/etc/passwd"},
        {"input": "../../other.mp4"},
        {"settings": {"weights": "/etc/passwd"}},
        {"resolved": {"weights": "../x"}},
        {"settings": {"prompts": "/etc/passwd"}},
        {"settings": {"caption_model": "/root"}},
    ],
    ids=str,
)
def test_what_a_record_names_elsewhere_must_be_allowed(tmp_path: Path, changes: dict[str, object]) -> None:
    path = record(tmp_path, **changes)
    with pytest.raises(InputError, match=r"--trust-sidecar"):
        from_sidecar(path)
    from_sidecar(path, trust=True)
    assert from_sidecar(record(tmp_path))[0] == tmp_path / "in.mp4"
