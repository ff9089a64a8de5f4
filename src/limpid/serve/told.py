"""What a job's process tells, one JSON object per line, and what is remembered of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.bounded import cut, json_object, parse_json

_AT_ONCE_BYTES = 1 << 20
_MOST_SENTENCES = 100
_MOST_CHARACTERS = 2000
STAGE_WORDS = {
    "probe": "opening",
    "scan": "reading once",
    "caption": "describing the shots",
    "plan": "planning",
    "calibrate": "measuring speed",
    "run": "restoring",
    "assemble": "joining",
    "finish": "finishing",
}


@dataclass
class Told:
    """What is known of a run; grows with every event. `facts` is what is kept, `fresh` what listeners have not seen."""

    facts: dict[str, Any]
    progress: dict[str, Any] | None = None
    segments: list[dict[str, Any]] = field(default_factory=list)
    """Segments that became durable since the last look."""
    changed: bool = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Remember an event of `limpid.run.events`; those of other kinds or forms are left out."""
        taker = _TAKERS.get(str(event.get("event")))
        if taker is not None:
            taker(self, event)

    def _stage(self, event: Mapping[str, Any]) -> None:
        stage = cut(str(event.get("stage")), 40)
        self.facts["stage"] = stage
        words = STAGE_WORDS.get(stage, stage)
        self.progress = {"stage": stage, "stage_text": words, "done": 0, "total": None, "fps": None, "eta_s": None}

    def _progress(self, event: Mapping[str, Any]) -> None:
        stage = cut(str(event.get("stage")), 40)
        numbers = {name: _number(event.get(name)) for name in ("done", "total", "fps", "eta_s")}
        self.progress = {"stage": stage, "stage_text": STAGE_WORDS.get(stage, stage), **numbers}

    def _keep(self, event: Mapping[str, Any]) -> None:
        name = str(event["event"])
        self.facts[name] = event.get("plan") if name == "plan" else {k: v for k, v in event.items() if k != "event"}
        self.changed = True

    def _sentence(self, event: Mapping[str, Any]) -> None:
        sentences = self.facts.setdefault(f"{event['event']}s", [])
        message = cut(str(event.get("message")), _MOST_CHARACTERS)
        if message not in sentences and len(sentences) < _MOST_SENTENCES:
            sentences.append(message)
            self.changed = True

    def _segment(self, event: Mapping[str, Any]) -> None:
        about = {name: _number(event.get(name)) for name in ("index", "of", "start", "stop")}
        if None in about.values():
            return
        counted = self.facts.get("segments") or {"done": 0}
        self.facts["segments"] = {"done": counted["done"] + 1, "of": about["of"]}
        self.facts["latest"] = about
        self.segments.append(about)

    def _resume(self, event: Mapping[str, Any]) -> None:
        self.facts["segments"] = {"done": _number(event.get("segments")) or 0, "of": _number(event.get("of"))}
        self.changed = True

    def _error(self, event: Mapping[str, Any]) -> None:
        code = _number(event.get("exit_code"))
        self.facts["error"] = {"message": cut(str(event.get("message")), _MOST_CHARACTERS), "exit_code": code}


_TAKERS = {
    "stage": Told._stage,
    "progress": Told._progress,
    "clip": Told._keep,
    "plan": Told._keep,
    "estimate": Told._keep,
    "done": Told._keep,
    "note": Told._sentence,
    "warning": Told._sentence,
    "segment": Told._segment,
    "resume": Told._resume,
    "error": Told._error,
}


def _number(value: object) -> float | int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
    return value if is_number else None  # type: ignore[return-value]


class Tail:
    """Reads what was added to a file of JSON lines, a bounded part at a time; what is no JSON object is skipped."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path, self.position = path, position

    def read(self) -> list[dict[str, Any]]:
        """The objects of whole lines that are new. A line that does not fit into what is read at once is left out."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                data = file.read(_AT_ONCE_BYTES)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == _AT_ONCE_BYTES:
            end = len(data)
        self.position += end
        return list(_objects(data[:end]))

    def is_at_end(self) -> bool:
        try:
            return self.position >= os.path.getsize(self.path)  # noqa: PTH202
        except OSError:
            return True


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            yield json_object(parse_json(line))
        except ValueError:
            continue
