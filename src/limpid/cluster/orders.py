"""What travels between the head of a run and its workers: plain values, and no names of files.

The head knows the film, the plan and the journal; a worker knows what it is told here, and keeps nothing that matters.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from limpid.durable.files import digest_of
from limpid.plan.memory import Budget
from limpid.plan.segments import Plan, Rung
from limpid.run.journal import Finished, differences
from limpid.settings import Settings
from limpid.types import (
    InputError,
    LimpidError,
    Offload,
    OutputError,
    OutputSpec,
    ResourceError,
    Segment,
    SettingsError,
    WeightsError,
)

_HOPELESS: tuple[type[LimpidError], ...] = (SettingsError, InputError, WeightsError)


@dataclass(frozen=True, kw_only=True)
class WorkerCard:
    """What a worker says of itself when it comes."""

    machine: Mapping[str, Any]
    """Fields of `limpid.plan.device.Machine`."""
    versions: Mapping[str, str]
    weights: str
    """Hash of the weights that it found."""
    budget: Budget
    free_bytes: int
    """Memory of its machine that is free."""
    node: str
    """Name of its machine, for people."""
    pid: int

    @property
    def facts(self) -> dict[str, Any]:
        """What must be the same for the same bytes."""
        return {"machine": dict(self.machine), "versions": dict(self.versions), "weights": self.weights}

    @cached_property
    def kind(self) -> str:
        """Hash of the facts: equal for machines that give the same bytes."""
        return digest_of(self.facts)

    def differs_in(self, facts: Mapping[str, Any]) -> list[str]:
        """Names of the facts in which this worker is not as these say, ``versions.torch`` for instance."""
        return [name for name in differences(facts, self.facts) if _at(facts, name) != {}]

    def unlike(self, facts: Mapping[str, Any]) -> list[str]:
        """`differs_in` for people, with both values."""
        return [
            f"{name.split('.', 1)[-1]} ({_at(self.facts, name)}, not {_at(facts, name)})"
            for name in self.differs_in(facts)
        ]


def _at(facts: Mapping[str, Any], name: str) -> Any:
    for part in name.split(".", 1):
        facts = facts.get(part, {})
    return facts


@dataclass(frozen=True, kw_only=True)
class FilmOrder:
    """All of a run that every worker must know; sent to each once."""

    settings: Settings
    plan: Plan
    """Without its segments."""
    clip_size: tuple[int, int]
    """Width and height of the input."""
    size: tuple[int, int]
    """Width and height of the output."""
    alpha: bool
    depth: int | None
    offload: Offload
    spec: OutputSpec
    """Encoding of the segments."""
    suffix: str
    group_frames: int
    pts: array[int]
    """Times of all frames of the input."""


@dataclass(frozen=True, kw_only=True)
class UnitOrder:
    """Segments that follow each other and are made by one worker, one after the other."""

    number: int
    """Different for each order of a run."""
    segments: tuple[Segment, ...]
    around: tuple[Segment | None, Segment | None] = (None, None)
    """Stand-ins for what lies before and after in the same stretch: chunks are then cut where they always are."""
    lowered: tuple[tuple[int, Rung], ...] = ()
    """Where memory ran out so far, as the journal has it."""
    carry: bytes | None = None
    """What the segment before handed on: a file of safetensors."""

    @property
    def pieces(self) -> tuple[Segment, ...]:
        before, after = self.around
        return (*([before] if before else []), *self.segments, *([after] if after else []))


@dataclass(frozen=True, kw_only=True)
class SentPart:
    """A piece of a file that a worker made: the segment, or what it hands on."""

    index: int
    """Number of the segment."""
    name: str
    """Name of the file; ``FOLDER/NAME`` for one of a segment that is a folder of images."""
    offset: int
    data: bytes
    done: Finished | None = None
    """With the last piece of all files of a segment: what it must be when it is put together."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A unit is over; everything that was made of it was handed over before."""

    unit: int


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A unit is over because of an error."""

    unit: int
    kind: str
    """Name of the class of the error."""
    message: str

    def error(self) -> LimpidError | RuntimeError:
        """The error as the head raises it."""
        known = {kind.__name__: kind for kind in (*_HOPELESS, OutputError, ResourceError)}
        made = known.get(self.kind)
        return made(self.message) if made else RuntimeError(f"{self.kind}: {self.message}")

    @property
    def of_the_disk(self) -> bool:
        """Whether the machine of the worker has no space left, which others may have."""
        return self.kind == OutputError.__name__

    @property
    def hopeless(self) -> bool:
        """Whether another try would end in the same way."""
        return self.kind in {kind.__name__ for kind in _HOPELESS}


@dataclass(frozen=True, kw_only=True)
class Lower:
    """A unit is over because memory ran out: from this frame on chunks must be cut finer, once that is journaled."""

    unit: int
    frame: int
    rung: Rung


UnitReport = Ended | Trouble | Lower


@dataclass(frozen=True, kw_only=True)
class Update:
    """What a worker has to say since it was asked last, in this order."""

    parts: tuple[SentPart, ...] = ()
    report: UnitReport | None = None
    unit: int | None = None
    """The unit in work."""
    frames: int = 0
    """Frames that are made of it, those that were handed over included."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the film was opened, by what they were spent on: see `limpid.restoration.times`."""
    busy_s: float = 0.0
    """Seconds since the film was opened in which it had work and did not wait for frames."""
    warnings: tuple[str, ...] = ()
