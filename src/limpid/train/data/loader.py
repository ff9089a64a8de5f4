"""Batches of clips in a fixed order, made by worker processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from limpid.train.data.clips import ClipSample, TrainingClips
from limpid.train.data.processes import worker_context
from limpid.train.learner import ClipBatch
from limpid.types import InputError, ResourceError

AHEAD = 2
"""Batches that each worker makes ahead."""
_KILLED = ("exited unexpectedly", "is killed by signal")
"""What PyTorch says of a worker that is gone."""


@dataclass(frozen=True)
class _Failed:
    """An error on its way from a worker: a value, so that its message stays as it is."""

    says: str


class _Numbered(Dataset[ClipSample | _Failed]):
    def __init__(self, clips: TrainingClips) -> None:
        self._clips = clips

    def __getitem__(self, number: int) -> ClipSample | _Failed:
        try:
            return self._clips.sample(number)
        except InputError as error:
            return _Failed(str(error))


class _AsTheyAre:
    """The batches that were asked for. DataLoader wants something that can be gone through again."""

    def __init__(self, numbers: Iterable[Sequence[int]]) -> None:
        self._numbers = numbers

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return (list(batch) for batch in self._numbers)  # type: ignore[arg-type]


class Batches(Iterator[ClipBatch]):
    """Made by `batches`. ``waited_s`` counts the seconds that ``next`` has taken: time without data."""

    def __init__(self, clips: TrainingClips, numbers: Iterable[Sequence[int]], *, workers: int) -> None:
        self.waited_s = 0.0
        self.notes: list[str] = []
        """Sources that could not be used, each once."""
        self._asked: list[tuple[int, ...]] = []
        self._loader = DataLoader(
            _Numbered(clips),
            batch_sampler=_AsTheyAre(self._noted(numbers)),
            num_workers=workers,
            collate_fn=_unchanged,
            prefetch_factor=AHEAD if workers else None,
            multiprocessing_context=worker_context(__name__) if workers else None,
            worker_init_fn=_begin_worker,
        )
        self._source: Iterator[list[ClipSample | _Failed]] | None = None

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> ClipBatch:
        began = time.perf_counter()
        try:
            if self._source is None:
                self._source = iter(self._loader)
            samples = next(self._source)
        except RuntimeError as error:
            if not any(words in str(error) for words in _KILLED):
                raise
            raise ResourceError(
                f"a process that loads clips was ended ({error}): most often memory ran out; use fewer workers"
            ) from error
        finally:
            self.waited_s += time.perf_counter() - began
        return self._batch(self._asked.pop(0), samples)

    def close(self) -> None:
        """End the workers; calling it again does no harm."""
        stop = getattr(self._source, "_shutdown_workers", None)
        if stop is not None:
            stop()
        self._source = iter(())

    def _noted(self, numbers: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
        for batch in numbers:
            self._asked.append(tuple(batch))
            yield batch

    def _batch(self, numbers: tuple[int, ...], samples: list[ClipSample | _Failed]) -> ClipBatch:
        good = []
        for sample in samples:
            if isinstance(sample, _Failed):
                raise InputError(sample.says)
            self.notes += [note for note in sample.notes if note not in self.notes]
            good.append(sample)
        return to_batch(numbers, good)


def batches(clips: TrainingClips, numbers: Iterable[Sequence[int]], *, workers: int) -> Batches:
    """Batches of the clips with these numbers, in this order, on the CPU.

    Args:
        numbers: the clips of each batch; may be endless.
        workers: processes that make clips, each a batch at a time; 0 makes them in this one. The clips are the same.

    Raises:
        InputError: from ``next``, when the data cannot be used.
        ResourceError: from ``next``, when a worker was killed.
    """
    return Batches(clips, numbers, workers=workers)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Clips with the processes that make them: what the training loop takes (`limpid.train.source.BatchSource`)."""

    clips: TrainingClips
    workers: int

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the folder's contents."""
        return self.clips.fingerprint

    def batches(self, numbers: Iterable[Sequence[int]]) -> Batches:
        """`batches` with these workers."""
        return batches(self.clips, numbers, workers=self.workers)


def to_batch(numbers: Sequence[int], samples: Sequence[ClipSample]) -> ClipBatch:
    """Stack clips of equal size. Flows are there when all clips have them. Raises ValueError for unequal sizes."""
    shapes = {(sample.hr.shape, sample.lr.shape) for sample in samples}
    if len(shapes) != 1:
        raise ValueError(f"clips of one batch must be equally large, not {sorted(shapes)}")
    flows = [
        _stacked_flows([getattr(sample, name) for sample in samples]) for name in ("flow_forward", "flow_backward")
    ]
    taught = [sample.teacher for sample in samples if sample.teacher is not None]
    return ClipBatch(
        numbers=tuple(numbers),
        hr=_planes([sample.hr for sample in samples]),
        lr=_planes([sample.lr for sample in samples]),
        captions=tuple(sample.caption for sample in samples),
        keys=tuple(sample.key for sample in samples),
        flow_forward=flows[0],
        flow_backward=flows[1],
        damages=tuple(sample.damage for sample in samples),
        teacher=_planes(taught) if len(taught) == len(samples) else None,
    )


def _planes(clips: list[np.ndarray]) -> Tensor:
    """uint8 ``t h w 3`` each -> float32 ``b t 3 h w`` in [0, 1]."""
    return torch.from_numpy(np.stack(clips)).movedim(-1, 2).contiguous().float().div_(255)


def _stacked_flows(flows: list[np.ndarray | None]) -> Tensor | None:
    known = [flow for flow in flows if flow is not None]
    return torch.from_numpy(np.stack(known)) if len(known) == len(flows) else None


def _begin_worker(worker: int) -> None:
    """Workers share the processors. Ctrl-C is for the process that trains: it saves, then ends them."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _unchanged(samples: list[ClipSample | _Failed]) -> list[ClipSample | _Failed]:
    return samples
