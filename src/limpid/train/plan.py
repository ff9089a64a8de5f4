"""What a training would do and need, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from limpid.train.freezing import learning_names, model_of, sizes
from limpid.train.stage import Stage, Start

FLOAT32, ADAM_STATES = 4, 2


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """A stage in numbers. Parameters are counted by kind of layer."""

    stage: Stage
    learning: Mapping[str, int]
    frozen: Mapping[str, int]
    others: Mapping[str, int]
    """Further players, by name; they learn as a whole."""
    frozen_bytes: int
    notes: tuple[str, ...] = field(default=())

    @property
    def memory_bytes(self) -> int:
        """Weights, gradients and Adam's two states of what learns, its average, frozen weights; no activations."""
        own, others = sum(self.learning.values()), sum(self.others.values())
        averages = own if self.stage.average is not None else 0
        return FLOAT32 * ((own + others) * (2 + ADAM_STATES) + averages) + self.frozen_bytes

    def lines(self) -> list[str]:
        """For people."""
        s = self.stage
        learning, frozen = (", ".join(f"{k} {n:,}" for k, n in d.items() if n) for d in (self.learning, self.frozen))
        parts = f", {s.micro_batch} at a time in each process" if s.micro_batch else ""
        size = f"{s.clips.frames} frames of {s.clips.crop_px} px, {s.clips.degradation} degradation"
        lines = [
            f"stage {s.name}",
            f"  learn     {sum(self.learning.values()):,} parameters: {learning}",
            f"  frozen    {sum(self.frozen.values()):,} parameters{': ' * bool(frozen)}{frozen}",
            *(f"  player    {name}: {count:,} parameters" for name, count in self.others.items()),
            f"  steps     {s.steps:,} of {s.batch:,} clips{parts}: {s.steps * s.batch:,} clips",
            f"  clips     {size}",
            f"  rate      {s.optimizer.rate:g}, {s.optimizer.kind}, {s.optimizer.course}",
            f"  memory    {self.memory_bytes / 1e9:.2f} GB for weights, gradients, Adam, average; activations on top",
        ]
        return lines + [f"  from      {s.source}"] * bool(s.source) + [f"  note      {n}" for n in self.notes]


def plan_stage(stage: Stage, start: Start) -> StagePlan:
    """Counts the parameters of a stage.

    Without weights to start from, an objective may have ``parameter_table() -> Mapping[str, int] | None``: the sizes of
    the kinds of its full network, found without making it, and ``player_table()``: those of its further players.
    Otherwise the networks are made.

    Raises what `Objective.learner` raises.
    """
    if start.weights is None and (table := _table(stage, "parameter_table")) is not None:
        return _planned(stage, table, _table(stage, "player_table") or {}, None, ())
    learner = stage.objective.learner(start, stage)
    model, network = model_of(learner)
    others = {n: sum(p.numel() for p in m.parameters()) for n, m in learner.players.items() if n != model}
    learns = learning_names(learner.kinds(), stage)
    frozen = sum(p.numel() * p.element_size() for n, p in network.named_parameters() if n not in learns)
    return _planned(stage, sizes(network, learner.kinds()), others, frozen, tuple(start.notes))


def _table(stage: Stage, name: str) -> Mapping[str, int] | None:
    table = getattr(stage.objective, name, None)
    return table() if callable(table) else None


def _planned(
    stage: Stage, counts: Mapping[str, int], others: Mapping[str, int], frozen_bytes: int | None, notes: tuple[str, ...]
) -> StagePlan:
    chosen = learning_names({kind: [kind] for kind in counts}, stage)
    frozen = {kind: count for kind, count in counts.items() if kind not in chosen}
    return StagePlan(
        stage=stage,
        learning={kind: count for kind, count in counts.items() if kind in chosen},
        frozen=frozen,
        others=others,
        frozen_bytes=FLOAT32 * sum(frozen.values()) if frozen_bytes is None else frozen_bytes,
        notes=notes,
    )
