"""Restoring frames as they come: segments are cut by the same rule as for files, only with the end still unknown."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from limpid.method import Method
from limpid.plan.device import Machine, choose_machine, computing
from limpid.plan.segments import Cutting, Stretch, make_segment, next_core
from limpid.restoration.chunk import Carry
from limpid.restoration.chunks import ChunkLoop, Ladder
from limpid.restoration.frame_kind import FrameKind
from limpid.restoration.restorer import Restorer, target_size
from limpid.restoration.shares import unheard
from limpid.restoration.sizes import held_frames, sizes_of
from limpid.settings import Settings
from limpid.types import Segment, SettingsError, Window


def restore_stream(
    frames: Iterable[Any],
    *,
    method: Method,
    settings: Settings,
    fps: Fraction,
    cuts: Iterable[int],
    on_done: Callable[[float], None] = unheard,
) -> Iterator[Any]:
    """Restored frames, see `limpid.restore`; checks at once, computes when the first frame is asked for.

    Args:
        on_done: told how many frames are done, counting parts of those that are computed; may raise to stop.
    """
    for name in settings.given("files"):
        raise SettingsError(f"{name} is about files and has no effect on a stream of frames; leave it out")
    starts = [0, *(cut for cut in cuts if cut != 0)]
    if any(a >= b for a, b in pairwise(starts)):
        raise SettingsError(f"cuts must be ascending frame numbers, but are {starts[1:]}")
    machine = choose_machine(
        settings.device,
        settings.dtype,
        settings.threads,
        runtime=settings.runtime,
        runtimes=method.runtimes,
        attention_kernel=settings.attention_kernel,
    )
    return _run(frames, partial(FrameStream.make, method, settings, machine, fps, on_done=on_done), starts[1:])


def _run(frames: Iterable[Any], make: Callable[[FrameKind], FrameStream], cuts: list[int]) -> Iterator[Any]:
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    kind = FrameKind.of(first)
    stream = make(kind)
    for shot, pictures in enumerate(split_shots(_chain(first, source), cuts)):
        for tensor in stream.restore_shot(shot, (kind.to_tensor(picture, i) for i, picture in pictures)):
            yield kind.from_tensor(tensor)


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    yield 0, first
    yield from enumerate(rest, 1)


def split_shots(frames: Iterator[tuple[int, Any]], cuts: list[int]) -> Iterator[Iterator[tuple[int, Any]]]:
    """Numbered frames -> one iterator per shot; each must be used up before the next is asked for."""
    pending = next(frames, None)
    bounds = deque(cuts)

    def shot() -> Iterator[tuple[int, Any]]:
        nonlocal pending
        while pending is not None and not (bounds and pending[0] >= bounds[0]):
            yield pending
            pending = next(frames, None)

    while pending is not None:
        yield shot()
        if bounds:
            bounds.popleft()


@dataclasses.dataclass
class FrameStream:
    """The state of one call: where it stands, and what was handed on."""

    restorer: Restorer
    cutting: Cutting
    ladder: Ladder
    position: int = 0
    """Number of the next frame to come out."""
    index: int = 0
    """Number of the next segment."""
    carry: Carry = dataclasses.field(default_factory=dict)
    on_done: Callable[[float], None] = unheard

    @classmethod
    def make(
        cls,
        method: Method,
        settings: Settings,
        machine: Machine,
        fps: Fraction,
        kind: FrameKind,
        *,
        on_done: Callable[[float], None] = unheard,
    ) -> FrameStream:
        cuts, size = method.cuts, {"width": kind.width, "height": kind.height}
        width, height = target_size(kind.width, kind.height, method.scale, settings)
        restorer = Restorer(method=method, settings=settings, machine=machine, width=width, height=height)
        lr_bytes = 2 * 12 * kind.width * kind.height  # frames that wait, and those of a segment put together
        sizes = sizes_of(
            method,
            settings,
            machine,
            fps=fps,
            budget=machine.budget(most=cuts.most_memory_bytes),
            held=held_frames(method, settings, lr_bytes, (kind.height, kind.width), restorer.format),
            **size,
        )
        rung, _ = sizes.rung(sizes.cutting.longest_frames)
        restorer = dataclasses.replace(restorer, offload=sizes.offload)
        ladder = Ladder(first=rung, lower=cuts.ladder(rung, **size), device=machine.torch_device)
        cutting = cuts.stream_cutting(sizes.cutting, rung)
        return cls(restorer=restorer, cutting=cutting, ladder=ladder, on_done=on_done)

    def restore_shot(self, shot: int, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """All frames of one shot, restored; keeps those that a later segment needs."""
        waiting: deque[Tensor] = deque()
        start = first = known = self.position
        ended, self.carry = False, {}
        while True:
            segment = self._next_segment(shot, start, known, ended)
            if segment is None:
                if ended:
                    return
                frame = next(frames, None)
                ended = frame is None
                if frame is not None:
                    waiting.append(frame)
                    known += 1
                continue
            for _ in range(segment.halo.start - first):
                waiting.popleft()
            first = max(first, segment.halo.start)
            lr = torch.stack([waiting[i] for i in range(len(segment.halo))])
            yield from self._compute(lr, segment)
            self.position = segment.core.stop

    def _next_segment(self, shot: int, start: int, known: int, ended: bool) -> Segment | None:
        """The next segment, once every frame of its halo is there."""
        core = next_core(self.position, known, self.cutting, ended=ended)
        if core is None:
            return None
        margin = 0 if ended else self.cutting.after_frames + self.cutting.grid_frames
        if core.stop + margin > known:
            return None
        # What comes after the known frames is not read; the shot ends there as far as this segment is concerned.
        return make_segment(self.index, shot, (start, known), core, self.cutting)

    def _compute(self, lr: Tensor, segment: Segment) -> Iterator[Tensor]:
        """One segment, in smaller and smaller pieces while memory runs out."""

        def take(window: Window) -> Tensor:
            return lr[window.start - segment.halo.start : window.stop - segment.halo.start]

        machine, cuts = self.restorer.machine, self.restorer.method.cuts
        loop = ChunkLoop(
            cuts=cuts,
            compute=self.restorer,
            take=take,
            ladder=self.ladder,
            halo_frames=self.cutting.halo_frames,
            on_share=lambda chunk, share: self.on_done(chunk.core.start + share * len(chunk.core)),
            guard=partial(computing, machine, keep_memory=cuts.reuses_freed_memory),
        )
        left: dict[str, Tensor] = {}
        for _, frames in loop.run(Stretch(segments=(segment,)), lambda core: True, self.carry, left):
            yield from frames
        self.carry, self.index = left, self.index + 1
