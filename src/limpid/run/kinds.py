"""Kinds of machines in one result (`--mixed`): which made which shots, by the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.durable.files import digest_of
from limpid.run.journal import Journal
from limpid.types import ResourceError


def kind_of_facts(facts: Mapping[str, Any], threads: int) -> str:
    """The hash of the kind of machine that the facts of a journal name, as that of a worker is made."""
    return digest_of(
        {
            "machine": {**facts["machine"], "threads": threads},
            "versions": facts["versions"],
            "weights": facts["method"]["weights"],
        }
    )


def kinds_made(journal: Journal) -> tuple[dict[str, Any], ...]:
    """For each kind of machine what it is, the numbers of the shots that it made, and how many frames these have."""
    shots = journal.kind_of_shots()
    return tuple(_row(journal, kind, shots) for kind in dict.fromkeys(shots[shot] for shot in sorted(shots)))


def _row(journal: Journal, kind: str | None, shots: Mapping[int, str | None]) -> dict[str, Any]:
    facts = journal.facts if kind is None else journal.kinds[kind]
    frames = sum(done.frames for done in journal.finished.values() if done.kind == kind)
    return {
        "machine": dict(facts["machine"]),
        "versions": dict(facts["versions"]),
        "shots": sorted(shot for shot, own in shots.items() if own == kind),
        "frames": frames,
    }


def kinds_text(rows: tuple[Mapping[str, Any], ...]) -> str:
    """``2 kinds of machines made this: card A (float16) 12 shots, card B (bfloat16) 3 shots``."""
    said = [f"{machine_text(row['machine'])} {_shots(len(row['shots']))}" for row in rows]
    return f"{len(rows)} kinds of machines made this, each its own shots: {', '.join(said)}"


def machine_text(machine: Mapping[str, Any]) -> str:
    """A machine for people."""
    return f"{machine.get('model')} ({machine.get('dtype')})"


def _shots(count: int) -> str:
    return f"{count} shot{'s' * (count != 1)}"


def refuse_mixture(journal: Journal, *, mixed: bool) -> None:
    """Raises ResourceError where unlike machines have made what is finished, and nobody says that they may."""
    if mixed or all(done.kind is None for done in journal.finished.values()):
        return
    machines = ", ".join(machine_text(row["machine"]) for row in kinds_made(journal))
    raise ResourceError(
        f"the {len(journal.finished)} segments that are finished are of unlike machines ({machines}); go on with them "
        f"by --workers or --cluster and --mixed, or delete {journal.folder} to begin anew"
    )
