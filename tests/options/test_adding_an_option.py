"""An option is added by adding a field: parsing, command line, help, schema and journal key follow from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import pytest

from limpid.choices import Group
from limpid.cli.options import add_settings, given_settings
from limpid.options.declare import Needs, option
from limpid.options.schema import schema_of
from limpid.settings import Settings
from limpid.types import SettingsError


@dataclass(frozen=True, kw_only=True)
class Wider(Settings):
    """The settings with five options more."""

    warmth: float = option(0.5, Group.RESULT, "engine", "how warm the picture becomes, 0 to 1", least=0, most=1)
    flavour: Literal["torch", "other"] = option("torch", Group.MACHINE, "always", "what computes")
    workers: int | None = option(None, Group.MACHINE, "always", "processes", least=1, most=8, in_key=False)
    eager: bool = option(False, Group.MACHINE, "always", "begin at once")
    probe_rate: Fraction | None = option(
        None,
        Group.READING,
        "files",
        "for experts",
        metavar="RATE",
        shown=False,
        needs=Needs("probe_rate has no effect with {workers} workers", {"workers": (2, 3)}),
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="toy")
    add_settings(made, Wider)
    return made


def test_it_checks_itself_and_goes_through_json() -> None:
    wider = Wider(warmth=1, workers=2, probe_rate="1/3")  # type: ignore[arg-type]
    assert isinstance(wider.warmth, float) and wider.probe_rate == Fraction(1, 3)
    assert Wider.from_dict(wider.to_dict()) == wider == Wider().replace(warmth=1.0, workers=2, probe_rate="1/3")
    for bad, words in (
        ({"warmth": 1.5}, "warmth is 1.5; it must be 0 or more and at most 1"),
        ({"flavour": "third"}, "flavour is 'third'; it can be torch, other"),
        ({"eager": 1}, "a value of kind bool is needed"),
        ({"scale": 2, "height": 100}, "not both"),
    ):
        with pytest.raises(SettingsError, match=words):
            Wider(**bad)
    with pytest.raises(SettingsError, match=r"'xyz' is not an option; .*, detect_cuts, warmth, flavour"):
        Wider().replace(xyz=1)
    with pytest.raises(SettingsError, match=r"'warm' is not an option; did you mean warmth\?"):
        Wider().replace(warm=1)


def test_the_command_line_has_it() -> None:
    words = ["--warmth", "0.25", "--workers", "4", "--eager", "--probe-rate", "2.5", "--steps", "3"]
    given = given_settings(parser().parse_args(words), Wider)
    assert given == {"warmth": 0.25, "workers": 4, "eager": True, "probe_rate": Fraction(5, 2), "steps": 3}
    text = parser().format_help()
    for shown in (
        "--warmth X",
        "how warm the picture becomes, 0 to 1 (default: 0.5)",
        "--flavour torch|other",
        "--workers N",
        "--no-eager",
    ):
        assert shown in text
    assert "probe" not in text, "an option that is not shown is taken all the same"


def test_the_schema_and_the_key_have_it() -> None:
    properties = schema_of(Wider, title="x")["properties"]
    assert properties["warmth"]["maximum"] == 1 and properties["flavour"]["enum"] == ["torch", "other"]
    assert properties["probe_rate"]["x-shown"] is False
    assert properties["probe_rate"]["x-needs"] == {"workers": [2, 3]}
    key = Wider(workers=3).key()
    assert "workers" not in key and list(key)[-4:] == ["warmth", "flavour", "eager", "probe_rate"]


def test_what_it_needs_is_said_beside_it() -> None:
    wider = Wider(probe_rate=Fraction(2), workers=1)
    sentence = "probe_rate has no effect with 1 workers"
    assert Wider.unused(probe_rate=wider.probe_rate, workers=wider.workers) == [sentence]
    with pytest.raises(SettingsError, match=sentence):
        Wider.refuse(probe_rate=wider.probe_rate, workers=wider.workers)
    Wider.refuse(probe_rate=wider.probe_rate, workers=2)
    Wider.refuse(probe_rate=None, workers=1)
    Wider.refuse(probe_rate=wider.probe_rate)  # nobody has said yet how many workers there are


def test_a_method_can_say_it_in_its_own_words() -> None:
    own = {"probe_rate": Needs("not {probe_rate} without eager", {"eager": (True,), "flavour": ("other",)})}
    values: dict[str, Any] = {"probe_rate": Fraction(2), "eager": False, "flavour": "torch", "workers": 2}
    assert Wider.unused(own, **values) == ["not 2 without eager"]
    assert Wider.unused(own, **{**values, "flavour": "other"}) == []


@pytest.mark.parametrize(
    ("value", "met"),
    [("a", True), ("a+c", True), ("c", False), (frozenset({"a"}), True), (frozenset(), False), (None, False)],
)
def test_values_that_are_joined(value: Any, met: bool) -> None:
    assert Needs("", {"parts": ("a", "b")}).met({"parts": value}) == met
    assert Needs("", {"parts": None}).met({"parts": value}) == bool(value)
