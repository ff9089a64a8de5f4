"""`--mixed`: unlike machines make one film, each shot by machines of one kind.

Two machines that do the same arithmetic on other processors, in another number format, with other threads or another
PyTorch give frames that differ a little. Between two frames of a shot that would be seen as a step; at a cut nobody
can see it. So a shot belongs to the kind of machine that began it, and the journal says which that is.

What must be the same on all: Limpid (it decides what is computed), Python (Ray wants it), PyAV (segments are joined
without encoding them again, so one encoder must have made them), and the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from limpid.cluster.placement import Board
from limpid.cluster.roster import CrewMember
from limpid.run.journal import Journal
from limpid.run.kinds import kind_of_facts, machine_text

AWAY_S = 60.0
"""How long a kind of machine may be away before others make its unfinished shots again: a worker that died is back in
seconds."""


@dataclass
class MixedShots:
    """Keeps each shot with one kind of machine; what the journal has of a former run holds."""

    board: Board
    journal: Journal
    warn: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, float] = field(default_factory=dict)
    """When a worker of a kind was there last."""

    def __post_init__(self) -> None:
        self._main = kind_of_facts(self.journal.facts, self.journal.plan.threads)
        for shot, kind in self.journal.kind_of_shots().items():
            self.board.set_kind(shot, kind or self._main)
            self._seen[kind or self._main] = self.clock()

    def welcome(self, member: CrewMember) -> None:
        """Write down what a worker is before it gets work."""
        kind = self.in_journal(member)
        if kind is not None and member.card is not None:
            self.journal.add_kind(kind, {name: member.card.facts[name] for name in ("machine", "versions")})

    def in_journal(self, member: CrewMember) -> str | None:
        """The kind of a worker as segments have it: None is that of the facts."""
        return None if member.kind == self._main else member.kind

    def look(self, present: Iterable[CrewMember]) -> None:
        """Note who is there now."""
        now = self.clock()
        self._seen.update((member.kind, now) for member in present)

    def take_over(self, kind: str) -> int:
        """A worker of this kind has nothing to do: it gets a shot whose own kind is gone, from the beginning.

        Returns how many finished frames that costs.
        """
        now = self.clock()
        for shot, own in self.board.shots_kept_from(kind).items():
            if now - self._seen.setdefault(own, now) > AWAY_S:
                return self._begin_again(shot, own)
        return 0

    def _begin_again(self, shot: int, own: str) -> int:
        again = self.board.begin_again(shot)
        frames = sum(self.journal.finished[index].frames for index in again)
        self.journal.make_again(again)
        facts: Mapping[str, Mapping[str, object]] = self.journal.kinds.get(own, self.journal.facts)
        self.warn(
            f"shot {shot} is made again by another kind of machine, from its first frame: {frames} frames of it were "
            f"finished, but none like the one that made them, {machine_text(facts['machine'])}, has been there for "
            f"{AWAY_S:.0f} s"
        )
        return frames
