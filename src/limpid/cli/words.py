"""Events, sizes and times in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from limpid.bounded import one_line

STAGES = {
    "probe": "opening",
    "scan": "reading once for timestamps and cuts",
    "caption": "describing the shots",
    "plan": "planning",
    "calibrate": "measuring speed and memory",
    "run": "restoring",
    "assemble": "joining and adding sound",
    "finish": "finishing",
}

Event = dict[str, Any]
_WORTH_SAYING_S = 0.05


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A path for a sentence: line breaks and other control characters are escaped."""
    return one_line(os.fsdecode(path))


def sentence(event: Event) -> str | None:
    """An event in words; None for those that say nothing to a person."""
    maker = SENTENCES.get(event["event"])
    return maker(event) if maker is not None else None


def stage_name(stage: str) -> str:
    return STAGES.get(stage, stage)


def counts(event: Event) -> str:
    """``120/600 frames, 6.3 frames/s, 1:16 left``, with what is known; training counts clips and adds its loss."""
    unit = event.get("unit", "frames")
    total = f"/{event['total']}" if event.get("total") else ""
    parts = [f"{_done_text(event['done'], event.get('fps'))}{total} {unit}"]
    if event.get("fps"):
        parts.append(f"{event['fps']:.3g} {unit}/s")
    if event.get("eta_s") is not None:
        parts.append(f"{clock_time(event['eta_s'])} left")
    if event.get("says"):
        parts.append(event["says"])
    return ", ".join(parts)


def _done_text(done: float, rate: float | None) -> str:
    """Whole numbers, unless each takes a second or more: then tenths show that something moves."""
    return str(int(done)) if done == int(done) or (rate or 0) >= 1 else f"{done:.1f}"


def clock_time(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3675`` -> ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size_text(size: float) -> str:
    """Bytes for people: ``1.5 GB`` (powers of 1000, as disks are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _clip(event: Event) -> str:
    length = f", {clock_time(event['duration_s'])}" if event.get("duration_s") else ""
    rate = f"{float(event['fps']):.5g}" if "/" not in str(event["fps"]) else _ratio(str(event["fps"]))
    return f"{shown(event['path'])}: {event['width']}x{event['height']}, {rate} frames/s, {event['codec']}{length}"


def _ratio(text: str) -> str:
    top, bottom = text.split("/")
    return f"{int(top) / int(bottom):.5g}"


def _estimate(event: Event) -> str:
    rate, measured = event.get("frames_per_s"), "measured" if event.get("calibrated") else "guessed"
    speed = f", {rate:.3g} frames/s ({measured})" if rate else ""
    seconds = event.get("seconds")
    known = None if seconds is None else _time_text(seconds, event.get("left_s"))
    about = "time not measured yet" if known is None else f"about {known}{speed}"
    need = (event.get("segment_bytes") or 0) + (event.get("output_bytes") or 0)
    return f"{about}; needs up to {size_text(need)} of disk, {size_text(event.get('free_bytes') or 0)} are free"


def _time_text(seconds: float, left_s: float | None) -> str:
    """The whole time, and before it what is left of a run that goes on."""
    if left_s is None or left_s > 0.9 * seconds:
        return clock_time(seconds)
    return f"{clock_time(left_s)} for what is left, {clock_time(seconds)} for all"


def _resume(event: Event) -> str:
    return f"going on: {event['segments']} of {event['of']} segments ({event['frames']} frames) are already done"


def _rung(event: Event) -> str:
    changed = ", ".join(f"{k} {v}" for k, v in event.items() if k != "event" and v is not None)
    return f"memory ran out; going on with {changed}"


def _done(event: Event) -> str:
    speed = f", {event['fps']:.3g} frames/s" if event.get("fps") else ""
    return f"{event['frames']} frames in {clock_time(event['seconds'])}{speed}"


def _times(event: Event) -> str:
    parts = [("decoding", "decode"), ("encoding", "encode"), ("loading, colours and sizes", "finish")]
    waits = [("waiting for frames", "wait_for_frames"), ("for the encoder", "wait_for_encoder")]
    rest = [("sending frames", "transfer"), ("keeping segments", "commit"), ("workers without work", "idle")]
    waits += [(name, key) for name, key in rest if event.get(key, 0.0) >= _WORTH_SAYING_S]
    said = ", ".join(f"{name} {event[key]:.1f} s" for name, key in (*parts, *waits))
    return f"network {event['network']:.1f} s, {1 - event['outside_network']:.0%} of the time; {said}"


def crew_text(workers: list[dict[str, Any]]) -> str:
    """``3 workers, 1.9 to 2.1 frames/s each, without work 2% to 40% of the time``: of those that are there."""
    there = [row for row in workers if row["there"]] or workers
    rates = [row["fps"] or 0.0 for row in there]
    idle = [row["idle"] or 0.0 for row in there]
    said = f"{len(there)} worker{'s' * (len(there) != 1)}, {_range(rates, '.3g')} frames/s"
    return f"{said}{' each' * (len(there) > 1)}, without work {_range(idle, '.0%')} of the time"


def _range(values: list[float], form: str) -> str:
    least, most = format(min(values), form), format(max(values), form)
    return least if least == most else f"{least} to {most}"


def _waiting(event: Event) -> str:
    count = event["workers"]
    return f"  waiting for the first of {count} worker{'s' * (count != 1)}: {event['s']} s of {event['most_s']} s"


def _workers(event: Event) -> str | None:
    workers = event["workers"]
    if not workers:
        return None
    idlest = max(workers, key=lambda row: row["idle"] or 0.0)
    where = f" (most on {shown(idlest['node'])}, {idlest['name']})" if len(workers) > 1 and idlest["idle"] else ""
    return f"  {crew_text(workers)}{where}"


def plan_text(plan: dict[str, Any]) -> str:
    """The plan of a dry run, for people; ``--json`` has all of it."""
    start, stop = plan["frames"]
    rung = plan["rung"]
    tile = f"tiles of {rung['tile_px']} px" if rung.get("tile_px") else "no tiles"
    window = f"windows of {rung['window_frames']} frames, " if rung.get("window_frames") else ""
    reasons = [f"          {reason}" for reason in plan.get("reasons", ())]
    return "\n".join(
        [
            f"frames    {start} to {stop - 1} ({stop - start})",
            f"segments  {plan['segments']}, halo {plan['halo_frames']} frames",
            f"at once   {rung['chunk_frames']} frames, {window}{tile}, {plan['threads']} threads",
            f"memory    {size_text(plan['peak_bytes'])} for one chunk",
            *reasons,
        ]
    )


SENTENCES: dict[str, Callable[[Event], str | None]] = {
    "stage": lambda event: stage_name(event["stage"]),
    "clip": _clip,
    "progress": lambda event: f"  {counts(event)}",
    "skipped": lambda event: f"skipped {shown(event['input'])}: {shown(event['output'])} exists",
    "file": lambda event: f"[{event['number']}/{event['of']}] {shown(event['input'])}",
    "estimate": _estimate,
    "resume": _resume,
    "rung": _rung,
    "warning": lambda event: f"warning: {one_line(event['message'])}",
    "note": lambda event: f"note: {one_line(event['message'])}",
    "waiting": _waiting,
    "workers": _workers,
    "times": _times,
    "done": _done,
}
