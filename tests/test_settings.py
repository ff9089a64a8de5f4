"""Settings refuse what is wrong by itself, in one sentence, and go through JSON without loss."""

from __future__ import annotations

import inspect
import json
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.choices import Group
from limpid.options.declare import declared
from limpid.settings import Settings, schema
from limpid.spellings import parse_preview, parse_time
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
        ({"crf": 52}, "at most 51"),
        ({"fps": "fast"}, "kind Fraction"),
        ({"fps": 0}, "fps is 0"),
        ({"preview": "3"}, "START-STOP"),
        ({"preview": "3-1"}, "is empty"),
        ({"preview": "a-b"}, "not a time"),
        ({"detect_cuts": 1}, "kind bool"),
        ({"method": 3}, "kind str"),
        ({"consistency": "none+motion"}, "joined by"),
        ({"propagation_steps": "1.5"}, "not a step"),
        ({"propagation_steps": " , "}, "names no step"),
        ({"caption": None}, "off, auto"),
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


# ---------------------------------------------------------------------------------------- the one table

ROWS = declared(Settings)


def test_the_journal_key_holds_what_shows_nowhere_else() -> None:
    left_out = Settings().to_dict().keys() - Settings().key().keys()
    assert left_out == {
        *("preset_name", "device", "threads", "preview", "detect_cuts", "fps", "scale", "height"),
        *("weights", "caption", "caption_model", "offload", "runtime", "workers", "cluster", "encoder"),
        *("mixed", "wait_s"),
        "attention_kernel",  # of the machine, like device and runtime
    }
    key = Settings(fps=Fraction(25), crf=20, steps=3).key()
    assert key["crf"] == 20 and list(key) == [name for name in Settings().to_dict() if name not in left_out]


def test_what_was_chosen_by_scope() -> None:
    settings = Settings(method="diffvsr", steps=5, prompt="x", crf=16, preview="0-1", tile_px=64)
    assert settings.given("engine") == {"steps": 5, "tile_px": 64}
    assert settings.given("method") == {"prompt": "x"}
    assert settings.given("files") == {"preview": "0-1"}


def test_scopes_are_those_of_the_methods() -> None:
    """An option of scope "method" is a parameter of a method's function, and the other way round."""
    from limpid.methods import METHODS, find_method

    names = {row.name for row in ROWS}
    parameters = {name for make in METHODS.values() for name in inspect.signature(make).parameters} & names
    assert parameters == {row.name for row in ROWS if row.option.scope == "method"}
    assert find_method("tiny").options <= {row.name for row in ROWS if row.option.scope == "engine"}


def test_needs_name_options() -> None:
    """``input`` is no option but what is read, which only a run knows."""
    for row in ROWS:
        if (needs := row.option.needs) is not None:
            assert needs.any_of.keys() <= {other.name for other in ROWS} | {"input"}
            assert set(re.findall(r"{(\w+)", needs.sentence)) <= {*needs.any_of, row.name}


NO_MOTION: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"scale": 2.5, "height": 100}, "choose scale (2.5) or height (100), not both"),
        (
            {"caption": "off", "caption_model": "x"},
            "caption_model has no effect without caption auto; leave it out, or say --caption auto",
        ),
        (
            {"guidance": "none", "guidance_scale": 3.0},
            "guidance_scale 3 has no effect with guidance none; leave one of them out",
        ),
        (
            {"attention": "tap", "attention_rate": 0.5},
            "attention_rate has no effect with attention tap; add sap, or leave it out",
        ),
        (
            {"attention": "none", "attention_frames": 2},
            "attention_frames has no effect with attention none; add tap, or leave it out",
        ),
        (
            {"consistency": frozenset({"noise"}), "propagation_steps": "3"},
            "propagation_steps has no effect without propagation; add it to consistency",
        ),
        (
            {"consistency": NO_MOTION, "motion_guidance": 5.0},
            "motion_guidance has no effect without motion; add it to consistency",
        ),
        (
            {"consistency": NO_MOTION, "flow": "raft"},
            "flow has no effect without propagation or motion; leave it out, or add one to consistency",
        ),
        (
            {"autoencoder": "image", "decoder_weight": 0.5},
            "decoder_weight has no effect with autoencoder image, which does not look at the input",
        ),
        (
            {"autoencoder": "light", "released": True},
            "autoencoder light and released do not go together: the released code has no such decoder",
        ),
        ({"codec": "ffv1", "crf": 20}, "crf has no effect with ffv1"),
        ({"codec": "prores", "encoder": "auto"}, "encoder has no effect with prores"),
        ({"input": "images", "deinterlace": "on"}, "deinterlace has no effect on a folder of images"),
    ],
    ids=lambda x: "" if isinstance(x, str) else "+".join(x),
)
def test_what_has_no_effect_is_said_in_these_words(values: dict[str, Any], sentence: str) -> None:
    assert Settings.unused(**values) == [sentence]


@pytest.mark.parametrize(
    "values",
    [
        {"scale": None, "height": 100},
        {"caption": "auto", "caption_model": "x"},
        {"guidance": "dssag", "guidance_scale": 3.0},
        {"attention": "sap+tap", "attention_rate": 0.5, "attention_frames": 2},
        {"consistency": "propagation+motion", "propagation_steps": "3", "motion_guidance": 5.0, "flow": "dis"},
        {"consistency": "propagation", "flow": "raft"},
        {"autoencoder": "video", "decoder_weight": 0.5, "released": True},
        {"autoencoder": None, "released": True},
        {"codec": "h265", "crf": 20, "input": "video", "deinterlace": "on"},
        {"codec": "ffv1", "crf": 16, "input": "images", "deinterlace": "auto"},
    ],
    ids=lambda x: "+".join(x),
)
def test_what_has_an_effect_is_not_refused(values: dict[str, Any]) -> None:
    assert Settings.unused(**values) == []


def test_headings_are_those_of_the_help() -> None:
    assert {row.option.group for row in ROWS} == set(Group)


# --------------------------------------------------------------------------------------------- JSON Schema

PROPERTIES = schema()["properties"]
NO_LIMIT = float("inf")
PARSED = {"consistency", "propagation_steps", "preview", "fps"}


def json_type(value: Any) -> str:
    kinds = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}
    return kinds[type(value)]


def fits(value: Any, rules: dict[str, Any]) -> bool:
    """What the schema's keywords mean in the standard: limits are for numbers, patterns for texts."""
    kind, kinds = json_type(value), rules["type"] if isinstance(rules["type"], list) else [rules["type"]]
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        return False
    if "enum" in rules and value not in rules["enum"]:
        return False
    if kind in ("integer", "number"):
        least, most = rules.get("minimum", -NO_LIMIT), rules.get("maximum", NO_LIMIT)
        return bool(least <= value <= most and value > rules.get("exclusiveMinimum", -NO_LIMIT))
    return kind != "string" or re.search(rules.get("pattern", ""), value) is not None


def test_the_schema_is_json_and_has_every_option() -> None:
    told = json.loads(json.dumps(schema()))
    assert told["$schema"].endswith("2020-12/schema") and told["type"] == "object"
    assert told["additionalProperties"] is False
    assert list(told["properties"]) == [row.name for row in ROWS]
    assert {name: rules["default"] for name, rules in told["properties"].items()} == Settings().to_dict()
    assert all(fits(rules["default"], rules) and rules["description"] for rules in told["properties"].values())


def test_some_properties_in_full() -> None:
    assert PROPERTIES["steps"] == {
        "type": ["integer", "null"],
        "description": "sampling steps (default: the method's own)",
        "default": None,
        "minimum": 1,
        "maximum": 1000,
        "x-group": "the result",
        "x-scope": "engine",
        "x-shown": True,
    }
    assert PROPERTIES["bit_depth"]["enum"] == [8, 10, None]
    assert PROPERTIES["codec"]["enum"] == ["h264", "h265", "av1", "ffv1", "prores", "images", None]
    assert PROPERTIES["fps"]["type"] == ["string", "number", "null"]
    assert PROPERTIES["device"]["type"] == "string" and PROPERTIES["device"]["pattern"].endswith("$")
    assert PROPERTIES["flow"]["x-needs"] == {"consistency": ["propagation", "motion"]}
    assert "x-needs" not in PROPERTIES["codec"]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20000),
    st.floats(-2, 2000, allow_nan=False).filter(lambda x: x != int(x)),
    st.sampled_from(sorted({c for row in ROWS for c in row.choices} | {"cuda:1", "cuda:x", "mps", "tiny"})),
)


@given(st.sampled_from(sorted(PROPERTIES.keys() - PARSED)), VALUES)
def test_the_schema_allows_what_settings_take(name: str, value: Any) -> None:
    """Every option but those whose texts are parsed, with values of all kinds: the two always agree."""
    try:
        Settings.from_dict({name: value})
        taken = True
    except SettingsError:
        taken = False
    assert taken == fits(value, PROPERTIES[name])
