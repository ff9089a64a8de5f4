"""Rows of a paper's table as columns of a run: which can be run here, with which weights, and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.bench.ablation import check_variant
from limpid.bench.jobs import Variant
from limpid.bench.papers.kinds import PaperPart, PaperRow
from limpid.bench.papers.others import OTHERS
from limpid.bench.worker import BASELINES, RECONSTRUCT
from limpid.checkpoints.folders import installed
from limpid.types import LimpidError, WeightsError

TRAINED = Path("trained")
"""Where runs of recipes are looked for unless the user says otherwise: ``trained/<recipe>/final``."""


@dataclass(frozen=True, kw_only=True)
class Here:
    """What the user says of this machine."""

    method: str
    """The paper's method."""
    weights: Path | None = None
    """Its weights in place of the installed ones."""
    trained: Path = TRAINED
    settings: Mapping[str, Any] = field(default_factory=dict)
    """For every row."""


def variant_of(row: PaperRow, here: Here) -> Variant:
    """The column of a run. Raises LimpidError where the row cannot be run here; the sentence says what is missing."""
    if row.other:
        other = OTHERS[row.other]
        raise WeightsError(
            f"a program of other people: {other.where} (licence: {other.licence}); limpid compare measures what it "
            "makes of RUN/lr"
        )
    variant = Variant(label=row.label, method=row.method, changes={**row.changes, **_weights(row, here)})
    if row.method == RECONSTRUCT:
        _check_autoencoder(variant)
    elif row.method not in BASELINES:
        check_variant(variant, here.settings)
    return variant


def _weights(row: PaperRow, here: Here) -> dict[str, str]:
    if row.recipe:
        return {"weights": str(trained_folder(row.recipe, here.trained))}
    if row.method == RECONSTRUCT:
        return {"weights": str(installed(here.method, None if here.weights is None else str(here.weights)))}
    return {"weights": str(here.weights)} if here.weights is not None and row.method == here.method else {}


def trained_folder(recipe: str, trained: Path) -> Path:
    """What a recipe has trained. Raises WeightsError that says how to train it."""
    folder = trained / recipe / "final"
    if not folder.is_dir():
        raise WeightsError(f"nobody has released these weights: {training_command(recipe, trained)} trains them")
    return folder.resolve()


def training_command(recipe: str, trained: Path = TRAINED) -> str:
    """The command of a training, with what it starts from. ``LATENTS``: see `latents_command`."""
    latents = " --latents LATENTS" if recipe.startswith(_OF_LATENTS) else ""
    return (
        f"limpid train --recipe {recipe} --start {_place(recipe, trained)} --data DIR{latents} --out {trained / recipe}"
    )


def latents_command(recipe: str, trained: Path = TRAINED) -> str:
    """The command that makes what a decoder learns from, where the paper has it learn from the denoiser's latents."""
    if not recipe.startswith(_OF_LATENTS):
        return ""
    method = recipe.partition("/")[0]
    return f"limpid train latents --recipe {method}/vae --data DIR --weights {_place(recipe, trained)} --out LATENTS"


_OF_LATENTS = ("upscale-a-video/vae", "mgld-vsr/vae")
"""Decoders that learn from latents of the denoiser (UAV section 4.1, MGLD section 4.1)."""


def _place(recipe: str, trained: Path) -> Path:
    """Where a recipe's start lies."""
    start = start_of(recipe)
    return trained / start / "final" if "/" in start else Path("WEIGHTS") / start


def start_of(recipe: str) -> str:
    """What a recipe of the papers starts from: another recipe (with a slash), or weights of the catalogue."""
    method, _, what = recipe.partition("/")
    if what in ("unet", "vae") or method == "diffvsr":
        whole = {
            "upscale-a-video/unet": "sd-x4-upscaler",
            "upscale-a-video/vae": "upscale-a-video/unet",
            "mgld-vsr/unet": "sd-2-1-base",
            "mgld-vsr/vae": "mgld-vsr/unet",
            "dc-vsr/unet": "svd",
        }
        return whole.get(recipe) or ("sd-x4-upscaler" if what.startswith("vae") else "diffvsr/vae")
    return method


def _check_autoencoder(variant: Variant) -> None:
    path = Path(variant.changes["weights"]) / "vae" / "config.json"
    if not path.is_file():
        raise WeightsError(f"{path} is not there; is {variant.changes['weights']} a folder of converted weights?")


def paper_variants(
    part: PaperPart, here: Here, labels: list[str] | None = None
) -> tuple[list[Variant], dict[str, str]]:
    """The rows of a table that can be run here, and why the others cannot; ``labels``: only these rows."""
    variants, missing = [], dict[str, str]()
    for row in part.rows:
        if labels is not None and row.label not in labels:
            continue
        try:
            variants.append(variant_of(row, here))
        except LimpidError as error:
            missing[row.label] = str(error)
    return variants, missing
