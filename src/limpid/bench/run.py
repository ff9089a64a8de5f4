"""A benchmark run: every clip through every method, one row each, going on after a crash where it stopped.

::

    RUN/run.json        what the run is: data set, degradation and seed, methods, metrics, versions
    RUN/lr/<clip>/      the frozen low-quality frames, with their hash in lr/<clip>.json
    RUN/out/<method>/   what the methods made of them, lossless
    RUN/rows.jsonl      one line per clip and method
"""

from __future__ import annotations

import glob
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid import __version__
from limpid.bench.datasets import ClipFiles, Dataset, check_dataset, find_clips
from limpid.bench.frames import pixel_hash, read_frames
from limpid.bench.freeze import DEFAULT, GIVEN, Frozen, check_pipeline, freeze_clip
from limpid.bench.jobs import JobOutcome, Variant, upscale_in_a_process
from limpid.bench.rows import (
    RUN_FILE,
    Row,
    RowValue,
    append_row,
    drop_torn_line,
    read_rows,
    read_run_card,
    write_run_card,
)
from limpid.bench.worker import RECONSTRUCT
from limpid.metrics.catalogue import METRICS, Clips, Measured, measure, resolve
from limpid.types import InputError, LimpidError, OutputError, SettingsError

Tell = Callable[[dict[str, Any]], None]
Upscale = Callable[..., JobOutcome]
DEFAULT_METRICS = (
    *("psnr", "psnr-y", "ssim", "tof", "m1-lr-psnr", "m1-flicker", "m2-coherent", "m3-coherence", "m3-incoherent"),
    *("m4-segment-seam", "m4-tile-jump", "m5-lag8", "static-flicker", "colour-drift"),
)
"""Need neither weights nor another program, and take less time than most methods."""
ALL_METRICS = "all"
_FIXED = ("dataset", "root", "pipeline", "seed", "frames", "metrics", "settings", "version", "paper")
"""What must stay the same when a run goes on; methods may be added."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is to be run. ``settings`` are changes for every method, by the names of `limpid.settings.Settings`."""

    dataset: Dataset
    root: Path
    out: Path
    variants: tuple[Variant, ...]
    metrics: tuple[str, ...]
    seed: int = 0
    pipeline: str | None = None
    """How low-quality frames are made; None: given ones where there are any, else the default."""
    frames: int | None = None
    """The first frames of each clip; None: all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict)
    """``workers`` and ``cluster`` of every method: another start of the same run may say otherwise."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Methods that cannot be run here, and why; shown in the report."""
    incomplete: bool = False
    """Run also when clips or frames of the data set are missing."""
    keep: bool = True
    """Keep what the methods make."""
    retry_failed: bool = False
    """Do rows again that an earlier start could not; without it they stay as they are."""
    paper: tuple[str, str] | None = None
    """The paper and the table whose rows these are (`limpid.bench.papers`)."""


def choose_metrics(text: str | None) -> tuple[str, ...]:
    """``"psnr,ssim"`` -> names; ``"all"`` is the whole catalogue, None `DEFAULT_METRICS`."""
    if text is None:
        return DEFAULT_METRICS
    return tuple(METRICS) if text.strip() == ALL_METRICS else tuple(name.strip() for name in text.split(","))


def run_bench(bench: Bench, tell: Tell, *, upscale: Upscale = upscale_in_a_process) -> list[Row]:
    """Do what is not done yet and return all rows of the run.

    ``tell`` receives ``begin`` (``rows resumed problems``) and one ``row`` event per finished row (``done total eta_s
    row``).

    Raises:
        InputError: the data set is not there or not complete. SettingsError: the folder holds another run.
        OutputError: the folder cannot be written.
    """
    resolve(bench.metrics)
    clips = find_clips(bench.dataset, bench.root)
    problems = _checked(bench)
    pipeline = bench.pipeline or (GIVEN if any(clip.lr for clip in clips) else DEFAULT)
    check_pipeline(pipeline)
    if pipeline == GIVEN and bench.dataset.name == "folder" and not any(clip.lr for clip in clips):
        clips = [ClipFiles(name=clip.name, lr=clip.truth) for clip in clips]  # low-quality clips, and nothing else
    _begin(bench, clips, pipeline, problems)
    drop_torn_line(bench.out)
    done = {(row.clip, row.method) for row in read_rows(bench.out) if not (row.error and bench.retry_failed)}
    todo = {clip: [v for v in bench.variants if (clip.name, v.label) not in done] for clip in clips}
    meter = _Meter(sum(map(len, todo.values())), tell)
    tell({"event": "begin", "rows": meter.total, "resumed": len(done), "problems": problems})
    for clip, variants in todo.items():
        if variants:
            _run_clip(bench, clip, variants, pipeline, meter, upscale)
    return read_rows(bench.out)


def has_truth(dataset: Dataset, root: Path, pipeline: str | None) -> bool:
    """Whether a run of these clips has something to compare results with. Raises InputError as `run_bench`."""
    clips = find_clips(dataset, root)
    if pipeline == GIVEN and dataset.name == "folder" and not any(clip.lr for clip in clips):
        return False
    return any(clip.truth for clip in clips)


def _checked(bench: Bench) -> list[str]:
    problems = check_dataset(bench.dataset, bench.root)
    if problems and not bench.incomplete:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}; --incomplete runs what is there and says so in the report")
    return problems


def _begin(bench: Bench, clips: list[ClipFiles], pipeline: str, problems: list[str]) -> None:
    """Write ``run.json``, or check that the run in the folder is this one and add its new methods."""
    card: dict[str, Any] = {
        "dataset": bench.dataset.name,
        "root": str(bench.root.resolve()),
        "pipeline": pipeline,
        "seed": bench.seed,
        "frames": bench.frames,
        "metrics": list(bench.metrics),
        "settings": dict(bench.settings),
        "version": __version__,
        "clips": [clip.name for clip in clips],
        "problems": problems,
        "methods": {v.label: {"method": v.method, "changes": dict(v.changes)} for v in bench.variants},
        "not_run": dict(bench.not_run),
        "paper": None if bench.paper is None else list(bench.paper),
    }
    if (bench.out / RUN_FILE).exists():
        former = read_run_card(bench.out)
        _same(bench.out, former, card)
        card["methods"] = {**former["methods"], **card["methods"]}
        card["not_run"] = {
            k: v for k, v in {**former["not_run"], **card["not_run"]}.items() if k not in card["methods"]
        }
    try:
        bench.out.mkdir(parents=True, exist_ok=True)
        write_run_card(bench.out, card)
    except OSError as error:
        raise OutputError(f"{bench.out}: cannot be written ({error.strerror})") from error


def _same(out: Path, former: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    for name in _FIXED:
        if former.get(name) != card[name]:
            raise SettingsError(
                f"the run in {out} has {name} {former.get(name)!r}, not {card[name]!r}; choose another folder"
            )
    for label, made in card["methods"].items():
        if former["methods"].get(label, made) != made:
            raise SettingsError(f"{label} was run with other settings in {out}; choose another folder")


def _run_clip(
    bench: Bench, clip: ClipFiles, variants: list[Variant], pipeline: str, meter: _Meter, upscale: Upscale
) -> None:
    """The rows of one clip. A clip that cannot be read is an error in each of them."""
    try:
        frozen = freeze_clip(clip, bench.out / "lr", pipeline=pipeline, seed=bench.seed, count=bench.frames)
    except OutputError:
        raise
    except Exception as error:  # noqa: BLE001  a clip that fails is a row with its error, not a lost run
        for variant in variants:
            _keep(bench, Row(clip=clip.name, method=variant.label, error=_sentence(error)), meter)
        return
    for variant in variants:
        _keep(bench, _row(bench, frozen, variant, upscale), meter)


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, LimpidError) else f"{type(error).__name__}: {text}"


def _keep(bench: Bench, row: Row, meter: _Meter) -> None:
    try:
        append_row(bench.out, row)
    except OSError as error:
        raise OutputError(f"{bench.out}: cannot be written ({error.strerror})") from error
    meter.count(row)


def _row(bench: Bench, frozen: Frozen, variant: Variant, upscale: Upscale) -> Row:
    target = bench.out / "out" / variant.folder / (f"{frozen.name}.mkv" if variant.is_method else frozen.name)
    try:
        source, settings = _told(bench, frozen, variant)
        outcome = upscale(variant, source, target, fps=str(frozen.fps), settings=settings)
        if outcome.error is not None:
            return Row(clip=frozen.name, method=variant.label, lr_sha256=frozen.sha256, error=outcome.error)
        return _measured(bench, frozen, variant, target, outcome)
    except Exception as error:  # noqa: BLE001  as above
        return Row(clip=frozen.name, method=variant.label, lr_sha256=frozen.sha256, error=_sentence(error))
    finally:
        if not bench.keep:
            _remove(target)


def _told(bench: Bench, frozen: Frozen, variant: Variant) -> tuple[Path, dict[str, Any]]:
    """What a worker reads, and the settings it gets. Raises InputError where there is no truth to reconstruct."""
    if variant.is_method:
        return frozen.folder, {"scale": 4.0, **variant.told(bench.settings), **bench.places}
    if variant.method != RECONSTRUCT:
        return frozen.folder, {}
    if frozen.truth_path is None or frozen.truth is None:
        raise InputError(f"{frozen.name}: there is no ground truth, which an autoencoder is measured on")
    return frozen.truth_path, {**variant.told(bench.settings), "shape": list(frozen.truth.shape[:3])}


def _measured(bench: Bench, frozen: Frozen, variant: Variant, target: Path, outcome: JobOutcome) -> Row:
    restored, _ = read_frames(target)
    clips = Clips(
        sr=restored,
        gt=frozen.truth,
        lr=frozen.lr,
        borders=outcome.borders,
        tile_columns=outcome.tile_columns,
        tile_rows=outcome.tile_rows,
    )
    measured = measure(bench.metrics, clips)
    frames, height, width = restored.shape[:3]
    return Row(
        clip=frozen.name,
        method=variant.label,
        frames=frames,
        width=width,
        height=height,
        lr_sha256=frozen.sha256,
        seconds=outcome.seconds,
        seconds_per_frame=outcome.restore_s / frames,
        peak_bytes=outcome.peak_bytes,
        device_peak_bytes=outcome.device_peak_bytes,
        device=outcome.device,
        sr_sha256=pixel_hash(restored),
        random_weights=outcome.random_weights,
        values={name: _value(found) for name, found in measured.items()},
    )


def _value(found: Measured) -> RowValue:
    if found.value is not None and math.isnan(found.value):
        return RowValue(value=None, reason="the result is not a number")
    value = None if found.value is None else float(found.value)
    return RowValue(value=value, reason=found.reason, note=found.note)


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
        for sidecar in target.parent.glob(f"{glob.escape(target.name)}*.limpid.json"):
            sidecar.unlink()


class _Meter:
    """Counts rows and says how long the rest will take, from the time that each method took so far."""

    def __init__(self, total: int, tell: Tell) -> None:
        self.total, self.done = total, 0
        self._tell = tell
        self._start = time.monotonic()

    def count(self, row: Row) -> None:
        self.done += 1
        eta = (time.monotonic() - self._start) / self.done * (self.total - self.done)
        self._tell({"event": "row", "done": self.done, "total": self.total, "eta_s": round(eta, 1), "row": row})
