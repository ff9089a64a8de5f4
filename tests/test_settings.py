"""Settings refuse what is wrong by itself, in one sentence, and go through JSON without loss."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.settings import Settings, parse_preview, parse_time
from limpid.types import SettingsError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 2, "height": 100}, "not both"),
        ({"scale": 0}, "scale is 0.0"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"height": 8}, "height is 8"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": "3"}, "kind int"),
        ({"steps": True}, "kind int"),
        ({"seed": -1}, "seed is -1"),
        ({"strength": 0}, "strength is 0"),
        ({"strength": 1.1}, "at most 1"),
        ({"color": "sepia"}, "wavelet, adain, none"),
        ({"codec": "vp9"}, "h264"),
        ({"dtype": "int8"}, "float32"),
        ({"device": "gpu"}, "cuda:N"),
        ({"bit_depth": 12}, "8 or 10"),
        ({"crf": 64}, "at most 63"),
        ({"fps": "fast"}, "kind Fraction"),
        ({"fps": 0}, "fps is 0"),
        ({"preview": "3"}, "START-STOP"),
        ({"preview": "3-1"}, "is empty"),
        ({"preview": "a-b"}, "not a time"),
        ({"detect_cuts": 1}, "kind bool"),
        ({"method": 3}, "kind str"),
    ],
)
def test_bad_values_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**options)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SettingsError, match="'speed' is not an option"):
        Settings().replace(speed=3)
    with pytest.raises(SettingsError, match="not an option"):
        Settings.from_dict({"speed": 3})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "scale": st.floats(0.1, 16),
            "steps": st.integers(1, 1000),
            "fps": st.fractions(Fraction(1, 10), 1000),
            "seed": st.integers(0, 2**63 - 1),
            "strength": st.floats(0.01, 1),
            "codec": st.sampled_from(["h264", None, "images"]),
            "preview": st.just("00:01-00:03.5"),
            "detect_cuts": st.booleans(),
        },
    )
)
def test_settings_go_through_json(options: dict[str, Any]) -> None:
    settings = Settings(**options)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_numbers_get_their_declared_kind() -> None:
    settings = Settings(scale=2, fps="24000/1001")  # type: ignore[arg-type]
    assert isinstance(settings.scale, float)
    assert settings.fps == Fraction(24000, 1001)


def test_times_are_exact() -> None:
    assert parse_preview("00:01-00:03.5") == (1, Fraction(7, 2))
    assert parse_time("01:02:03.1") == 3723 + Fraction(1, 10)
    assert [parse_time(t) for t in ("7.", ".5", "90", "2:30")] == [7, Fraction(1, 2), 90, 150]
    for text in ("", ":", "1:", "1:2:3:4", "-1", "1e3", "nan", "1.5:00"):
        with pytest.raises(SettingsError, match="not a time"):
            parse_time(text)
