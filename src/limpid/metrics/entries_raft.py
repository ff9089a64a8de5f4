"""Entries of the catalogue that rest on the flow of RAFT: tOF as DC-VSR measures it, and warping errors beside DIS.

The network is the one installed for methods (``limpid weights convert raft-things``); it is named in every result.
All is computed on the processor, which takes seconds for a pair of large frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from limpid.metrics.entries_temporal import GAMED, input_at_size, lai_warping
from limpid.metrics.kinds import Clips, FlowPairs, Measured, Metric, Need, NotMeasurableError, mean_of

if TYPE_CHECKING:
    import numpy as np

    from limpid.metrics.flows import FlowMethod

_LICENCE = "Apache-2.0 (own code); RAFT's code is under BSD-3-Clause, of its weights nothing is said"
_RAFT = "Flow by RAFT (20 updates, RGB frames)"


def installed_raft() -> FlowMethod:
    """The installed RAFT as metrics use it. Raises NotMeasurableError where there is none."""
    from limpid.flow.installed import find_flow_weights
    from limpid.metrics.network_flow import network_flow

    found = find_flow_weights("raft")
    if found is None:
        raise NotMeasurableError("needs RAFT, which is not installed: limpid weights convert raft-things FOLDER")
    return network_flow(found)


def _flows(clips: Clips, guide: Callable[[Clips], np.ndarray], what: str) -> FlowPairs:
    """RAFT's flow of guiding frames and where it is trusted, for each pair; computed once for all metrics."""
    how = installed_raft()
    key = what, how.name
    if key not in clips.kept:
        from limpid.metrics.warping import flows_of

        clips.kept[key] = flows_of(guide(clips), how)
    found: FlowPairs = clips.kept[key]
    return found


def _named(found: Measured) -> Measured:
    return replace(found, note=f"flow: {installed_raft().name}")


def _truth(clips: Clips) -> np.ndarray:
    return clips.truth


def _ewarp(clips: Clips) -> Measured:
    return _named(lai_warping(clips, _flows(clips, _truth, "raft flows of the truth")))


def _ewarp_lr(clips: Clips) -> Measured:
    return _named(lai_warping(clips, _flows(clips, input_at_size, "raft flows of the input")))


def _we(clips: Clips, guide: Callable[[Clips], np.ndarray]) -> Measured:
    from limpid.metrics.warping import warping_l1

    return _named(mean_of(warping_l1(clips.sr, guide(clips), installed_raft())))


def _tof(clips: Clips) -> Measured:
    from limpid.metrics.warping import flow_differences

    return _named(mean_of(flow_differences(clips.sr, clips.truth, installed_raft())))


def _entry(
    name: str,
    label: str,
    unit: str,
    definition: str,
    source: str,
    measure: Callable[[Clips], Measured],
    needs: tuple[Need, ...] = ("gt",),
) -> Metric:
    return Metric(
        name=name,
        label=label,
        kind="temporal",
        better="lower",
        unit=unit,
        definition=definition,
        source=source,
        licence=_LICENCE,
        measure=measure,
        needs=needs,
    )


RAFT_METRICS = (
    _entry(
        "tof-raft",
        "tOF (DC-VSR, RAFT)",
        "pixels",
        f"{_RAFT} of result and of truth; mean length of the difference, mean over pairs. No border is cropped.",
        "DC-VSR Eq. 13 and supplement F",
        _tof,
    ),
    _entry(
        "ewarp-raft",
        "E*warp x1e-3 (Lai, RAFT flow of GT)",
        "1e-3",
        f"As ewarp. {_RAFT} of the truth. {GAMED}",
        "Lai et al., ECCV 2018; RAFT in place of FlowNet2",
        _ewarp,
    ),
    _entry(
        "ewarp-lr-raft",
        "E*warp x1e-3 (Lai, RAFT flow of LR)",
        "1e-3",
        f"As ewarp. {_RAFT} of the input enlarged by bicubic, for clips without a truth. {GAMED}",
        "Lai et al., ECCV 2018; RAFT in place of FlowNet2",
        _ewarp_lr,
        ("lr",),
    ),
    _entry(
        "we-raft",
        "WE (MGLD, L1, levels, RAFT flow of GT)",
        "levels",
        f"As we. {_RAFT} of the truth. {GAMED}",
        "MGLD section 4.2; RAFT in place of Flow1D",
        lambda clips: _we(clips, _truth),
    ),
    _entry(
        "we-lr-raft",
        "WE (MGLD, L1, levels, RAFT flow of LR)",
        "levels",
        f"As we. {_RAFT} of the input enlarged by bicubic, for clips without a truth. {GAMED}",
        "MGLD section 4.2; RAFT in place of Flow1D",
        lambda clips: _we(clips, input_at_size),
        ("lr",),
    ),
)
