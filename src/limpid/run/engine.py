"""Where the frames of a run are computed: in this process, or by workers elsewhere (`limpid.cluster`).

A run asks its engine three things: which machine computes, how much memory the plan may count on there, and to make
the segments of a plan durable. All else, from probing to joining, is the same wherever it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from limpid.durable.interrupt import Interrupts
from limpid.method import Method
from limpid.plan.device import Machine, choose_machine
from limpid.plan.memory import Budget
from limpid.plan.segments import Plan
from limpid.run.events import Teller
from limpid.run.executor import run_segments
from limpid.run.feed import Read
from limpid.settings import Settings

if TYPE_CHECKING:
    from limpid.run.journal import Journal
    from limpid.run.session import Session


class Engine(Protocol):
    """What computes the frames of a run."""

    @property
    def here(self) -> bool:
        """Whether this process computes: a trial of a few frames then says how long the run takes."""
        ...

    def machine(
        self, method: Method, settings: Settings, threads: int | None, former: Journal | None = None
    ) -> Machine:
        """What computes. ``threads``: as asked for or journaled; None leaves the number to the engine. ``former``: what
        a run of the same input left."""
        ...

    def budget(self, machine: Machine, most: int | None) -> Budget:
        """The memory that a plan may count on, ``most`` bytes for small models."""
        ...

    def side_by_side(self, plan: Plan, method: Method) -> str | None:
        """How much of a plan can run at once and why, in a sentence; None where that is no question."""
        ...

    def run(self, session: Session, journal: Journal, read: Read, teller: Teller, interrupts: Interrupts) -> None:
        """Make every unfinished segment of the journal's plan durable."""
        ...

    def report(self) -> tuple[dict[str, Any], ...]:
        """What each worker did; empty where there are none."""
        ...


@dataclass(frozen=True)
class InProcess:
    """This process: decoding, computing and encoding in three threads."""

    here: bool = True

    def machine(
        self, method: Method, settings: Settings, threads: int | None, former: Journal | None = None
    ) -> Machine:
        return choose_machine(
            settings.device,
            settings.dtype,
            threads,
            runtime=settings.runtime,
            runtimes=method.runtimes,
            attention_kernel=settings.attention_kernel,
        )

    def budget(self, machine: Machine, most: int | None) -> Budget:
        return machine.budget(most=most)

    def side_by_side(self, plan: Plan, method: Method) -> str | None:
        return None

    def run(self, session: Session, journal: Journal, read: Read, teller: Teller, interrupts: Interrupts) -> None:
        run_segments(session.job(journal, read, teller, interrupts))
        session.tell_warnings(teller)

    def report(self) -> tuple[dict[str, Any], ...]:
        return ()
