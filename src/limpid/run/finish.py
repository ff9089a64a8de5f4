"""The end of a run: joining the segments, the sidecar, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from limpid.durable.files import fsync_path, write_atomic
from limpid.plan.segments import Plan
from limpid.run.events import Meter, Teller
from limpid.run.feed import Read
from limpid.run.journal import Journal, PublishedResult
from limpid.run.kinds import kinds_made, kinds_text
from limpid.run.places import Places
from limpid.run.resume import make_plan_and_estimate
from limpid.run.session import Session
from limpid.run.sidecar import sidecar_text
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
    """The plan of the run, as `limpid.plan.segments.Plan.to_dict` writes it."""
    estimate: Mapping[str, Any]
    """Time and disk space that the run was estimated to take: see `limpid.run.estimate.Estimate`."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Where the time of the run went: see `limpid.restoration.times.Times.of_run`."""
    workers: tuple[Mapping[str, Any], ...] = ()
    """What each worker did, as the event ``workers`` says it (`limpid.run.events`); empty where there were none."""
    dry_run: bool = False


def join_segments(session: Session, journal: Journal, teller: Teller, *, resumed: int, overwrite: bool) -> Report:
    """Make the output of the finished segments: whole, under its final name and with its sidecar, or not at all.

    What has to be done again after a kill is decided by one line of the journal, written when the result is whole and
    has no name yet: whatever has its bytes under its name is the result. ``resumed``: segments that a former run left.
    """
    teller.stage("assemble")
    frames, places = session.frames, session.places
    whole = len(frames) == session.timeline.num_frames
    meter = Meter(teller, "assemble", total=len(frames))
    meter.start()
    reports: list[Report] = []

    def on_whole(part: Path, notes: tuple[str, ...]) -> None:
        for note in notes:
            teller.note(note)
        published = PublishedResult.of(part)
        if len(kinds := _kinds(session, journal)) > 1:
            teller.note(kinds_text(kinds))
        teller.stage("finish")
        reports.append(_report(session, journal.plan, journal.estimate, teller, resumed=resumed))
        text = _sidecar(session, journal, teller, reports[0], published)
        write_atomic(places.sidecar_draft, text)
        journal.add_published(published)

    assemble(
        [journal.folder / journal.finished[segment.index].file for segment in journal.plan.segments],
        places.output,
        session.spec,
        session.clip,
        session.timeline,
        frames=None if whole else Window(start=frames.start, stop=frames.stop),
        overwrite=overwrite,
        on_progress=meter.update,
        temporary=places.unfinished,
        on_whole=on_whole,
    )
    settle(places)
    return reports[0]


def settle(places: Places) -> None:
    """Put the sidecar beside the output that has just got its name, or had got it when a former run was killed."""
    if places.sidecar_draft.exists():
        places.sidecar_draft.replace(places.sidecar)
        fsync_path(places.sidecar.parent)


def tell_done(report: Report, teller: Teller) -> Report:
    if report.times:
        teller.tell("times", **report.times)
    values = {name: getattr(report, name) for name in ("frames", "seconds", "fps", "resumed_segments")}
    teller.tell("done", output=str(report.output), **values, notes=teller.notes, warnings=teller.warnings)
    return report


def finish_former(session: Session, former: Journal | None, teller: Teller) -> Report:
    """The end of a run that was killed after its output had got its name."""
    settle(session.places)
    teller.note("a former run had finished this output; only its work folder was left, and is removed now")
    plan = former.plan if former is not None else session.plan()
    return _report(session, plan, {}, teller, resumed=len(plan.segments))


def _kinds(session: Session, journal: Journal) -> tuple[dict[str, Any], ...]:
    """Which kinds of machines made which shots, where they may be unlike."""
    return kinds_made(journal) if session.settings.mixed else ()


def _sidecar(session: Session, journal: Journal, teller: Teller, report: Report, published: PublishedResult) -> str:
    return sidecar_text(
        source=session.places.source,
        settings=session.settings,
        resolved=session.resolved(journal.plan),
        timings={"seconds": report.seconds, "fps": report.fps, "stages": dict(teller.stage_s), "parts": report.times},
        frames=report.frames,
        resumed_segments=report.resumed_segments,
        rungs=[rung.to_dict() for _, rung in journal.lowered],
        notes=report.notes,
        warnings=report.warnings,
        run={"key": journal.key, **asdict(published)},
        **({"workers": report.workers} if report.workers else {}),
        **({"kinds": kinds} if (kinds := _kinds(session, journal)) else {}),
        **session.sidecar_facts(journal.plan),
    )


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
        times={} if dry_run or not made else session.restorer.times.of_run(seconds),
        workers=session.engine.report(),
        dry_run=dry_run,
    )
