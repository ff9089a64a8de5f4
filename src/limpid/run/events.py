"""What a run tells while it works: plain dicts with an ``event`` key, safe to write as JSON lines.

====================  ==============================================================================================
event                 further keys
====================  ==============================================================================================
``stage``             ``stage``: "probe", "scan", "caption", "plan", "calibrate", "run", "assemble" or "finish"
``clip``              ``path width height fps codec duration_s num_frames``: what the header says
``progress``          ``stage done total fps eta_s``: frames; ``done`` counts parts of them while a chunk is
                      computed; ``total``, ``fps`` and ``eta_s`` are None while they are unknown
``plan``              ``plan``: see `limpid.plan.segments.Plan.to_dict`, with ``segments`` as a count
``estimate``          ``seconds frames_per_s segment_bytes output_bytes free_bytes calibrated``: of the whole;
                      ``left_s``: seconds for what a former run left to do. A run that had no trial tells it again
                      when it has measured itself
``resume``            ``segments of frames``: what a former run left finished and is used again
``segment``           ``index of start stop bytes``: durable on disk from now on
``rung``              ``tile_px chunk_frames window_frames``: memory ran out, the run goes on with these
``warning``           ``message``: something about the result or the input that the user should know
``note``              ``message``: something that was decided, sizes rounded to even for instance
``waiting``           ``workers s most_s``: so many workers were asked for, none has answered for ``s`` of ``most_s``
                      seconds
``workers``           ``workers``: of each worker that is there ``name node there frames fps idle``, ``idle`` being the
                      share of its time without work or frames; every few seconds, and at the end also of those gone
``times``             ``decode network finish encode wait_for_frames wait_for_encoder transfer commit idle``: seconds
                      that the run spent on them; ``outside_network``: share of the whole that was not the network's
``done``              ``output frames seconds fps resumed_segments notes warnings``: as in `limpid.Report`
====================  ==============================================================================================

All events come from the thread that called `limpid.upscale`. A callback may raise; the run then stops cleanly, and
finished segments are kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from limpid.durable.interrupt import STOPPED
from limpid.types import Interrupted, Progress

PROGRESS_INTERVAL_S = 0.2


@dataclass
class Teller:
    """Sends events to a callback and keeps what must be in the report."""

    callback: Progress | None = None
    stop: threading.Event | None = None
    """When it is set, the run ends where it would tell that it goes on."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stage_s: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage took."""
    _stage: tuple[str, float] | None = None

    def tell(self, event: str, **values: Any) -> None:
        if event in ("stage", "progress"):
            self.check()
        if self.callback is not None:
            self.callback({"event": event, **values})

    def check(self) -> None:
        """Raises Interrupted when `stop` is set."""
        if self.stop is not None and self.stop.is_set():
            raise Interrupted(STOPPED)

    def stage(self, stage: str) -> None:
        now = time.monotonic()
        if self._stage is not None:
            name, since = self._stage
            self.stage_s[name] = round(self.stage_s.get(name, 0.0) + now - since, 3)
        self._stage = (stage, now)
        self.tell("stage", stage=stage)

    def note(self, message: str) -> None:
        if message not in self.notes:
            self.notes.append(message)
            self.tell("note", message=message)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
            self.tell("warning", message=message)


@dataclass
class Meter:
    """Turns counts of finished frames into progress events with rate and time left, not more often than is useful.

    The rate is that since the work began, which `update` says by 0: loading weights before that does not count.
    """

    teller: Teller
    stage: str
    total: int | None = None
    before: int = 0
    """Frames that were finished before this run, counted as done but not for the rate."""
    expected: float | None = None
    """Frames per second that were measured by a trial; for the time left until there is a rate."""
    clock: Callable[[], float] = time.monotonic
    done: float = 0
    _started: float | None = None
    _told: float = -1e9

    def start(self) -> None:
        self._started = self.clock()
        self._tell(self._started)

    def update(self, done: float) -> None:
        """``done``: frames finished in this run so far; less than before, when a chunk is tried again, says nothing."""
        now = self.clock()
        if done == self.done == 0:
            self._started = now
        self.done = max(done, self.done)
        if now - self._told >= PROGRESS_INTERVAL_S or self.done + self.before == self.total:
            self._tell(now)

    def elapsed_s(self) -> float:
        """Seconds that the rate is over."""
        return self.clock() - self._started if self._started is not None else 0.0

    def rate(self) -> float | None:
        """Frames per second of this run; None before the first part of a frame."""
        elapsed = self.elapsed_s()
        return self.done / elapsed if self.done and elapsed > 0 else None

    def left_s(self) -> float | None:
        """Seconds that are left; None while that is unknown."""
        rate = self.rate() or self.expected
        return None if self.total is None or not rate else max(self.total - self.done - self.before, 0) / rate

    def _tell(self, now: float) -> None:
        self._told = now
        done = round(self.done + self.before, 2)
        done = int(done) if done == int(done) else done
        known = {"fps": self.rate(), "eta_s": self.left_s()}
        self.teller.tell("progress", stage=self.stage, done=done, total=self.total, **known)
