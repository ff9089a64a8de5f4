"""The rows of each method's ablation tables that need no other weights, as data: what is changed in each.

A row is a dict of changed settings, by the names of `limpid.settings.Settings`; rows that need a training of their own
(`limpid.train.recipes.ablations`) and what each paper prints are in `limpid.bench.papers`. No two rows of a method are
the same run. Plugins declare theirs through the entry point group ``limpid.ablations``: the method's name and such a
mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]
"""Label of a row -> changed settings."""

ABLATIONS: dict[str, Rows] = {
    "upscale-a-video": {
        # Table 2, (a) to (d)
        "image decoder, no propagation": {"autoencoder": "image", "consistency": "none"},
        "image decoder, propagation": {"autoencoder": "image", "consistency": "propagation"},
        "video decoder, no propagation": {"autoencoder": "video", "consistency": "none"},
        "video decoder, propagation": {"autoencoder": "video", "consistency": "propagation"},
        # its decoder made for the input, without it
        "video decoder without input, propagation": {"decoder_weight": 0.0},
        # Fig. 7; noise 120 and no text is the last row above
        "a text for each shot": {"caption": "auto"},
        "noise 20": {"noise_level": 20},
        "noise 60": {"noise_level": 60},
        "noise 200": {"noise_level": 200},
        "noise 300": {"noise_level": 300},
    },
    "diffvsr": {  # Table 3: (b) and (c), and what lies between them; supplement A.2
        "none": {"consistency": "none"},
        "noise": {"consistency": "noise"},
        "transition": {"consistency": "transition"},
        "noise+transition": {"consistency": "noise+transition"},
        "a text for each shot": {"caption": "auto"},
    },
    "mgld-vsr": {
        # Table 3
        "no motion guidance, image decoder": {"consistency": "none", "autoencoder": "image"},
        "motion guidance, image decoder": {"consistency": "motion", "autoencoder": "image"},
        "no motion guidance, temporal decoder": {"consistency": "none", "autoencoder": "video"},
        "motion guidance, temporal decoder": {"consistency": "motion", "autoencoder": "video"},
        # a decoder made for its input, without it: near to (c) of Table 5, which was trained without
        "motion guidance, temporal decoder without input": {"decoder_weight": 0.0},
        # Table 4
        "flow by SpyNet": {"flow": "spynet"},
        "flow by RAFT": {"flow": "raft"},
        # Fig. 7; eta 10 is the method's own
        "eta 1": {"motion_guidance": 1.0},
        "eta 3": {"motion_guidance": 3.0},
        "eta 30": {"motion_guidance": 30.0},
        "eta 100": {"motion_guidance": 100.0},
    },
    "dc-vsr": {  # Table 2; its first three rows have no guidance by attention, which leaves CFG
        "none": {"attention": "none", "guidance": "cfg"},
        "SAP": {"attention": "sap", "guidance": "cfg"},
        "TAP": {"attention": "tap", "guidance": "cfg"},
        "SAP, TAP, DSSAG": {"attention": "sap+tap", "guidance": "dssag"},
        "SAP, TAP, SAG": {"attention": "sap+tap", "guidance": "sag"},
        "SAP, TAP, PAG": {"attention": "sap+tap", "guidance": "pag"},
        # Fig. 11
        "SAP, TAP": {"attention": "sap+tap", "guidance": "cfg"},
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
