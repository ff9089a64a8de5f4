"""Columns: methods with changes on the command line, and the rows of ablation tables."""

from __future__ import annotations

import pytest

from limpid.bench.ablation import ablation_variants, parse_methods
from limpid.methods import METHODS
from limpid.methods.ablations import ABLATIONS
from limpid.settings import Settings
from limpid.types import SettingsError, WeightsError


def test_every_row_is_valid_settings_of_a_method() -> None:
    for name, rows in ABLATIONS.items():
        assert name in METHODS and len(rows) >= 2
        for changes in rows.values():
            Settings().replace(method=name, **changes)
        assert len({tuple(sorted(changes.items())) for changes in rows.values()}) == len(rows)


def test_only_what_is_installed_is_run_and_the_rest_is_said() -> None:
    variants, missing = ablation_variants(None, {})
    assert [(v.label, v.changes) for v in variants] == [("tiny: 1 step", {"steps": 1}), ("tiny: 4 steps", {"steps": 4})]
    rows = sum(len(rows) for name, rows in ABLATIONS.items() if name != "tiny")
    assert len(missing) == rows and all("weights" in reason for reason in missing.values())
    assert variants[0].folder == "tiny_ 1 step"


def test_a_method_without_rows_or_weights_is_refused() -> None:
    with pytest.raises(SettingsError, match="declares no ablation"):
        ablation_variants(["lavie-vsr"], {})
    with pytest.raises(SettingsError, match="none of these can be run here"):
        ablation_variants(["diffvsr"], {})


def test_methods_take_changes_of_their_own() -> None:
    variants = parse_methods("bicubic, tiny,tiny:steps=1+strength=0.5+color=none", {"seed": 3})
    assert [v.label for v in variants] == ["bicubic", "tiny", "tiny:steps=1+strength=0.5+color=none"]
    assert variants[2].changes == {"steps": 1, "strength": 0.5, "color": "none"}
    assert not variants[0].is_method and variants[1].is_method


def test_a_value_may_have_a_plus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.bench.ablation.check_variant", lambda variant, settings: None)  # weights are not here
    text = "dc-vsr:attention=sap+tap,dc-vsr:attention=sap+tap+seed=3+guidance=sag"
    first, second = parse_methods(text, {})
    assert first.changes == {"attention": "sap+tap"} and first.label == "dc-vsr:attention=sap+tap"
    assert second.changes == {"attention": "sap+tap", "seed": 3, "guidance": "sag"}
    Settings().replace(method="dc-vsr", **second.changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no method"),
        ("tinny", "no method 'tinny'"),
        ("bicubic:steps=1", "no settings"),
        ("tiny:steps=x", "a whole number is needed"),
        ("tiny:steps=1.5", "a whole number is needed"),
        ("tiny:strength=x", "a number is needed"),
        ("tiny:compile=maybe", "a value of kind bool is needed"),
        ("tiny:scale=2", "'scale' cannot be changed"),
        ("tiny:steps=0", "steps"),
        ("tiny:prompt=cat", "no effect"),
    ],
)
def test_what_cannot_be_is_refused_before_the_run(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_methods(text, {})


def test_missing_weights_are_said_before_the_run() -> None:
    with pytest.raises(WeightsError):
        parse_methods("bicubic,diffvsr", {})
