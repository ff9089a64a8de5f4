"""The head of a run with workers in threads (`crews`), on a film of a few numbers."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import crews
import numpy as np

from limpid.cluster.ahead import Ahead
from limpid.cluster.cutting import UnitMaker
from limpid.cluster.head import RunHead
from limpid.cluster.mixed import MixedShots
from limpid.cluster.orders import FilmOrder
from limpid.cluster.placement import Board, lines_of
from limpid.cluster.receive import Receiver
from limpid.cluster.roster import Roster
from limpid.cuts.base import Cuts
from limpid.durable.files import sha256_of
from limpid.durable.interrupt import Interrupts
from limpid.plan.segments import Cutting, Plan, Rung, plan_segments
from limpid.restoration.times import Times
from limpid.run.events import Meter, Teller
from limpid.run.executor import RunJob, run_segments
from limpid.run.journal import Journal
from limpid.settings import Settings
from limpid.types import OutputSpec, VideoFrame, Window

FRAMES = 90
SHOTS = [(0, 45), (45, 47), (47, 90)]
FACTS = {
    "machine": {name: value for name, value in crews.MACHINE.to_dict().items() if name != "threads"},
    "versions": {"limpid": "1"},
    "method": {"weights": "w"},
}
"""Of workers as `crews` has them."""
PTS = array("q", [10 * i for i in range(FRAMES)])


def read(window: Window) -> list[VideoFrame]:
    return [VideoFrame(i, np.full((2, 3, 3), i, np.uint16)) for i in range(window.start, window.stop)]


def make_journal(folder: Path, length: int = 7, chunk_frames: int = 8) -> Journal:
    frames = Window(start=0, stop=FRAMES)
    plan = Plan(
        segments=plan_segments(SHOTS, frames, Cutting(frames=length, longest_frames=length, halo_frames=2)),
        frames=frames,
        local=True,
        halo_frames=2,
        grid_frames=1,
        rung=Rung(chunk_frames=chunk_frames),
        threads=1,
        peak_bytes=1,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return Journal.load(folder) or Journal.create(folder, FACTS, plan, {})


def alone(folder: Path, cuts: Cuts, *, carries: bool, tint: float = 0.0) -> dict[str, str]:
    """Hashes of what a run without workers makes."""
    journal = make_journal(folder)
    run_segments(
        RunJob(
            journal=journal,
            read=read,
            group_frames=3,
            compute=crews.SumOfNeighbours(tint=tint),
            open_writer=crews.text_writer,
            suffix=".txt",
            pts=PTS,
            rungs=cuts.ladder(journal.plan.rung, 256, 100),
            cuts=cuts,
            teller=Teller(),
            carries=carries,
        )
    )
    return hashes(journal)


def hashes(journal: Journal) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(journal.folder.iterdir()) if path.name[0].isdigit()}


def film(plan: Plan) -> FilmOrder:
    return FilmOrder(
        settings=Settings(),
        plan=replace(plan, segments=()),
        clip_size=(256, 100),
        size=(512, 200),
        alpha=False,
        depth=8,
        offload="none",
        spec=OutputSpec(codec="h264", container="mp4", width=512, height=200, fps=25, time_base=1),  # type: ignore[arg-type]
        suffix=".txt",
        group_frames=3,
        pts=PTS,
    )


def run_head(folder: Path, crew: crews.ThreadCrew, *, free: bool = False, facts: Any = None, **about: Any) -> Journal:
    journal = make_journal(folder, about.pop("length", 7), about.pop("chunk", 8))
    teller = Teller(about.pop("on_event", about.pop("events", []).append))
    lines = lines_of(journal.plan, crew.cuts, carries=crew.carries, free_cuts=free)
    clock, board = about.pop("clock", None), Board(lines, finished=set(journal.finished))
    roster = Roster(crew=crew, settings=Settings(), threads=1, warn=teller.warn, facts=facts, mixed=clock is not None)
    receiver, times = Receiver(journal), Times()
    with Ahead(about.pop("read", read), 3, times) as ahead:
        try:
            RunHead(
                roster=roster,
                board=board,
                maker=UnitMaker(
                    journal=journal,
                    lines=lines,
                    cuts=crew.cuts,
                    rungs=crew.cuts.ladder(journal.plan.rung, 256, 100),
                    free_cuts=free,
                    teller=teller,
                ),
                receiver=receiver,
                ahead=ahead,
                film=film(journal.plan),
                teller=teller,
                meter=Meter(teller, "run", total=FRAMES),
                interrupts=Interrupts(),
                times=times,
                mixed=MixedShots(board=board, journal=journal, warn=teller.warn, clock=clock) if clock else None,
            ).run()
        finally:
            receiver.close()
            crew.close()
            journal.close()
    return journal
