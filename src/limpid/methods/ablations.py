"""The rows of each method's ablation table, as data: what is left out or exchanged in each.

A row is a dict of changed settings, by the names of `limpid.settings.Settings`. Rows of the papers that
can be had without training anew are here; the others (MSTA, PLS, the training losses) are other weights, not settings.
Plugins declare theirs through the entry point group ``limpid.ablations``: the method's name and such a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]
"""Label of a row -> changed settings."""

ABLATIONS: dict[str, Rows] = {
    "upscale-a-video": {  # Table 2 of the paper, (a) to (d)
        "image decoder, no propagation": {"autoencoder": "image", "consistency": "none"},
        "image decoder, propagation": {"autoencoder": "image", "consistency": "propagation"},
        "video decoder, no propagation": {"autoencoder": "video", "consistency": "none"},
        "video decoder, propagation": {"autoencoder": "video", "consistency": "propagation"},
    },
    "diffvsr": {  # Table 3 of the paper, the part (ILT) that needs no other weights, split in two
        "none": {"consistency": "none"},
        "noise": {"consistency": "noise"},
        "transition": {"consistency": "transition"},
        "noise+transition": {"consistency": "noise+transition"},
    },
    "mgld-vsr": {  # Table 3 of the paper; the last row is (c) of Table 5
        "no motion guidance, image decoder": {"consistency": "none", "autoencoder": "image"},
        "motion guidance, image decoder": {"consistency": "motion", "autoencoder": "image"},
        "no motion guidance, temporal decoder": {"consistency": "none", "autoencoder": "video"},
        "motion guidance, temporal decoder": {"consistency": "motion", "autoencoder": "video"},
        "motion guidance, temporal decoder without input": {"decoder_weight": 0.0},
    },
    "dc-vsr": {  # Table 2 of the paper; its first three rows have no guidance by attention, which leaves CFG
        "none": {"attention": "none", "guidance": "cfg"},
        "SAP": {"attention": "sap", "guidance": "cfg"},
        "TAP": {"attention": "tap", "guidance": "cfg"},
        "SAP, TAP, DSSAG": {"attention": "sap+tap", "guidance": "dssag"},
        "SAP, TAP, SAG": {"attention": "sap+tap", "guidance": "sag"},
        "SAP, TAP, PAG": {"attention": "sap+tap", "guidance": "pag"},
    },
    "tiny": {
        "1 step": {"steps": 1},
        "4 steps": {"steps": 4},
    },
}
"""Name of a method -> its rows."""


def ablation_rows() -> dict[str, Rows]:
    """The rows of every method that declares some, those of installed plugins included."""
    theirs = {entry.name: entry.load() for entry in entry_points(group="limpid.ablations")}
    return {**theirs, **ABLATIONS}
