"""`--workers` and `--cluster`: the engine of a run whose frames are computed elsewhere; see `limpid.run.engine`."""

from __future__ import annotations

import contextlib
import json
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from limpid.cluster.actor import Slot
from limpid.cluster.ahead import Ahead
from limpid.cluster.crew import Crew
from limpid.cluster.cutting import UnitMaker
from limpid.cluster.facts import SAME_VERSIONS
from limpid.cluster.head import RunHead
from limpid.cluster.mixed import MixedShots
from limpid.cluster.orders import FilmOrder
from limpid.cluster.placement import MOST_SEGMENTS, Board, Line, lines_of, side_by_side
from limpid.cluster.places import (
    CPU_GROUP,
    AskedWorkers,
    Node,
    cluster_share,
    local_share,
    num_cuda_devices,
    parse_workers,
)
from limpid.cluster.ray_crew import Pillar, Place, RayCrew
from limpid.cluster.reach import check_cluster, cluster_address
from limpid.cluster.receive import Receiver
from limpid.cluster.record import WorkLog
from limpid.cluster.roster import Roster
from limpid.cluster.start import Connection, own_cluster, running_cluster
from limpid.durable.interrupt import Interrupts
from limpid.method import Method
from limpid.plan.cores import usable_cores
from limpid.plan.device import Machine, versions
from limpid.plan.memory import Budget
from limpid.plan.segments import Plan
from limpid.restoration.direct import is_direct
from limpid.run.engine import Engine, InProcess
from limpid.run.estimate import suffix_of
from limpid.run.events import Meter, Teller
from limpid.run.feed import Read, group_frames
from limpid.run.journal import Journal
from limpid.run.session import Session
from limpid.settings import Settings
from limpid.types import ResourceError

GATHER_S = 5
"""How long others are waited for once the first worker is there."""
WORTH_HALOS = 10
"""The least length of a unit of a local method, in halos. Both its halos together take about as long as one halo of
frames that are computed whole, so that a tenth is lost at most."""
TELL_S = 5.0
"""While nobody is there, it is said so often that somebody is waited for."""
LOST_AFTER_S = 20.0
"""How long what knows the workers of a cluster may be away: clusters can start it again."""
NEVER_BACK_S = 3.0
"""How long what nobody starts again may be away: our own node, and all of a cluster of our own."""


def is_elsewhere(settings: Settings) -> bool:
    """Whether the settings ask for workers."""
    return settings.workers is not None or settings.cluster is not None


def check_engine(method: Method, settings: Settings) -> None:
    """Raises a `LimpidError` for what cannot be computed, as far as that is known before the input is read."""
    settings.check_places()
    if is_elsewhere(settings):
        check_cluster(settings.cluster)  # nothing else is known of machines that were not asked yet
    else:
        InProcess().machine(method, settings, None)


@contextlib.contextmanager
def engine_for(settings: Settings, teller: Teller, interrupts: Interrupts) -> Iterator[Engine]:
    """This process, or workers where the settings ask for some; whatever was started ends with the block."""
    if not is_elsewhere(settings):
        yield InProcess()
        return
    with contextlib.ExitStack() as stack:
        yield Workers(settings=settings, teller=teller, interrupts=interrupts, stack=stack)


@dataclass
class Workers:
    """Workers on this machine, or on those of a cluster; started when the machine is asked for."""

    settings: Settings
    teller: Teller
    interrupts: Interrupts
    stack: contextlib.ExitStack
    here: bool = False
    _roster: Roster | None = None
    _asked: AskedWorkers = field(default_factory=AskedWorkers)
    log: WorkLog = field(default_factory=WorkLog)

    @property
    def roster(self) -> Roster:
        assert self._roster is not None, "the machine is asked for first"
        return self._roster

    def machine(
        self, method: Method, settings: Settings, threads: int | None, former: Journal | None = None
    ) -> Machine:
        """That of the workers, once they are there: those that are not like this one or the former ones are refused."""
        self._asked = parse_workers(settings.workers)
        crew, each = self._hire(settings, threads)
        self.stack.callback(crew.close)
        facts, like = expected_facts(method, settings, former)
        self._roster = Roster(
            crew=crew,
            settings=settings,
            threads=each,
            warn=self.teller.warn,
            facts=facts,
            like=like,
            mixed=settings.mixed,
        )
        self._gather()
        card = self._roster.settle()
        goes_on = former is not None and settings.mixed and goes_on_with(former, method, settings)
        return Machine(**former_machine(former) if former is not None and goes_on else card.machine)

    def _hire(self, settings: Settings, threads: int | None) -> tuple[Crew, int | None]:
        address = cluster_address(settings.cluster)
        if address is None:
            return self._own(settings, threads)
        connection = self.stack.enter_context(running_cluster(address))
        places = partial(self._places_on, connection, settings, threads)
        return RayCrew(connection.ray, places, _pillars(connection, LOST_AFTER_S)), threads or CPU_GROUP

    def _own(self, settings: Settings, threads: int | None) -> tuple[Crew, int]:
        gpus = num_cuda_devices() if settings.device in ("auto", "cuda") else 0
        share = local_share(self._asked, cores=usable_cores(), num_gpus=gpus, threads=threads, device=settings.device)
        connection = self.stack.enter_context(own_cluster(share.count))
        folder = str(connection.folder) if connection.folder else None
        places = [
            Place(slot=Slot(folder=folder, gpu=gpu, device=None if gpu is None else "cuda", threads=share.threads))
            for gpu in share.gpus
        ]
        return RayCrew(connection.ray, lambda: places, _pillars(connection, NEVER_BACK_S)), share.threads

    def _places_on(self, connection: Connection, settings: Settings, threads: int | None) -> list[Place]:
        nodes = [
            Node(cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0))
            for node in connection.ray.nodes()
            if node["Alive"]
        ]
        share = cluster_share(nodes, self._asked, threads=threads, device=settings.device)
        slot = Slot(device="cuda" if share.on_gpus else None, threads=share.threads)
        return [Place(slot=slot, num_cpus=share.num_cpus, num_gpus=int(share.on_gpus))] * share.count

    def _gather(self) -> None:
        """Wait for the workers that are expected, for a while."""
        roster, began, first = self.roster, time.monotonic(), None
        patience_s, told = self.settings.wait_s, began
        while True:
            self.interrupts.check()
            roster.fill()
            owing = {id(member.call): member for member in roster.coming}
            for call in roster.crew.ready([member.call for member in owing.values()], 0.2):
                roster.heard(owing[id(call)])
            now = time.monotonic()
            if roster.present:
                first = first or now
                if not roster.coming or now - first > GATHER_S:
                    return
            elif now - began > patience_s:
                raise ResourceError(
                    f"no worker answered within {patience_s} s: {len(roster.coming)} were asked for; look at "
                    "limpid cluster status, ask for fewer --workers, or wait longer with --wait-s"
                )
            elif now - told >= TELL_S:
                told = now
                self.teller.tell("waiting", workers=len(roster.coming), s=round(now - began), most_s=patience_s)

    def budget(self, machine: Machine, most: int | None) -> Budget:
        return self.roster.budget()

    def side_by_side(self, plan: Plan, method: Method) -> str | None:
        lines = lines_of(plan, method.cuts, carries=method.carries)
        why = side_by_side(lines, max(len(self.roster.present), 1))[1]
        kinds = len({member.kind for member in self.roster.present})
        shots = len({segment.shot for segment in plan.segments})
        return why if kinds < 2 else f"{why}; {kinds} kinds of machines, which have shots of their own: {shots} shots"

    def run(self, session: Session, journal: Journal, read: Read, teller: Teller, interrupts: Interrupts) -> None:
        if all(segment.index in journal.finished for segment in journal.plan.segments):
            return
        teller.stage("run")
        free, method = chunks_lie_anywhere(session), session.method
        lines = lines_of(journal.plan, method.cuts, carries=method.carries, free_cuts=free)
        times = session.restorer.times
        receiver = Receiver(journal)
        with Ahead(read, group_frames(session.clip.width, session.clip.height), times) as ahead:
            try:
                _head(session, journal, lines, receiver, ahead, self, teller, interrupts).run()
            finally:
                receiver.close()
        self.roster.crew.close()

    def report(self) -> tuple[dict[str, Any], ...]:
        return self.log.rows()


def expected_facts(method: Method, settings: Settings, former: Journal | None) -> tuple[dict[str, Any], str]:
    """What workers must be like before the first one is asked, and whose facts these are.

    They have the versions and weights of this machine, which reads and joins. What a former run has finished is only
    of use to workers on the same kind of machine, so others are refused as long as nothing else has changed.
    """
    here = versions()
    facts: dict[str, Any] = {"versions": here, "weights": method.weights.digest()}
    if settings.mixed:
        facts["versions"] = {name: here[name] for name in SAME_VERSIONS}
    if settings.mixed or former is None or not goes_on_with(former, method, settings):
        return facts, "this machine"
    facts["machine"] = former_machine(former)
    made = f"the one that made the {len(former.finished)} segments that are finished"
    return facts, f"{made}, or delete {former.folder} to begin anew"


def former_machine(former: Journal) -> dict[str, Any]:
    """The machine that the facts of a journal name."""
    return {**former.facts["machine"], "threads": former.plan.threads}


def goes_on_with(former: Journal, method: Method, settings: Settings) -> bool:
    """Whether a former run has finished something that is of use to this one, if its machine does not matter."""
    if not former.finished:
        return False
    then = former.facts
    now = {
        "settings": json.loads(json.dumps(settings.key(), default=str)),
        "threads": settings.threads,
        "method": {"name": method.name, "weights": method.weights.digest()},
    }
    same_versions = all(then["versions"].get(name) == value for name, value in versions().items())
    return same_versions and all(then.get(name) == value for name, value in now.items())


def _pillars(connection: Connection, patience_s: float) -> list[Pillar]:
    books, node = connection.addresses()
    return [Pillar(books, patience_s), Pillar(node, NEVER_BACK_S)]


def _head(
    session: Session,
    journal: Journal,
    lines: Any,
    receiver: Receiver,
    ahead: Ahead,
    workers: Workers,
    teller: Teller,
    interrupts: Interrupts,
) -> RunHead:
    done = sum(finished.frames for finished in journal.finished.values())
    cuts = session.method.cuts
    return RunHead(
        roster=workers.roster,
        board=(board := board_of(journal, lines)),
        mixed=MixedShots(board=board, journal=journal, warn=teller.warn) if session.settings.mixed else None,
        maker=UnitMaker(
            journal=journal,
            lines=lines,
            cuts=cuts,
            rungs=session.rungs(journal.plan),
            free_cuts=chunks_lie_anywhere(session),
            teller=teller,
        ),
        receiver=receiver,
        ahead=ahead,
        film=film_of(session, journal.plan),
        teller=teller,
        meter=Meter(teller, "run", total=len(journal.plan.frames), before=done),
        interrupts=interrupts,
        times=session.restorer.times,
        log=workers.log,
    )


def board_of(journal: Journal, lines: Sequence[Line]) -> Board:
    """What is left of a plan. Where segments share chunks, units are as long as one, and hardly shorter than
    `WORTH_HALOS`; where they share none, a unit is a segment, or the next ones of a shot."""
    plan = journal.plan
    in_chunk = plan.rung.chunk_frames // len(plan.segments[0].core)
    return Board(
        lines,
        finished=set(journal.finished),
        most_segments=max(MOST_SEGMENTS, in_chunk),
        least_frames=WORTH_HALOS * plan.halo_frames,
    )


def chunks_lie_anywhere(session: Session) -> bool:
    """Whether frames have the same bytes in any chunk: they go one by one, or numbers are exact enough.

    Of unlike machines nothing is known before they come.
    """
    machine = session.machine
    exact = machine.dtype == "float32" and machine.runtime == "torch" and not session.settings.mixed
    return session.method.cuts.exact and (exact or is_direct(session.method, session.settings))


def film_of(session: Session, plan: Plan) -> FilmOrder:
    """What workers must know of a run."""
    return FilmOrder(
        settings=session.settings,
        plan=replace(plan, segments=()),
        clip_size=(session.clip.width, session.clip.height),
        size=(session.restorer.width, session.restorer.height),
        alpha=session.restorer.alpha,
        depth=session.restorer.depth,
        offload=plan.offload,
        spec=session.segment_spec,
        suffix=suffix_of(session.segment_spec),
        group_frames=group_frames(session.clip.width, session.clip.height),
        pts=array("q", session.timeline.pts),
    )
