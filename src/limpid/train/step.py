"""One step of a stage: every player's losses over the batch in parts, gradients, optimizers, the average."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from limpid.train.average import Average
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.players import Player, taking_turn
from limpid.train.rates import rate_at, set_rate
from limpid.train.source import to_device
from limpid.train.stage import Stage
from limpid.train.world import World, whole


@dataclass(kw_only=True)
class StepOutcome:
    """What a step says of itself. Terms and norms are those of all processes."""

    terms: dict[str, float] = field(default_factory=dict)
    """Weighted terms of each player's loss, mean over the batch; ``player/term`` for all but the model."""
    norms: dict[str, float] = field(default_factory=dict)
    """Norm of each player's gradient before it is clipped."""
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Sum of the model's terms."""
        return sum(value for name, value in self.terms.items() if "/" not in name)


class NotFinite(Exception):  # noqa: N818  (caught by the loop, which knows where things are written)
    """A loss or a gradient is NaN or infinite; nothing was changed by this player's turn."""

    def __init__(self, player: str, batch: ClipBatch | None, outcome: StepOutcome) -> None:
        super().__init__(player)
        self.player, self.batch, self.outcome = player, batch, outcome


@dataclass(kw_only=True)
class Trainer:
    """The moving parts of a stage."""

    stage: Stage
    players: Sequence[Player]
    average: Average | None
    world: World
    seed: int

    def step(self, number: int, parts: Sequence[ClipBatch]) -> StepOutcome:
        """Step ``number`` (from 0) with this process's share of the batch. Raises NotFinite."""
        torch.manual_seed(hash_of(self.seed, number, self.world.rank))
        outcome = StepOutcome()
        for player in self.players:
            with taking_turn(player, self.players, self.world):
                self._turn(player, number, parts, outcome)
        if self.average is not None:
            self.average.update(number + 1)
        return outcome

    def _turn(self, player: Player, number: int, parts: Sequence[ClipBatch], outcome: StepOutcome) -> None:
        player.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        bad: ClipBatch | None = None
        for index, part in enumerate(parts):
            terms = self._backward(player, part, last=index == len(parts) - 1)
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value
            if bad is None and not all(math.isfinite(float(value)) for value in terms.values()):
                bad = part
        self._finish(player, number, sums, bad, outcome)
        if bad is not None or not math.isfinite(outcome.norms[player.name]):
            raise NotFinite(player.name, bad or parts[-1], outcome)

    def _backward(self, player: Player, part: ClipBatch, *, last: bool) -> dict[str, Tensor]:
        """Adds the gradient of one part; its terms, weighted by its share of the whole batch."""
        here = to_device(part, self.world.device)
        share = part.size / self.stage.batch
        hold = contextlib.nullcontext() if last else self.world.unsynced(player.turn)
        with hold:
            terms = player.turn(here, ClipRandom(self.seed, part.numbers))
            # gradients of several processes are averaged, so each counts its share once per process
            loss = torch.stack([term.float() for term in terms.values()]).sum() * (share * self.world.size)
            loss.backward()  # type: ignore[no-untyped-call]
        return {name: term.detach().float() * share for name, term in terms.items()}

    def _finish(
        self, player: Player, number: int, sums: dict[str, Tensor], bad: ClipBatch | None, outcome: StepOutcome
    ) -> None:
        """Clips, checks over all processes and, if all is finite, changes the weights."""
        parameters = [p for p in player.parameters.values() if p.grad is not None]
        limit = player.values.clip_norm
        norm = whole(torch.nn.utils.clip_grad_norm_(parameters, math.inf if limit is None else limit))
        reported = torch.stack([*sums.values(), norm.new_tensor(float(bad is not None))])
        *values, bad_somewhere = self.world.total(reported).tolist()
        prefix = "" if player is self.players[0] else f"{player.name}/"
        outcome.terms |= {prefix + name: value for name, value in zip(sums, values, strict=True)}
        outcome.norms[player.name] = math.nan if bad_somewhere else float(norm)
        outcome.rates[player.name] = rate_at(player.values, number, self.stage.steps)
        if math.isfinite(outcome.norms[player.name]):
            set_rate(player.optimizer, outcome.rates[player.name])
            player.optimizer.step()


def hash_of(seed: int, step: int, rank: int) -> int:
    """A seed for the generators that layers like dropout use."""
    return (seed * 1_000_003 + step * 8191 + rank) % (1 << 62)
