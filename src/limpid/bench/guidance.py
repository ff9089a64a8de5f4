"""Guidance on a text-to-image model, as DC-VSR Table 3: SAG, PAG and DSSAG by IS, FID and network calls per step.

Pictures are drawn from captions by our samplers and guidance, one file each, so a run that was stopped goes on. What is
random depends on the seed and the number of the caption only: every guidance begins with the same noise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from limpid.bounded import read_json
from limpid.choices import GuidanceName
from limpid.diffusion.noise import noise, start_scale
from limpid.diffusion.samplers import DDIM
from limpid.durable.files import digest_of, folder_fingerprint, write_atomic
from limpid.guidance.choice import choose_guidance
from limpid.method import Guidance
from limpid.metrics.image_scores import frechet_distance, image_features, inception, inception_score
from limpid.metrics.kinds import NotMeasurableError
from limpid.plan.device import Machine, computing
from limpid.priors.load.text_to_image import load_text_to_image, text_to_image_steps
from limpid.priors.text import TextEncoder
from limpid.priors.text_to_image import SD_LATENT_CHANNELS, SD_PIXELS_PER_LATENT, TextCondition, TextToImagePrior
from limpid.types import InputError, OutputError, Prediction, SettingsError, Step
from limpid.video.files import writing
from limpid.video.images import load_image

PAPER_GUIDANCES: tuple[GuidanceName, ...] = ("sag", "pag", "dssag")
"""The columns of DC-VSR Table 3; ``none`` and ``cfg`` can be added."""
DEFAULT_SCALE = 7.5
"""Weight of guidance that Stable Diffusion is used with; DC-VSR names none."""
PAPER_COUNT, PAPER_STEPS, DEFAULT_PX = 10_000, 50, 512
_LEAST_PX, _MOST_PX, _MULTIPLE_PX = 128, 4096, 64
TABLE_FILE, FACTS_FILE = "guidance.json", "facts.json"
_MOST_CAPTION_BYTES = 512 << 20
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
OnPicture = Callable[[str, int, int], None]
"""Told after each picture: guidance, pictures that are there, pictures in all."""


@dataclass(frozen=True, kw_only=True)
class GuidanceBench:
    """What is compared: ``count`` captions through each guidance."""

    model: Path
    """Folder of Stable Diffusion in the layout of diffusers."""
    captions: Path
    """A text file with one caption per line, or COCO's ``captions_*.json``."""
    out: Path
    guidances: tuple[GuidanceName, ...] = PAPER_GUIDANCES
    count: int = PAPER_COUNT
    steps: int = PAPER_STEPS
    scale: float = DEFAULT_SCALE
    size_px: int = DEFAULT_PX
    seed: int = 0
    reference: Path | None = None
    """Folder of real pictures for FID, such as COCO's validation set."""
    weights: Path | None = None
    """Where metrics' weights are looked for; None: the folder of weights."""

    def __post_init__(self) -> None:
        if min(self.count, self.steps) < 1:
            raise SettingsError(f"--count {self.count} and --steps {self.steps} count from 1")
        if not _LEAST_PX <= self.size_px <= _MOST_PX or self.size_px % _MULTIPLE_PX:
            raise SettingsError(
                f"--size {self.size_px} must be a multiple of {_MULTIPLE_PX} from {_LEAST_PX} to {_MOST_PX} pixels"
            )


@dataclass(frozen=True, kw_only=True)
class GuidanceRow:
    """One column of the table: numbers, or reasons why there are none."""

    name: str
    pictures: int
    calls_per_step: float
    inception_score: float | None
    frechet_distance: float | None
    reasons: dict[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------- pictures


@dataclass(kw_only=True)
class Painter:
    """Makes pictures of texts; counts the network calls of each step."""

    prior: TextToImagePrior
    steps: tuple[Step, ...]
    guidance: Guidance | None
    calls: int = 0

    @torch.no_grad()
    def paint(self, condition: TextCondition, start: Tensor) -> Tensor:
        """A picture ``3 h w`` in [0, 1] from noise ``4 h/8 w/8``; deterministic DDIM (eta 0)."""
        z = start.to(self.prior.device)[None, :, None] * start_scale(self.steps[0])
        sampler, state = DDIM(), None
        for step in self.steps:
            found = self._predicted(z, step, condition)
            z, state = sampler.step(z, found.x0, found.eps, step, state, _no_noise)
        return self.prior.decode(z)

    def _predicted(self, z: Tensor, step: Step, condition: TextCondition) -> Prediction:
        def denoise(z: Tensor, told: Any, branch: str) -> Prediction:
            self.calls += 1
            return self.prior.denoise(z, step, told)

        if self.guidance is None:
            return denoise(z, condition, "main")
        prior: Any = self.prior  # guidance asks a prior for its self-attentions only
        return self.guidance.predict(prior, denoise, z, step, condition)


def _no_noise() -> Tensor:
    raise AssertionError("DDIM without eta draws no noise")


def run_guidance(bench: GuidanceBench, machine: Machine, on_picture: OnPicture) -> list[GuidanceRow]:
    """Make the pictures that are missing, measure all, and write ``guidance.json`` into the folder of the run.

    Raises:
        InputError: no caption can be read. WeightsError: the model is not whole.
        SettingsError: the folder was begun with other values.
    """
    captions = read_captions(bench.captions)[: bench.count]
    _begin(bench, captions)
    calls = {}
    with computing(machine):
        prior = load_text_to_image(bench.model, machine.placement())
        encoder = TextEncoder.load(bench.model, machine.torch_device, torch.float32)
        for name in bench.guidances:
            calls[name] = _paint_all(bench, captions, name, prior, encoder, on_picture)
    rows = _measured(bench, calls, len(captions))
    write_atomic(bench.out / TABLE_FILE, json.dumps([guidance_json(row) for row in rows], indent=2) + "\n")
    return rows


def _paint_all(
    bench: GuidanceBench,
    captions: list[str],
    name: GuidanceName,
    prior: TextToImagePrior,
    encoder: TextEncoder,
    on_picture: OnPicture,
) -> float:
    """Pictures of all captions by one guidance; returns the network calls per step."""
    scale = None if name == "none" else bench.scale
    guidance = choose_guidance(name, scale, default_scale=DEFAULT_SCALE)
    steps = text_to_image_steps(bench.model, bench.steps)
    negative, side = encoder.encode([""]).clone(), bench.size_px // SD_PIXELS_PER_LATENT
    folder, per_step = bench.out / "images" / name, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    for number, caption in enumerate(captions):
        path = folder / f"{number:06d}.png"
        if not path.exists() or not per_step:  # the first is drawn again to count the calls
            painter = Painter(prior=prior, steps=steps, guidance=guidance)
            condition = TextCondition(text=encoder.encode([caption]).clone(), negative=negative)
            picture = painter.paint(condition, noise(bench.seed, "init", number, 0, SD_LATENT_CHANNELS, side, side))
            _write_picture(path, picture)
            per_step = painter.calls / len(steps)
        on_picture(name, number + 1, len(captions))
    return per_step


def _write_picture(path: Path, picture: Tensor) -> None:
    levels = (picture.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
    ok, data = cv2.imencode(".png", np.ascontiguousarray(levels[..., ::-1]))
    if not ok:
        raise OutputError(f"{path}: the picture cannot be written as PNG")
    half = path.with_suffix(".part")
    with writing(path):
        half.write_bytes(bytes(data))
        half.replace(path)


# ---------------------------------------------------------------------------------------------- captions, facts


def read_captions(path: Path) -> list[str]:
    """Captions of a text file, one per line, or of COCO's JSON, the first of each picture. Raises InputError."""
    try:
        if path.suffix == ".json":
            found = _coco(read_json(path, _MOST_CAPTION_BYTES))
        else:
            found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the captions cannot be read ({error})") from error
    if not found:
        raise InputError(f"{path}: there is no caption in it")
    return found


def _coco(values: Any) -> list[str]:
    first: dict[Any, str] = {}
    for entry in values["annotations"]:
        first.setdefault(entry["image_id"], " ".join(str(entry["caption"]).split()))
    return list(first.values())


def _begin(bench: GuidanceBench, captions: list[str]) -> None:
    """Write down what decides the pictures, or check that what is there was begun alike."""
    facts = {
        "model": folder_fingerprint(bench.model),
        "captions": digest_of(captions),
        "steps": bench.steps,
        "scale": bench.scale,
        "size_px": bench.size_px,
        "seed": bench.seed,
    }
    path = bench.out / FACTS_FILE
    if not path.is_file():
        bench.out.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(facts, indent=2) + "\n")
        return
    try:
        found = dict(read_json(path, 1 << 16))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): delete the folder and begin anew") from error
    changed = [name for name, value in facts.items() if found.get(name) != value]
    if changed:
        name = changed[0]
        raise SettingsError(
            f"{bench.out} was begun with {name} {found.get(name)}, not {facts[name]}; choose another --out"
        )


# ---------------------------------------------------------------------------------------------- scores


def _measured(bench: GuidanceBench, calls: dict[GuidanceName, float], count: int) -> list[GuidanceRow]:
    from limpid.checkpoints.folders import weights_root

    rows = []
    try:
        look = inception(bench.weights or weights_root() / "metrics")
        real = None if bench.reference is None else image_features(_pictures(bench.reference), look).features
    except NotMeasurableError as error:
        reasons = {"IS": str(error), "FID": str(error)}
        return [_row(name, count, calls[name], reasons=reasons) for name in bench.guidances]
    for name in bench.guidances:
        try:
            seen = image_features(_pictures(bench.out / "images" / name), look)
        except NotMeasurableError as error:
            rows.append(_row(name, count, calls[name], reasons={"IS": str(error), "FID": str(error)}))
            continue
        distance = None if real is None else frechet_distance(seen.features, real)
        reasons = {"FID": "needs real pictures to compare with (--reference)"} if real is None else {}
        rows.append(_row(name, count, calls[name], inception_score(seen.logits), distance, reasons=reasons))
    return rows


def _row(
    name: str,
    count: int,
    calls: float,
    score: float | None = None,
    distance: float | None = None,
    *,
    reasons: dict[str, str],
) -> GuidanceRow:
    return GuidanceRow(
        name=name,
        pictures=count,
        calls_per_step=calls,
        inception_score=score,
        frechet_distance=distance,
        reasons=reasons,
    )


def _pictures(folder: Path) -> Iterator[np.ndarray]:
    """Pictures of a folder in the order of their names. Raises NotMeasurableError for one that cannot be read."""
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES):
        picture = load_image(path, alpha=False, deep=False)
        if picture is None:
            raise NotMeasurableError(f"{path} cannot be read")
        yield picture


def guidance_json(row: GuidanceRow) -> dict[str, Any]:
    """A row as JSON values."""
    return {
        "guidance": row.name,
        "pictures": row.pictures,
        "IS": row.inception_score,
        "FID": row.frechet_distance,
        "feedforward_per_iter": row.calls_per_step,
        "reasons": row.reasons,
    }


def guidance_lines(rows: list[GuidanceRow]) -> list[str]:
    """The table in Markdown, DC-VSR's published numbers behind ours, and a line for each reason."""
    from limpid.bench.published import published

    paper = {(p.method.lower(), p.metric): p.value for p in published() if (p.paper, p.table) == ("DC-VSR", "Table 3")}
    lines = ["| | " + " | ".join(row.name for row in rows) + " |", "|---|" + "---|" * len(rows)]
    for metric, arrow in (("IS", "↑"), ("FID", "↓"), ("feedforward_per_iter", "↓")):
        cells = []
        for row in rows:
            value = guidance_json(row)[metric]
            said = paper.get((row.name, metric))
            cells.append(("n/a" if value is None else f"{value:.4g}") + (f" (paper: {said:g})" if said else ""))
        lines.append(f"| {metric} {arrow} | " + " | ".join(cells) + " |")
    reasons = dict.fromkeys(f"{metric}: {why}" for row in rows for metric, why in row.reasons.items())
    return [*lines, "", *(f"- n/a {reason}" for reason in reasons)]
