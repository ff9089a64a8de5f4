"""What a former run left is used again, or a new one begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limpid.bounded import check_fields, cut, json_object, read_json
from limpid.durable.files import digest_of, exists_error, write_atomic
from limpid.plan.device import versions
from limpid.plan.segments import Plan
from limpid.run.estimate import Estimate
from limpid.run.events import Meter, Teller
from limpid.run.feed import Read
from limpid.run.journal import Journal, PublishedResult, differences
from limpid.run.kinds import refuse_mixture
from limpid.run.places import exists
from limpid.run.session import Session
from limpid.run.sidecar import peek
from limpid.run.timelines import MAX_SCAN_BYTES, SCAN_NAME, timeline_from_dict, timeline_to_dict
from limpid.run.workspace import Workspace
from limpid.settings import Settings
from limpid.types import Clip, Timeline
from limpid.video import scan

MOST_NAMED = 8
"""Facts that a sentence names."""


def scan_once(
    clip: Clip, identity: dict[str, Any], settings: Settings, folder: Path | None, teller: Teller
) -> Timeline:
    """The timeline of the input, from the work folder when a former run of the same version left it there."""
    choices = [settings.deinterlace, settings.detect_cuts, str(settings.fps), settings.video_stream]
    key = digest_of([identity, choices, versions()])
    known = _recall_scan(folder, key)
    if known is not None:
        return known
    meter = Meter(teller, "scan", total=clip.num_frames)
    meter.start()
    timeline: Timeline = scan(
        clip, deinterlace=settings.deinterlace, detect_cuts=settings.detect_cuts, on_progress=meter.update
    )
    if folder is not None:
        values = timeline_to_dict(timeline)
        write_atomic(
            folder / SCAN_NAME, json.dumps({"key": key, "timeline": values, "check": digest_of([key, values])})
        )
    return timeline


def _recall_scan(folder: Path | None, key: str) -> Timeline | None:
    """A scan that was torn, changed or is of something else is made again."""
    if folder is None:
        return None
    try:
        values = json_object(read_json(folder / SCAN_NAME, MAX_SCAN_BYTES), ("key", "timeline", "check"))
        if values["key"] != key or values["check"] != digest_of([key, values["timeline"]]):
            return None
        return timeline_from_dict(values["timeline"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recall(folder: Path | None, teller: Teller) -> Journal | None:
    """The journal of a former run; None without one, and for dry runs, which have no folder."""
    if folder is None:
        return None
    try:
        return Journal.read(folder)
    except ValueError as error:
        teller.warn(
            f"what a former run left in {folder} is not used: its journal does not hold ({cut(str(error), 160)})"
        )
        return None


def is_complete(session: Session, former: Journal | None, space: Workspace) -> bool:
    """Whether this very run was killed after the result had got its name, so that only cleaning up is left to do."""
    output = session.places.output
    if former is not None and former.published is not None and former.key == session.key:
        return former.published.is_at(output)
    if not space.was_done:
        return False
    run = (peek(session.places.sidecar) or {}).get("run")
    try:
        values = json_object(run, ("key", "size", "sha256"))
        published = PublishedResult(size=values["size"], sha256=values["sha256"])
        return bool(values["key"] == session.key) and published.is_at(output)
    except ValueError:
        return False


def refuse_existing(output: Path, *, overwrite: bool) -> None:
    """Raises OutputError for an output that exists and is not of the run that goes on."""
    if exists(output) and not overwrite:
        raise exists_error(output)


def resume_or_begin(
    session: Session, former: Journal | None, folder: Path, read: Read, teller: Teller, *, trial: bool
) -> Journal:
    """The journal to go on with: the former one when every fact agrees, otherwise a new one with a new plan."""
    if former is not None and former.key == session.key and _fits(former, session, teller):
        refuse_mixture(former, mixed=session.settings.mixed)
        drop_damaged(former, teller)
        left = 1 - sum(done.frames for done in former.finished.values()) / len(former.plan.frames)
        session.check_space(Estimate(**former.estimate), teller, left=left)
        session.tell_plan(former.plan, Estimate(**former.estimate), teller, left=left)
        tell_resumed(former, teller)
        return former
    if former is not None and former.finished and former.key != session.key:
        names = [cut(name, 40) for name in differences(former.facts, session.facts)]
        changed = ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])
        teller.warn(f"{len(former.finished)} segments of a former run are not used, because this changed: {changed}")
    plan, estimate = make_plan_and_estimate(session, read, teller, trial=trial, folder=folder)
    session.check_space(estimate, teller, left=1.0)
    return Journal.create(folder, session.facts, plan, estimate.to_dict())


def _fits(former: Journal, session: Session, teller: Teller) -> bool:
    """Whether the plan of a journal can be one of this run: its facts alone do not say so."""
    shots = session.timeline.shots()
    try:
        check_fields(Estimate(**former.estimate))
        plan = former.plan
        sound = (plan.frames, plan.threads) == (session.frames, session.machine.threads)
        for segment in plan.segments:
            sound = sound and (segment.shot_start, segment.shot_stop) == shots[segment.shot]
        allowed = [plan.rung, *session.rungs(plan)]
        sound = sound and all(rung in allowed for _, rung in former.lowered)
    except (ValueError, TypeError, IndexError):
        sound = False
    if not sound:
        teller.warn("what a former run left is not used: its plan is not one of this run")
    return sound


def make_plan_and_estimate(
    session: Session, read: Read, teller: Teller, *, trial: bool, folder: Path | None = None
) -> tuple[Plan, Estimate]:
    """A new plan, and what it will need; nothing is written but a trial in the work or the temporary folder."""
    plan = session.plan()
    teller.stage("calibrate")
    estimate = session.estimate(plan, read, trial=trial, folder=folder)
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
