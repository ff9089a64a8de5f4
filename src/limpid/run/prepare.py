"""From what the user asks for to what is run: options against the method, the preview's frames, the plan."""

from __future__ import annotations

import bisect
import dataclasses
from fractions import Fraction
from typing import Any

from limpid.cuts.cost import Held
from limpid.diffusion.schedules import truncate
from limpid.method import ENGINE_OPTIONS, Method
from limpid.plan.device import Machine
from limpid.plan.memory import Budget
from limpid.plan.segments import (
    Plan,
    plan_segments,
)
from limpid.restoration.sizes import sizes_of
from limpid.run.events import Teller
from limpid.settings import Settings
from limpid.spellings import parse_preview
from limpid.types import Clip, InputError, OutputSpec, SettingsError, Timeline, Window

LEAST_PX = 16


def check_options(method: Method, settings: Settings) -> None:
    """Raises SettingsError for an option that would have no effect with the method."""
    for name in settings.given("engine"):
        if name not in method.options:
            other = ", or choose the method tiny" if name in ENGINE_OPTIONS else ""
            raise SettingsError(f"{name} has no effect with the method {method.name}; leave it out{other}")
    method.strategy.check(truncate(method.make_schedule(method.num_steps(settings)), settings.strength))


def check_clip(clip: Clip) -> None:
    """Raises InputError for pictures that are too small to restore."""
    if min(clip.width, clip.height) < LEAST_PX:
        raise InputError(
            f"{clip.path} is {clip.width}x{clip.height}; the smallest size is {LEAST_PX}x{LEAST_PX} pixels"
        )


def as_shown(clip: Clip, settings: Settings) -> Clip:
    """The clip at the rate at which it is restored: twice its own when both fields become frames."""
    if settings.deinterlace != "double" or clip.kind == "images":
        return clip
    count = 2 * clip.num_frames if clip.num_frames else clip.num_frames
    return dataclasses.replace(clip, fps=2 * clip.fps, time_base=clip.time_base / 2, num_frames=count)


def tell_clip(clip: Clip, teller: Teller) -> None:
    """What the header of the input says."""
    size = {"width": clip.width, "height": clip.height, "fps": str(clip.fps)}
    rest = {"codec": clip.codec, "duration_s": clip.duration_s, "num_frames": clip.num_frames}
    teller.tell("clip", path=clip.path, **size, **rest)


def unused_options(clip: Clip, settings: Settings, spec: OutputSpec) -> list[str]:
    """Sentences on options that have no effect with this input or output."""
    encoding: dict[str, Any] = {"crf": settings.crf, "encoder": settings.encoder, "codec": spec.codec}
    return Settings.unused(deinterlace=settings.deinterlace, input=clip.kind, **encoding)


def idle_attention(asked: str | None, plan: Plan, size: tuple[int, int]) -> list[str]:
    """Sentences on attention between tiles that was asked for and has no others to look at in this plan.

    Args:
        asked: the option attention; None: nothing was asked.
        size: of the input in pixels.
    """
    rung, parts = plan.rung, (asked or "none").split("+")
    whole, single = "has no effect here: each picture is one tile", "has no effect here: each segment is one window"
    sentences = []
    if "sap" in parts and (rung.tile_px is None or rung.tile_px >= max(size)):
        sentences.append(f"attention sap {whole}, which has no others to look at; a smaller --tile-px makes several")
    if "tap" in parts and all(len(s.halo) <= (rung.window_frames or len(s.halo)) for s in plan.segments):
        sentences.append(f"attention tap {single}, which none was before; a smaller --window-frames makes several")
    return sentences


def preview_frames(timeline: Timeline, preview: str | None) -> Window:
    """The frames shown in the asked part, times counted from the first frame; all frames without a preview."""
    if preview is None:
        return Window(start=0, stop=timeline.num_frames)
    start_s, stop_s = parse_preview(preview)
    first, unit = timeline.pts[0], timeline.time_base
    times = [(pts - first) * unit for pts in timeline.pts]
    # The frame that is on screen at the start of the range, then all that appear before its end.
    start = max(bisect.bisect_right(times, start_s) - 1, 0)
    stop = bisect.bisect_left(times, stop_s)
    length = times[-1] + timeline.last_duration * unit
    if start_s >= length:
        raise SettingsError(f"preview {preview} begins after the end of the input, which is {float(length):.2f} s long")
    return Window(start=start, stop=max(stop, start + 1))


def make_plan(
    *,
    timeline: Timeline,
    frames: Window,
    fps: Fraction,
    size: tuple[int, int],
    settings: Settings,
    method: Method,
    machine: Machine,
    budget: Budget,
    held: Held,
) -> Plan:
    """The plan of a run. ``size``: width and height of the input."""
    sizes = sizes_of(method, settings, machine, width=size[0], height=size[1], fps=fps, budget=budget, held=held)
    segments = plan_segments(timeline.shots(), frames, sizes.cutting)
    longest = max(len(stretch.core) for stretch in method.cuts.stretches(segments))
    rung, peak_bytes = sizes.rung(longest)
    return Plan(
        segments=segments,
        frames=frames,
        local=method.cuts.exact,
        halo_frames=max(sizes.cutting.halo_frames, sizes.cutting.after_frames),
        grid_frames=sizes.cutting.grid_frames,
        rung=rung,
        threads=machine.threads,
        peak_bytes=peak_bytes,
        offload=sizes.offload,
        reasons=sizes.reasons,
    )
