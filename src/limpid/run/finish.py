"""The end of a run: joining the segments, the sidecar, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.plan.segments import Plan
from limpid.run.events import Meter, Teller
from limpid.run.feed import Read
from limpid.run.journal import Journal
from limpid.run.resume import make_plan_and_estimate
from limpid.run.session import Session
from limpid.run.sidecar import write_sidecar
from limpid.types import Window
from limpid.video import assemble


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run did. Of a dry run: what it would do, with ``frames`` to come and no seconds."""

    output: Path
    frames: int
    seconds: float
    fps: float | None
    """Frames per second of this run, end to end; segments of a former run do not count."""
    resumed_segments: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    plan: Mapping[str, Any]
    """See `limpid.plan.segments.Plan.to_dict`."""
    estimate: Mapping[str, Any]
    """See `limpid.run.estimate.Estimate`."""
    dry_run: bool = False


def join_segments(session: Session, journal: Journal, teller: Teller) -> None:
    """Make the output of the finished segments: whole, under its final name, or not at all."""
    teller.stage("assemble")
    journal.add_assembling()
    frames = session.frames
    whole = len(frames) == session.timeline.num_frames
    meter = Meter(teller, "assemble", total=len(frames))
    meter.start()
    notes = assemble(
        [journal.folder / journal.finished[segment.index].file for segment in journal.plan.segments],
        session.places.output,
        session.spec,
        session.clip,
        session.timeline,
        frames=None if whole else Window(start=frames.start, stop=frames.stop),
        overwrite=True,  # whether the output may be replaced was checked before the run, and again when it was resumed
        on_progress=meter.update,
    )
    for note in notes:
        teller.note(note)


def finish(session: Session, journal: Journal, teller: Teller, *, resumed: int) -> Report:
    """Write the sidecar and say what was done. ``resumed``: segments that a former run had left."""
    teller.stage("finish")
    report = _report(session, journal.plan, journal.estimate, teller, resumed=resumed)
    write_sidecar(
        session.places.sidecar,
        source=session.places.source,
        settings=session.settings,
        resolved=session.resolved(journal.plan),
        timings={"seconds": report.seconds, "fps": report.fps, "stages": dict(teller.stage_s)},
        frames=report.frames,
        resumed_segments=resumed,
        rungs=[rung.to_dict() for _, rung in journal.lowered],
        notes=report.notes,
        warnings=report.warnings,
        **session.sidecar_facts(journal.plan),
    )
    values = {name: getattr(report, name) for name in ("frames", "seconds", "fps", "resumed_segments")}
    teller.tell("done", output=str(report.output), **values, notes=teller.notes, warnings=teller.warnings)
    return report


def dry_run_of(session: Session, read: Read, teller: Teller, *, trial: bool) -> Report:
    """What a run would do; nothing is written."""
    plan, estimate = make_plan_and_estimate(session, read, teller, trial=trial)
    _ = session.compute(plan).prior  # weights that are missing or damaged are found now, and not by the run
    session.tell_warnings(teller)
    return _report(session, plan, estimate.to_dict(), teller, resumed=0, dry_run=True)


def _report(
    session: Session, plan: Plan, estimate: Mapping[str, Any], teller: Teller, *, resumed: int, dry_run: bool = False
) -> Report:
    frames, seconds = len(plan.frames), sum(teller.stage_s.values())
    # Segments of a former run come first in the plan or not: their share of the segments is close enough for a rate.
    made = frames * (1 - resumed / len(plan.segments))
    return Report(
        output=session.places.output,
        frames=frames,
        seconds=round(seconds, 3),
        fps=made / seconds if seconds > 0 and made and not dry_run else None,
        resumed_segments=resumed,
        notes=tuple(teller.notes),
        warnings=tuple(teller.warnings),
        plan=plan.to_dict(),
        estimate=dict(estimate),
        dry_run=dry_run,
    )
