"""What a former run left is used again, or a new one begins."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from limpid.durable.files import digest_of, write_atomic
from limpid.plan.device import versions
from limpid.plan.segments import Plan
from limpid.run.estimate import Estimate
from limpid.run.events import Meter, Teller
from limpid.run.feed import Read
from limpid.run.identity import timeline_from_dict, timeline_to_dict
from limpid.run.journal import Journal, differences
from limpid.run.session import Session
from limpid.settings import Settings
from limpid.types import Clip, Timeline
from limpid.video import scan

SCAN_NAME = "scan.json"


def scan_once(
    clip: Clip, identity: dict[str, Any], settings: Settings, folder: Path | None, teller: Teller
) -> Timeline:
    """The timeline of the input, from the work folder when a former run of the same version left it there."""
    choices = [settings.deinterlace, settings.detect_cuts, str(settings.fps), settings.video_stream]
    key = digest_of([identity, choices, versions()])
    path = folder / SCAN_NAME if folder is not None else None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        values = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        if values["key"] == key:
            return timeline_from_dict(values["timeline"])
    meter = Meter(teller, "scan", total=clip.num_frames)
    meter.start()
    timeline: Timeline = scan(
        clip, deinterlace=settings.deinterlace, detect_cuts=settings.detect_cuts, on_progress=meter.update
    )
    if path is not None:
        write_atomic(path, json.dumps({"key": key, "timeline": timeline_to_dict(timeline)}))
    return timeline


def recall(folder: Path | None) -> Journal | None:
    """The journal of a former run; None without one, and for dry runs, which have no folder."""
    return Journal.load(folder) if folder is not None else None


def resume_or_begin(
    session: Session, former: Journal | None, folder: Path, read: Read, teller: Teller, *, trial: bool
) -> Journal:
    """The journal to go on with: the former one when every fact agrees, otherwise a new one with a new plan."""
    if former is not None and former.key == digest_of(session.facts):
        drop_damaged(former, teller)
        left = 1 - len(former.finished) / len(former.plan.segments)
        session.check_space(Estimate(**former.estimate), teller, left=left)
        session.tell_plan(former.plan, Estimate(**former.estimate), teller)
        tell_resumed(former, teller)
        return former
    if former is not None and former.finished:
        changed = ", ".join(differences(former.facts, session.facts))
        teller.warn(f"{len(former.finished)} segments of a former run are not used, because this changed: {changed}")
    plan, estimate = make_plan_and_estimate(session, read, teller, trial=trial)
    session.check_space(estimate, teller, left=1.0)
    return Journal.create(folder, session.facts, plan, estimate.to_dict())


def make_plan_and_estimate(session: Session, read: Read, teller: Teller, *, trial: bool) -> tuple[Plan, Estimate]:
    """A new plan, and what it will need; nothing is written but a trial in the system's temporary folder."""
    plan = session.plan()
    teller.stage("calibrate")
    estimate = session.estimate(plan, read, trial=trial)
    session.tell_plan(plan, estimate, teller)
    return plan, estimate


def drop_damaged(journal: Journal, teller: Teller) -> None:
    bad = journal.drop_damaged()
    if bad:
        teller.warn(f"{len(bad)} finished segments were missing or damaged and are made again")


def tell_resumed(journal: Journal, teller: Teller) -> None:
    if journal.finished:
        frames = sum(done.frames for done in journal.finished.values())
        teller.tell("resume", segments=len(journal.finished), of=len(journal.plan.segments), frames=frames)


def was_assembling(folder: Path) -> bool:
    """Whether a former run was stopped while it made the output, which may therefore be there already."""
    former = Journal.load(folder)
    return former is not None and former.assembling


def fits_and_was_assembling(former: Journal | None, session: Session) -> bool:
    """The same of the very run that goes on now: its output may be written over, nobody else's."""
    return former is not None and former.assembling and former.key == digest_of(session.facts)
