"""Files of other people that metrics need: where they are looked for, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from limpid.metrics.kinds import Better, Clips, Measured, Metric, MetricKind, Need, NotMeasurableError


@dataclass(frozen=True)
class MetricFile:
    """A file of other people that a metric needs."""

    name: str
    size: str
    licence: str


def folder_of(clips: Clips) -> Path:
    """The folder in which weights of metrics are looked for: the one given, or ``metrics`` in the folder of weights."""
    from limpid.checkpoints.folders import weights_root

    return clips.weights if clips.weights is not None else weights_root() / "metrics"


def place(folder: Path, file: MetricFile) -> Path:
    """The place of a file, where it is or should be; the same tensors as safetensors will do."""
    path = folder / file.name
    other = path.with_suffix(".safetensors")
    return other if other.is_file() and not path.is_file() else path


def paths_of(clips: Clips, files: Sequence[MetricFile], also: str = "") -> list[Path]:
    """Paths of the files that a metric needs.

    Raises NotMeasurableError that names them all where one is missing, and what else is ``also``.
    """
    folder = folder_of(clips)
    paths = [place(folder, f) for f in files]
    if not all(path.is_file() for path in paths):
        raise NotMeasurableError(f"needs {named(files)}, not found in {folder}" + also)
    return paths


def missing_files(metric: Metric) -> list[MetricFile]:
    """The files that a metric needs and that do not lie where it looks for them; it may need a program besides."""
    from limpid.checkpoints.folders import weights_root

    files = metric.measure.keywords.get("files", ()) if isinstance(metric.measure, partial) else ()
    return [file for file in files if not place(weights_root() / "metrics", file).is_file()]


def named(files: Sequence[MetricFile]) -> str:
    """Files in words: ``a.pth (6 kB, BSD-2-Clause) and b.pth (1 MB, MIT)``."""
    return " and ".join(f"{f.name} ({f.size}, {f.licence})" for f in files)


def stamp(path: Path) -> tuple[Path, int, int]:
    """The key of a cache of what is in a file: another file under the same name is read again."""
    facts = path.stat()
    return path, facts.st_mtime_ns, facts.st_size


def entry(
    name: str,
    label: str,
    better: Better,
    definition: str,
    source: str,
    files: Sequence[MetricFile],
    *,
    how: Callable[..., Measured],
    kind: MetricKind = "no_reference",
    needs: tuple[Need, ...] = (),
    also: str = "",
) -> Metric:
    """An entry of the catalogue that rests on files; ``also``: the licence of a program that it needs besides."""
    licences = [f"{f.name}: {f.licence}" for f in files]
    return Metric(
        name=name,
        label=label,
        kind=kind,
        better=better,
        definition=definition,
        source=source,
        licence="; ".join([*licences, *filter(None, [also])]),
        measure=partial(how, files=tuple(files)),
        needs=needs,
    )
