"""Who is there: workers are hired, asked what they are, and taken or refused by what they answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.cluster.crew import Answer, Crew, WorkerLostError
from limpid.cluster.facts import is_same_everywhere
from limpid.cluster.orders import Update, WorkerCard
from limpid.plan.memory import USABLE_PART, Budget
from limpid.settings import Settings
from limpid.types import LimpidError, ResourceError

MOST_FALSE_STARTS = 3
"""Workers in a row that do not even say what they are."""
DESERTED_S = 300.0
"""So long a run waits for workers when all are gone; machines that are asked for take minutes to come."""


@dataclass
class CrewMember:
    """One worker as the head sees it."""

    name: str
    call: Answer
    """The answer that it owes."""
    since: float
    card: WorkerCard | None = None
    opened: bool = False
    """Whether it knows the film."""
    said: Update = field(default_factory=Update)
    """What it said last."""

    @property
    def kind(self) -> str:
        return self.card.kind if self.card else ""


@dataclass
class Roster:
    """All workers of a run."""

    crew: Crew
    settings: Settings
    threads: int | None
    """Threads of each; None: as many as it finds."""
    facts: Mapping[str, Any] | None = None
    """What workers must be like, as far as that is known: more of it once the first ones were asked."""
    like: str = "the others"
    """Whose facts these are, in words."""
    mixed: bool = False
    """Whether unlike machines are let in, as far as the facts go."""
    warn: Callable[[str], None] = lambda sentence: None
    clock: Callable[[], float] = time.monotonic
    members: dict[str, CrewMember] = field(default_factory=dict)
    _false_starts: int = 0
    _refused: int = 0
    _deserted_since: float | None = None

    def fill(self) -> None:
        """Hire until there are as many as there should be; those that were refused keep their places empty."""
        while len(self.members) + self._refused < self.crew.wanted():
            name = self.crew.hire()
            call = self.crew.call(name, "describe", self.settings, self.threads)
            self.members[name] = CrewMember(name=name, call=call, since=self.clock())

    def heard(self, member: CrewMember) -> None:
        """A new worker has answered what it is, or failed to. Raises what says that none can ever work."""
        try:
            member.card = member.call.result()
        except WorkerLostError as error:
            self._fell_out(member, str(error))
        except LimpidError as error:
            self.refuse(member, f"a worker is not used: {error}", error)
        else:
            self._false_starts = 0
            self._check(member)

    def _fell_out(self, member: CrewMember, reason: str) -> None:
        self.remove(member.name)
        self._false_starts += 1
        if self._false_starts >= MOST_FALSE_STARTS:
            raise ResourceError(f"workers end before they begin: {reason}")

    def _check(self, member: CrewMember) -> None:
        assert member.card is not None
        if self.facts is None or not (unlike := member.card.unlike(self.facts)):
            return
        may_mix = not any(is_same_everywhere(name) for name in member.card.differs_in(self.facts))
        self.refuse(member, refusal(member.card, unlike, self.like, may_mix=may_mix))

    def refuse(self, member: CrewMember, sentence: str, error: Exception | None = None) -> None:
        """Do without a worker and without another in its place. Raises where nobody else is there or comes."""
        self.remove(member.name)
        self._refused += 1
        if not self.members:
            raise error or ResourceError(sentence)
        self.warn(sentence)

    def check_deserted(self) -> None:
        """Raises ResourceError where no worker has been there for too long."""
        now = self.clock()
        self._deserted_since = None if self.present else now if self._deserted_since is None else self._deserted_since
        if self._deserted_since is not None and now - self._deserted_since > DESERTED_S:
            raise ResourceError(
                f"no worker has been there for {DESERTED_S:.0f} s; finished segments are kept, and the same command "
                "goes on once there are some"
            )

    @property
    def present(self) -> list[CrewMember]:
        """Those that have said what they are."""
        return [member for member in self.members.values() if member.card is not None]

    @property
    def coming(self) -> list[CrewMember]:
        return [member for member in self.members.values() if member.card is None]

    def remove(self, name: str) -> None:
        self.members.pop(name, None)
        self.crew.dismiss(name)

    def settle(self) -> WorkerCard:
        """The card of most of those who are there. Unless workers may be unlike, others are refused from now on."""
        counts = Counter(member.kind for member in self.present)
        kind = counts.most_common(1)[0][0]
        card = next(member.card for member in self.present if member.kind == kind and member.card)
        if not self.mixed:
            self.facts, self.like = card.facts, "the others"
            for member in self.present:
                self._check(member)
        return card

    def budget(self) -> Budget:
        """The memory that the poorest worker has, several on one machine sharing it."""
        cards = [member.card for member in self.present if member.card]
        sharing = Counter(card.node for card in cards)
        shares = [share_of(card, sharing[card.node]) for card in cards]
        hosts = [share.host for share in shares if share.host is not None]
        frees = [share.free for share in shares if share.free is not None]
        return Budget(
            device=min(share.device for share in shares),
            host=min(hosts) if hosts else None,
            free=min(frees) if frees else None,
        )


def share_of(card: WorkerCard, workers: int) -> Budget:
    """The memory of one of several workers on a machine."""
    usable = int(card.free_bytes / workers * USABLE_PART)
    budget = card.budget
    if budget.host is None:
        free = None if budget.free is None else budget.free // workers
        return replace(budget, device=min(budget.device, usable), free=free)
    return replace(budget, host=min(budget.host, usable))


def refusal(card: WorkerCard, unlike: list[str], like: str, *, may_mix: bool) -> str:
    """Why a worker is not used. ``may_mix``: whether ``--mixed`` would let it in."""
    return (
        f"the worker on {card.node} is not used, because its results could differ: {', '.join(unlike)}; "
        f"make it like {like}{', or say --mixed, which gives it shots of its own' * may_mix}"
    )
