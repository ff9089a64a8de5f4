"""What a person or a program sees while a run goes on: a bar, plain lines, JSON lines, or only warnings.

A reporter is a callable that takes the events of `limpid.run.events`, and a context manager.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from limpid.bounded import printable
from limpid.cli.terminal import below
from limpid.cli.words import Event, counts, crew_text, sentence, stage_name

LINE_INTERVAL_S = 5.0


class Reporter(Protocol):
    """Shows the events of one or more runs; `close` leaves the terminal as it was."""

    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


class _Plain:
    """Has nothing to close."""

    def close(self) -> None:
        return None


class JsonReporter(_Plain):
    """One JSON object per line on stdout, flushed, so that another program can follow."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        print(json.dumps(event, default=str), file=self.stream or sys.stdout, flush=True)


class QuietReporter(_Plain):
    """Warnings only."""

    def __call__(self, event: Event) -> None:
        if event["event"] == "warning":
            print(sentence(event), file=sys.stderr)


class LineReporter(_Plain):
    """Plain lines on stderr for logs: each stage, each decision, and progress every few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.last = -LINE_INTERVAL_S

    def __call__(self, event: Event) -> None:
        if event["event"] == "progress":
            if self.clock() - self.last < LINE_INTERVAL_S:
                return
            self.last = self.clock()
        line = sentence(event)
        if line is not None:
            print(line, file=sys.stderr, flush=True)


class BarReporter:
    """A bar with stage, frames per second and time left, for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.console = Console(file=below(sys.stderr), highlight=False, markup=False)
        stage, says = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[says]"))
        self.progress = Progress(stage, BarColumn(), says, console=self.console, transient=True)
        self.task = self.progress.add_task("", total=None, says="")
        self.crew = ""
        self.progress.start()

    def close(self) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        match event["event"]:
            case "stage":
                # reset() also forgets the total: stages count different things
                name = stage_name(event["stage"])
                self.progress.reset(self.task, total=None, description=name, says="")
                self.crew = ""
            case "workers" if event["workers"]:
                self.crew = f"; {crew_text(event['workers'])}"
            case "waiting":
                self.progress.update(self.task, says=(sentence(event) or "").strip())
            case "progress":
                says = counts(event) + self.crew
                self.progress.update(self.task, completed=event["done"], total=event["total"], says=says)
            case _:
                line = sentence(event)
                if line is not None:
                    self.console.print(printable(line))


def make_reporter(*, as_json: bool, quiet: bool) -> Reporter:
    """The reporter for these options and for what stderr is."""
    if as_json:
        return JsonReporter()
    if quiet:
        return QuietReporter()
    return BarReporter() if sys.stderr.isatty() else LineReporter()
