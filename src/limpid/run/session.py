"""One run with everything resolved: what is read, computed and written, before and after the plan is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from limpid.durable.files import digest_of
from limpid.durable.interrupt import Interrupts
from limpid.method import Method
from limpid.plan.allocator import free_memory
from limpid.plan.device import Machine, versions
from limpid.plan.segments import Plan, Rung
from limpid.presets import set_by_preset
from limpid.restoration.direct import without_noise
from limpid.restoration.restorer import Restorer, target_size
from limpid.run.engine import Engine, InProcess
from limpid.run.estimate import (
    Estimate,
    calibrate,
    check_space,
    free_disk_bytes,
    guess,
    reduced_note,
    suffix_of,
    worth_a_trial,
)
from limpid.run.events import Teller
from limpid.run.executor import RunJob
from limpid.run.feed import Read, group_frames
from limpid.run.held import held_by_run
from limpid.run.identity import encoder_of, run_facts
from limpid.run.journal import Journal
from limpid.run.places import Places
from limpid.run.prepare import idle_attention, make_plan, preview_frames, unused_options
from limpid.settings import Settings
from limpid.types import Clip, InputError, Offload, OutputSpec, Timeline, Window
from limpid.video import SegmentWriter, choose_encoder, picture_depth, resolve_output, segment_spec


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that a run is made of; nothing in here changes while it works."""

    places: Places
    settings: Settings
    method: Method
    machine: Machine
    clip: Clip
    timeline: Timeline
    frames: Window
    identity: dict[str, Any]
    spec: OutputSpec
    segment_spec: OutputSpec
    restorer: Restorer
    engine: Engine = field(default_factory=InProcess)

    @cached_property
    def facts(self) -> dict[str, Any]:
        return run_facts(
            identity=self.identity,
            timeline=self.timeline,
            settings=self.settings,
            method=self.method,
            machine=self.machine,
            size=(self.restorer.width, self.restorer.height),
            spec=self.spec,
            segment_spec=self.segment_spec,
            frames=(self.frames.start, self.frames.stop),
        )

    @cached_property
    def key(self) -> str:
        """Hash of the facts, as `limpid.run.journal.Journal.key` has it."""
        return digest_of(self.facts)

    def rungs(self, plan: Plan) -> tuple[Rung, ...]:
        """What a run with this plan may step down to."""
        return tuple(self.method.cuts.ladder(plan.rung, self.clip.width, self.clip.height))

    @cached_property
    def _restorers(self) -> dict[Offload, Restorer]:
        return {}

    def compute(self, plan: Plan) -> Restorer:
        """What computes chunks; the trial of an estimate and the run share one, and so the loaded weights."""
        if plan.offload not in self._restorers:
            self._restorers[plan.offload] = replace(self.restorer, offload=plan.offload)
        return self._restorers[plan.offload]

    def tell_warnings(self, teller: Teller) -> None:
        """What the prior has to say, once it was loaded."""
        for restorer in self._restorers.values():
            for sentence in restorer.warnings:
                teller.warn(sentence)

    def plan(self) -> Plan:
        """The plan for the memory that is free now."""
        plan = make_plan(
            timeline=self.timeline,
            frames=self.frames,
            fps=self.clip.fps,
            size=(self.clip.width, self.clip.height),
            settings=self.settings,
            method=self.method,
            machine=self.machine,
            budget=self.engine.budget(self.machine, self.method.cuts.most_memory_bytes),
            held=held_by_run(self.clip, self.timeline, self.restorer, self.segment_spec, len(self.frames)),
        )
        why = self.engine.side_by_side(plan, self.method)
        return plan if why is None else replace(plan, reasons=(*plan.reasons, why))

    def estimate(self, plan: Plan, read: Read, *, trial: bool, folder: Path | None = None) -> Estimate:
        """``folder``: of the work, None for a dry run."""
        if not (trial and self.engine.here and worth_a_trial(plan, dry=folder is None)):
            return guess(plan, self.spec, self.segment_spec)
        found = calibrate(
            plan,
            read=read,
            restorer=self.compute(plan),
            size=(self.clip.height, self.clip.width),
            open_as=SegmentWriter,
            spec=self.spec,
            segment_spec=self.segment_spec,
            shared=self.machine.torch_device.type == "cpu",
            folder=folder,
        )
        free_memory()  # what the trial leaves is in pieces into which the larger chunks of the run do not fit
        return found

    def check_space(self, estimate: Estimate, teller: Teller, *, left: float) -> None:
        warning = check_space(
            estimate,
            work=self.places.work,
            output=self.places.output,
            left=left,
            num_side_streams=len(self.clip.side_streams),
            duration_s=self.clip.duration_s or 0.0,
        )
        if warning is not None:
            teller.warn(warning)

    def tell_plan(self, plan: Plan, estimate: Estimate, teller: Teller, *, left: float = 1.0) -> None:
        """``left``: part of the frames that is still to be made, 0 to 1."""
        teller.tell("plan", plan={**plan.to_dict(), "segments": len(plan.segments)})
        self._tell_estimate(estimate, teller, None if estimate.seconds is None else left * estimate.seconds)
        note = reduced_note((self.clip.height, self.clip.width), self.restorer, estimate)
        idle = idle_attention(self.settings.attention, plan, (self.clip.width, self.clip.height))
        for sentence in (*idle, *([] if note is None else [note])):
            teller.note(sentence)

    def _tell_estimate(self, estimate: Estimate, teller: Teller, left_s: float | None) -> None:
        free = free_disk_bytes(self.places.output)
        teller.tell("estimate", **estimate.to_dict(), left_s=left_s, free_bytes=free)

    def _tell_rate(self, journal: Journal, teller: Teller, rate: float, left_s: float) -> None:
        """What a run that had no trial measures of itself."""
        seconds = len(journal.plan.frames) / rate
        measured = replace(
            Estimate(**journal.estimate), seconds=round(seconds, 3), frames_per_s=round(rate, 3), calibrated=True
        )
        self._tell_estimate(measured, teller, left_s)

    def job(self, journal: Journal, read: Read, teller: Teller, interrupts: Interrupts) -> RunJob:
        expected = journal.estimate["frames_per_s"]
        return RunJob(
            journal=journal,
            read=read,
            group_frames=group_frames(self.clip.width, self.clip.height),
            compute=self.compute(journal.plan),
            open_writer=lambda path, first: SegmentWriter(path, self.segment_spec, first_frame=first),
            suffix=suffix_of(self.segment_spec),
            pts=self.timeline.pts,
            rungs=self.rungs(journal.plan),
            teller=teller,
            cuts=self.method.cuts,
            carries=self.method.carries,
            device=self.machine.torch_device,
            interrupts=interrupts,
            times=self.restorer.times,
            expected_fps=expected,
            on_rate=partial(self._tell_rate, journal, teller) if expected is None else lambda rate, left_s: None,
        )

    def resolved(self, plan: Plan) -> dict[str, Any]:
        """What Limpid chose where the user did not, by the names of `Settings`."""
        return {
            "method": self.method.name,
            **self.method.chosen,
            **({"steps": self.method.num_steps(self.settings)} if "steps" in self.method.options else {}),
            **({"color": self.restorer.color} if "color" in self.method.options else {}),
            "dtype": self.machine.dtype,
            **({"runtime": self.machine.runtime} if "runtime" in self.method.options else {}),
            "threads": plan.threads,
            "codec": self.spec.codec,
            "bit_depth": self.spec.bit_depth,
            "encoder": self.spec.encoder,
        }

    def _preset(self) -> dict[str, Any] | None:
        name = self.settings.preset_name
        return None if name is None else {"name": name, "set": set_by_preset(self.settings)}

    def sidecar_facts(self, plan: Plan) -> dict[str, Any]:
        """What else is worth knowing of an output."""
        return {
            "input_identity": self.identity,
            **({"preset": preset} if (preset := self._preset()) else {}),
            "seed": self.settings.seed,
            "output": {**asdict(self.spec), "path": str(self.places.output)},
            "machine": self.machine.to_dict(),
            "weights": {self.method.name: self.method.weights.digest()},
            "random_weights": self.method.weights.random,
            "versions": versions(self.machine.runtime),
            "plan": {**plan.to_dict(), "segments": len(plan.segments)},
        }


def _output(
    places: Places,
    settings: Settings,
    clip: Clip,
    timeline: Timeline,
    size: tuple[int, int],
    threads: int,
    former: Journal | None,
    teller: Teller,
) -> tuple[OutputSpec, OutputSpec]:
    """How the result and its segments are encoded; tells what differs from source or wish. ``size``: width, height."""
    spec, notes = resolve_output(
        clip,
        timeline,
        places.output,
        width=size[0],
        height=size[1],
        codec=settings.codec,
        crf=settings.crf,
        bit_depth=settings.bit_depth,
        threads=threads,
        preset=settings.preset,
    )
    spread = settings.cluster is not None
    before = encoder_of(former)
    spec, chosen = choose_encoder(spec, settings.encoder, preset=settings.preset, former=before, spread=spread)
    pieces, reason = segment_spec(spec, timeline)
    for note in (*notes, *chosen, *([reason] if reason else [])):
        teller.note(note)
    return spec, pieces


def make_session(
    places: Places,
    settings: Settings,
    method: Method,
    clip: Clip,
    timeline: Timeline,
    identity: dict[str, Any],
    former: Journal | None,
    teller: Teller,
    engine: Engine | None = None,
) -> Session:
    """Resolve sizes, machine and output. What a former run chose by itself stays chosen: its
    threads, and its encoder where that still works.

    ``engine``: what computes; None: this process.
    """
    if timeline.num_frames == 0:
        raise InputError(f"{clip.path} shows no frame")
    engine = engine or InProcess()
    threads = settings.threads or (former.plan.threads if former else None)
    same = former is not None and former.facts.get("input") == identity
    machine = engine.machine(method, settings, threads, former if same else None)
    width, height = target_size(clip.width, clip.height, method.scale, settings)
    spec, pieces = _output(places, settings, clip, timeline, (width, height), machine.threads, former, teller)
    unused = (*unused_options(clip, settings, spec), *without_noise(method, settings))
    for warning in (*timeline.warnings, *unused):
        teller.warn(warning)
    return Session(
        places=places,
        settings=settings,
        method=method,
        machine=machine,
        clip=clip,
        timeline=timeline,
        frames=preview_frames(timeline, settings.preview),
        identity=identity,
        spec=spec,
        segment_spec=pieces,
        restorer=Restorer(
            method=method,
            settings=settings,
            machine=machine,
            width=width,
            height=height,
            alpha=spec.alpha,
            depth=picture_depth(pieces),
        ),
        engine=engine,
    )
