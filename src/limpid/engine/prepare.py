"""From what the user asks for to what is run: options against the method, the preview's frames, the plan."""

from __future__ import annotations

import bisect
import dataclasses
from fractions import Fraction

from limpid.engine.device import Machine
from limpid.engine.events import Teller
from limpid.engine.plan import (
    Cutting,
    Load,
    Plan,
    Rung,
    affordable_segment,
    choose_cutting,
    fit,
    ladder,
    method_load,
    plan_segments,
    spans,
    tile_choices,
)
from limpid.settings import Settings, parse_preview
from limpid.types import Clip, InputError, Method, OutputSpec, SettingsError, Timeline, Window

METHOD_OPTIONS = ("steps", "strength", "seed", "color", "tile_px", "window_frames")
"""Settings that only some methods can follow; see `Method.options`."""
LEAST_PX = 16


def check_options(method: Method, settings: Settings) -> None:
    """Raises SettingsError for an option that would have no effect with the method."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    for name in METHOD_OPTIONS:
        if getattr(settings, name) != defaults[name] and name not in method.options:
            raise SettingsError(f"{name} has no effect with the method {method.name}; leave it out")


def check_clip(clip: Clip) -> None:
    """Raises InputError for pictures that are too small to restore."""
    if min(clip.width, clip.height) < LEAST_PX:
        raise InputError(
            f"{clip.path} is {clip.width}x{clip.height}; the smallest size is {LEAST_PX}x{LEAST_PX} pixels"
        )


def tell_clip(clip: Clip, teller: Teller) -> None:
    """What the header of the input says."""
    size = {"width": clip.width, "height": clip.height, "fps": str(clip.fps)}
    rest = {"codec": clip.codec, "duration_s": clip.duration_s, "num_frames": clip.num_frames}
    teller.tell("clip", path=clip.path, **size, **rest)


def unused_options(clip: Clip, settings: Settings, spec: OutputSpec) -> list[str]:
    """Sentences on options that have no effect with this input or output."""
    found = []
    if clip.kind == "images" and settings.deinterlace != "auto":
        found.append("deinterlace has no effect on a folder of images")
    if spec.codec in ("ffv1", "prores", "images") and settings.crf != Settings().crf:
        found.append(f"crf has no effect with {spec.codec}")
    return found


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
    num_steps: int,
    budget_bytes: int,
) -> Plan:
    """The plan of a run. ``size``: width and height of the input."""
    load = method_load(method, num_steps=num_steps, width=size[0], height=size[1])
    cutting = cut_by(load, fps=fps, settings=settings, method=method, num_steps=num_steps, budget_bytes=budget_bytes)
    segments = plan_segments(timeline.shots(), frames, cutting)
    longest = max(len(span.core) for span in spans(segments, local=method.local))
    rung = choose_rung(load, settings, method, budget_bytes, longest)
    return Plan(
        segments=segments,
        frames=frames,
        local=method.local,
        halo_frames=cutting.halo_frames,
        grid_frames=cutting.grid_frames,
        rung=rung,
        threads=machine.threads,
        peak_bytes=load.peak_bytes(rung.chunk_frames, rung.tile_px, rung.window_frames),
    )


def cut_by(
    load: Load, *, fps: Fraction, settings: Settings, method: Method, num_steps: int, budget_bytes: int
) -> Cutting:
    """How shots are cut; only methods whose segments are computed at once are limited by memory."""
    affordable = None
    if not method.local:
        tile, window = settings.tile_px or method.tile_px, settings.window_frames or method.window_frames
        affordable = affordable_segment(load, budget_bytes, tile_px=tile, window_frames=window)
    return choose_cutting(
        fps=fps,
        method=method,
        num_steps=num_steps,
        segment_frames=settings.segment_frames,
        affordable_frames=affordable,
    )


def choose_rung(load: Load, settings: Settings, method: Method, budget_bytes: int, longest: int) -> Rung:
    """What is in memory at once at first."""
    if method.local:
        rung = fit(load, budget_bytes, most_frames=longest, tile_px=settings.tile_px or method.tile_px)
        return dataclasses.replace(rung, window_frames=settings.window_frames)
    window = settings.window_frames or method.window_frames
    tile = settings.tile_px or method.tile_px or _first_tile(load, budget_bytes, longest, window)
    return Rung(chunk_frames=longest, tile_px=tile, window_frames=settings.window_frames)


def _first_tile(load: Load, budget_bytes: int, frames: int, window_frames: int | None) -> int | None:
    """For methods that have no tile size of their own: the whole picture, or the largest tile that fits."""
    tiles = (None, *tile_choices(max(load.width, load.height)))
    fitting = (t for t in tiles if load.peak_bytes(frames, t, window_frames) <= budget_bytes)
    return next(fitting, tiles[-1])


def ladder_of(plan: Plan, method: Method, width: int, height: int) -> tuple[Rung, ...]:
    """What to step down to from the first rung of a plan. ``width`` and ``height`` of the input."""
    return ladder(plan.rung, width=width, height=height, local=method.local, overlap_px=method.tile_overlap_px)
