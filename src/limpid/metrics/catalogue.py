"""All metrics by name, and one call that measures several of them. Light to import: a metric loads what it needs.

::

    from limpid.metrics import METRICS, Clips, measure
    measure(["psnr", "m3-coherence"], Clips(sr=restored, gt=truth, lr=input))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from limpid.metrics.entries_dover import DOVER_METRICS
from limpid.metrics.entries_judges import JUDGES
from limpid.metrics.entries_learned import LEARNED
from limpid.metrics.entries_own import OWN_METRICS
from limpid.metrics.entries_raft import RAFT_METRICS
from limpid.metrics.entries_reference import REFERENCE
from limpid.metrics.entries_temporal import TEMPORAL_METRICS
from limpid.metrics.kinds import Clips, Measured, Metric, NotMeasurableError
from limpid.types import SettingsError

__all__ = ["METRICS", "Clips", "Measured", "Metric", "measure", "resolve"]

_ALL = (*REFERENCE, *TEMPORAL_METRICS, *RAFT_METRICS, *OWN_METRICS, *LEARNED, *JUDGES, *DOVER_METRICS)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def resolve(names: Iterable[str]) -> list[Metric]:
    """The entries of these names, in order. Raises SettingsError for one that there is not."""
    wanted = list(names)
    for name in wanted:
        if name not in METRICS:
            raise SettingsError(f"there is no metric {name!r}; there are {', '.join(METRICS)}")
    return [METRICS[name] for name in wanted]


def measure(names: Iterable[str], clips: Clips, weights_folder: str | Path | None = None) -> dict[str, Measured]:
    """Measure a clip by each of these metrics, in order; what cannot be computed has a reason instead of a value.

    Args:
        names: keys of `METRICS`.
        clips: result, truth and input; uint8 RGB ``t h w 3``.
        weights_folder: where learned metrics look for their weights; by default ``metrics`` in the weights folder.

    Raises:
        SettingsError: a name that is not in the catalogue.
    """
    metrics = resolve(names)
    if weights_folder is not None:
        clips = replace(clips, weights=Path(weights_folder))
    return {metric.name: _measured(metric, clips) for metric in metrics}


def _measured(metric: Metric, clips: Clips) -> Measured:
    try:
        _check(metric, clips)
        return metric.measure(clips)
    except (NotMeasurableError, ValueError) as error:
        return Measured(None, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one metric must not cost a table; the reason names the error
        return Measured(None, reason=f"failed with {type(error).__name__}: {error}")


def _check(metric: Metric, clips: Clips) -> None:
    """Raises NotMeasurableError for clips that lack what a metric needs: reading their properties asks for it."""
    if clips.sr.ndim != 4 or clips.sr.shape[-1] != 3 or str(clips.sr.dtype) != "uint8" or not len(clips.sr):
        raise NotMeasurableError(f"frames must be uint8 RGB t h w 3, not {clips.sr.dtype} {clips.sr.shape}")
    if "gt" in metric.needs:
        _ = clips.truth
    if "lr" in metric.needs:
        _ = clips.small
    if "borders" in metric.needs and not clips.borders:
        raise NotMeasurableError("the result has no segment borders, or they are not known")
    if "tiles" in metric.needs and not (clips.tile_columns or clips.tile_rows):
        raise NotMeasurableError("the result has no tile seams, or they are not known")
