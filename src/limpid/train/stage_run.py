"""One stage from where it stands to its last step: clips in, steps, a line of the log now and then, states."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.durable.interrupt import Interrupts
from limpid.train.average import Average
from limpid.train.counting import numbers_from, step_numbers
from limpid.train.diverged import diverged
from limpid.train.learner import ClipBatch, Learner
from limpid.train.players import make_players
from limpid.train.record import Record, memory_bytes
from limpid.train.saving import save_learner
from limpid.train.source import BatchSource
from limpid.train.stage import Stage
from limpid.train.state import Position, load_state, save_state
from limpid.train.step import NotFinite, StepOutcome, Trainer
from limpid.train.validation import Validation
from limpid.train.world import World, whole

LATEST = "latest"
_PROGRESS_INTERVAL_S = 0.5


@dataclass(kw_only=True)
class Tally:
    """What happened since the last line of the log."""

    outcomes: list[StepOutcome] = field(default_factory=list)
    waited_s: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def line(self, stage: Stage, done: int, world: World) -> dict[str, Any]:
        """Means over the steps; norms and rates are those of the last one.

        A term counts as 0 in steps without it: a decoder does not listen to its critic from the first step on.
        """
        seconds, last = max(time.monotonic() - self.began, 1e-9), self.outcomes[-1]
        count, names = len(self.outcomes), dict.fromkeys(name for o in self.outcomes for name in o.terms)
        return {
            "kind": "step",
            "stage": stage.name,
            "step": done,
            "clips": done * stage.batch,
            "loss": sum(o.loss for o in self.outcomes) / count,
            "terms": {name: sum(o.terms.get(name, 0.0) for o in self.outcomes) / count for name in names},
            "rate": last.rates,
            "gradient_norm": last.norms,
            "clips_per_s": round(count * stage.batch / seconds, 4),
            "waiting": round(self.waited_s / seconds, 4),
            "memory_bytes": memory_bytes(world.device),
        }


@dataclass(kw_only=True)
class StageRun:
    """The moving parts of a stage and where it stands."""

    run: Path
    index: int
    stage: Stage
    learner: Learner
    source: BatchSource
    validation: Validation | None
    world: World
    precision: torch.dtype
    seed: int
    save_every_s: float
    log_every: int
    latest: bool
    tell: Callable[..., None]
    interrupts: Interrupts
    position: Position | None
    """Where to go on; None: at the beginning."""

    done: int = 0
    """Steps so far."""
    told: float = -1e9
    """When progress was told last."""
    warned: int = 0
    """Notes of the clips that were told."""

    def go(self) -> bool:
        """All steps that are left; False when a signal came first. The state is saved in either case."""
        self._begin()
        parts_per_step = len(step_numbers(self.stage, 0, processes=self.world.size))
        numbers = numbers_from(self.stage, self.done, rank=self.world.rank, processes=self.world.size)
        with contextlib.closing(_closable(self.source.batches(numbers))) as clips:
            while self.done < self.stage.steps and not self._stop_asked():
                self._step(clips, parts_per_step)
        self._save()
        self._report(self.tally)
        self.record.close()
        return self.done == self.stage.steps

    def averaged(self) -> AbstractContextManager[None]:
        """The network has the averaged weights, where an average is kept."""
        return contextlib.nullcontext() if self.trainer.average is None else self.trainer.average.inside()

    def whole_weights(self) -> dict[str, Tensor]:
        """Averaged weights that learn, and buffers, gathered from all processes. All must call this."""
        model = self.trainer.players[0]
        with self.averaged():
            return {
                name: whole(t).cpu().clone() for name, t in [*model.parameters.items(), *model.network.named_buffers()]
            }

    def _begin(self) -> None:
        players = make_players(self.learner, self.stage, self.world, self.precision)
        average = None if self.stage.average is None else Average(players[0].parameters, self.stage.average)
        self.trainer = Trainer(stage=self.stage, players=players, average=average, world=self.world, seed=self.seed)
        if self.position is not None:
            load_state(self.run, self.trainer)
            self.done = self.position.step
        self.spent_before = 0.0 if self.position is None else self.position.seconds
        self.record = Record(self.run, writes=self.world.rank == 0)
        self.record.rewind(self.stage.name, self.done)
        self.began = self.saved = time.monotonic()
        self.first, self.tally = self.done, Tally()
        self.tell("stage", stage=f"train {self.stage.name}")
        if self.done:
            self.tell("note", message=f"going on after step {self.done} of {self.stage.steps}")

    def _stop_asked(self) -> bool:
        """Whether any process got a signal; all of them stop after the same step."""
        asked = torch.tensor(float(self.interrupts.requested))
        return bool(self.world.total(asked).item())

    def _step(self, clips: Iterator[ClipBatch], parts_per_step: int) -> None:
        before = time.monotonic()
        parts = [next(clips) for _ in range(parts_per_step)]
        self.tally.waited_s += time.monotonic() - before
        self._warn(getattr(clips, "notes", ()))
        try:
            self.tally.outcomes.append(self.trainer.step(self.done, parts))
        except NotFinite as found:
            raise diverged(self.run, self.stage, self.done, self.world.rank, found) from None
        self.done += 1
        self._progress()
        if self.done % self.log_every == 0:
            self._report(self.tally)
        if self.validation is not None and self.done % self.validation.every == 0:
            self._validate(self.validation)
        if self._save_is_due():
            self._save()

    def _warn(self, notes: Sequence[str]) -> None:
        """Sources that could not be used, each once."""
        for note in notes[self.warned :]:
            self.tell("warning", message=note)
        self.warned = len(notes)

    def _save_is_due(self) -> bool:
        """As the first process's clock says, since all take part."""
        due = self.world.rank == 0 and time.monotonic() - self.saved >= self.save_every_s
        return bool(self.world.total(torch.tensor(float(due))).item())

    def _save(self) -> None:
        seconds = self.spent_before + time.monotonic() - self.began
        position = Position(stage=self.index, step=self.done, seconds=round(seconds, 3))
        save_state(self.run, position, self.trainer)
        if self.world.rank == 0:
            self.record.draw()
            if self.latest:
                with self.averaged():
                    save_learner(self.learner, self.run / LATEST)
        self.world.wait()
        self.saved = time.monotonic()

    def _report(self, tally: Tally) -> None:
        if not tally.outcomes:
            return
        self.record.write(tally.line(self.stage, self.done, self.world))
        self.tally = Tally()

    def _progress(self) -> None:
        now, last = time.monotonic(), self.done == self.stage.steps
        if now - self.told < _PROGRESS_INTERVAL_S and not last:
            return
        self.told = now
        rate = (self.done - self.first) * self.stage.batch / max(now - self.began, 1e-9)
        left = (self.stage.steps - self.done) * self.stage.batch
        self.tell(
            "progress",
            stage=f"train {self.stage.name}",
            done=self.done * self.stage.batch,
            total=self.stage.steps * self.stage.batch,
            fps=rate,
            eta_s=left / rate if rate else None,
            unit="clips",
            says=f"loss {self.tally.outcomes[-1].loss:.4g}",
        )

    def _validate(self, validation: Validation) -> None:
        before = time.monotonic()
        if self.world.rank == 0 or self.world.sharded:
            folder = self.run / "validation" if self.world.rank == 0 else None
            with self.averaged():
                metrics = validation.look(self.learner, folder, self.stage.name, self.done)
            self.record.write({"kind": "validation", "stage": self.stage.name, "step": self.done, "metrics": metrics})
            self.tell("note", message=f"step {self.done}: {validation.sentence(metrics)}")
        self.world.wait()
        self.tally.began += time.monotonic() - before


def _closable(batches: Iterator[ClipBatch]) -> Any:
    """A generator closes what it has opened (worker processes) when it is closed itself."""
    return batches if hasattr(batches, "close") else (batch for batch in batches)
