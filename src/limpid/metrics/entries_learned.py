"""Entries of the catalogue that rest on learned weights or statistics, or on a program that does not come with Limpid.

NIQE's statistics are here. LPIPS, tLP and DISTS are computed where their files lie in the folder of weights. None of
the others is computed by this version. Each says what it needs, how large that is, under which licence, and where it
was looked for, so that a table shows the reason in place of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from limpid.metrics.kinds import Better, Clips, Kind, Measured, Metric, Need, NotMeasurableError, mean_of

_SRGB = "Needs RGB frames; mean over frames."


@dataclass(frozen=True)
class File:
    """A file of other people that a metric needs."""

    name: str
    size: str
    licence: str


def folder_of(clips: Clips) -> Path:
    """Where weights of metrics are looked for: the folder given, or ``metrics`` in the folder of weights."""
    from limpid.checkpoints.folders import weights_root

    return clips.weights if clips.weights is not None else weights_root() / "metrics"


def _place(folder: Path, file: File) -> Path:
    """Where the file is, or should be; the same tensors as safetensors will do."""
    path = folder / file.name
    other = path.with_suffix(".safetensors")
    return other if other.is_file() and not path.is_file() else path


def _missing(clips: Clips, files: Sequence[File]) -> Measured:
    """Always without a value; raises NotMeasurableError that names what it needs and where that was looked for."""
    _paths(clips, files)
    raise NotMeasurableError(
        f"needs {_named(files)}, found in {folder_of(clips)}; this version of Limpid cannot run it yet"
    )


def _paths(clips: Clips, files: Sequence[File]) -> list[Path]:
    """The files; raises NotMeasurableError that names them all where one is missing."""
    folder = folder_of(clips)
    paths = [_place(folder, f) for f in files]
    if not all(path.is_file() for path in paths):
        raise NotMeasurableError(f"needs {_named(files)}, not found in {folder}")
    return paths


def _named(files: Sequence[File]) -> str:
    return " and ".join(f"{f.name} ({f.size}, {f.licence})" for f in files)


def _lpips(clips: Clips, files: Sequence[File]) -> Measured:
    backbone, heads = _paths(clips, files)
    from limpid.metrics.perceptual import lpips

    return mean_of(lpips(clips.sr, clips.truth, backbone, heads))


def _tlp(clips: Clips, files: Sequence[File]) -> Measured:
    backbone, heads = _paths(clips, files)
    from limpid.metrics.perceptual import lpips

    truth, sr = (lpips(v[:-1], v[1:], backbone, heads) for v in (clips.truth, clips.sr))
    return mean_of([100 * abs(a - b) for a, b in zip(truth, sr, strict=True)])


def _dists(clips: Clips, files: Sequence[File]) -> Measured:
    backbone, heads = _paths(clips, files)
    from limpid.metrics.perceptual import dists

    return mean_of(dists(clips.sr, clips.truth, backbone, heads))


def _niqe(clips: Clips) -> Measured:
    from limpid.metrics.niqe import frame_niqe

    return mean_of([frame_niqe(f) for f in clips.sr])


def _entry(
    name: str,
    label: str,
    better: Better,
    definition: str,
    source: str,
    files: Sequence[File],
    *,
    kind: Kind = "no_reference",
    needs: tuple[Need, ...] = (),
    how: Callable[..., Measured] = _missing,
) -> Metric:
    return Metric(
        name=name,
        label=label,
        kind=kind,
        better=better,
        definition=definition,
        source=source,
        licence="; ".join(f"{f.name}: {f.licence}" for f in files),
        measure=partial(how, files=tuple(files)),
        needs=needs,
    )


_ALEX = File("alexnet-owt-7be5be79.pth", "233 MB", "BSD-3-Clause")
_VGG = File("vgg16-397923af.pth", "528 MB", "BSD-3-Clause")
_LPIPS = File("lpips_alex.pth", "6 kB", "BSD-2-Clause")
_CLIP_RN50 = File("RN50.pt", "244 MB", "MIT")
_CLIP_B32 = File("ViT-B-32.pt", "338 MB", "MIT")

LEARNED = (
    Metric(
        name="niqe",
        label="NIQE (Y, as basicsr)",
        kind="no_reference",
        better="lower",
        definition="Y of 16..235, rounded; blocks of 96x96 without overlap, 7x7 window, two scales, distance of the "
        "two Gaussians; all frames, mean. Depends on the size of the picture.",
        source="Mittal, Soundararajan and Bovik 2013, with the statistics that basicsr distributes",
        licence="Apache-2.0 (own code; statistics of basicsr, Apache-2.0)",
        measure=_niqe,
    ),
    _entry(
        "lpips",
        "LPIPS (AlexNet, v0.1)",
        "lower",
        "Distance of AlexNet features with the linear heads of v0.1, RGB in [-1, 1], full size, mean over frames.",
        "Zhang et al. 2018",
        (_ALEX, _LPIPS),
        kind="full_reference",
        needs=("gt",),
        how=_lpips,
    ),
    _entry(
        "dists",
        "DISTS (full size)",
        "lower",
        "Structure and texture similarity of VGG16 features at full size (the authors' program reduces the shorter "
        "side to 256), mean over frames.",
        "Ding et al. 2020",
        (_VGG, File("dists.pt", "12 kB", "MIT")),
        kind="full_reference",
        needs=("gt",),
        how=_dists,
    ),
    _entry(
        "tlp",
        "tLP x100 (TecoGAN, AlexNet)",
        "lower",
        "|LPIPS of neighbouring truths - LPIPS of neighbouring results| x 100, AlexNet v0.1, mean over pairs. "
        "Unlike TecoGAN no border is cropped and no frame dropped.",
        "TecoGAN (Chu et al. 2020)",
        (_ALEX, _LPIPS),
        kind="temporal",
        needs=("gt",),
        how=_tlp,
    ),
    _entry(
        "vbench-background",
        "VBench background consistency (CLIP ViT-B/32)",
        "higher",
        "Cosine of CLIP features with those of the frame before and of the first frame, mean of both, at 224 pixels.",
        "VBench (Huang et al. 2024)",
        (_CLIP_B32,),
        kind="temporal",
    ),
    _entry(
        "brisque",
        "BRISQUE (LIVE)",
        "lower",
        "Support vector regression of natural scene statistics, 0 to 100.",
        "Mittal et al. 2012",
        (File("brisque_svm.txt", "351 kB", "Apache-2.0 as packaged"),),
    ),
    _entry(
        "nrqm",
        "NRQM (Ma et al.)",
        "higher",
        "Random forests over statistics of frequencies and gradients, 0 to 10.",
        "Ma et al. 2017",
        (File("NRQM_model.mat", "size not known", "as MIT"),),
    ),
    _entry(
        "musiq",
        "MUSIQ (KonIQ-10k)",
        "higher",
        "Transformer over patches of three scales, checkpoint KonIQ-10k, 0 to 100. " + _SRGB,
        "Ke et al. 2021",
        (File("musiq_koniq.safetensors", "size not known", "Apache-2.0"),),
    ),
    _entry(
        "clipiqa-official",
        "CLIP-IQA (one pair of prompts)",
        "higher",
        "CLIP RN50 without positions, prompts 'Good photo.' and 'Bad photo.', 0 to 1. " + _SRGB,
        "Wang et al. 2023, as torchmetrics and piq",
        (_CLIP_RN50,),
    ),
    _entry(
        "clipiqa-pyiqa",
        "CLIP-IQA (five pairs of prompts, pyiqa)",
        "higher",
        "As clipiqa-official, mean over five pairs of prompts: other numbers under the same name. " + _SRGB,
        "Wang et al. 2023, as pyiqa (PolyForm-Noncommercial)",
        (_CLIP_RN50,),
    ),
    _entry(
        "dover",
        "DOVER (fused, 0 to 1)",
        "higher",
        "Sigmoid of 0.6104 x technical + 0.3896 x aesthetic, each normalised as in the authors' program for one video.",
        "Wu et al. 2023",
        (File("DOVER.pth", "size not known", "S-Lab, non-commercial"),),
    ),
)
