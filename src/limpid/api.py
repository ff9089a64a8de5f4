"""`upscale` and `restore`: the story of a run from top to bottom. Command line, web page and workers all call these."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from limpid.bounded import fraction
from limpid.cluster.engine import check_engine, engine_for
from limpid.durable.interrupt import Interrupts, stopping_cleanly
from limpid.method import Method
from limpid.methods import find_method
from limpid.plan.device import computing
from limpid.presets import naming_preset, with_preset, without_files
from limpid.priors.load.kept import KeptNetworks
from limpid.restoration.restorer import target_size
from limpid.restoration.stream import restore_stream
from limpid.run.early import check_early, probe_for
from limpid.run.engine import Engine
from limpid.run.events import Meter, Teller
from limpid.run.finish import Report, dry_run_of, finish_former, join_segments, tell_done
from limpid.run.identity import input_identity
from limpid.run.journal import Journal
from limpid.run.places import Places, check_output, choose_places
from limpid.run.prepare import as_shown, check_clip, check_options, tell_clip
from limpid.run.resume import is_complete, recall, refuse_existing, resume_or_begin, scan_once
from limpid.run.session import Session, make_session
from limpid.run.sidecar import from_sidecar
from limpid.run.texts import with_prompts_read, with_texts
from limpid.run.workspace import Workspace, workspace
from limpid.settings import Settings
from limpid.types import Clip, Progress, SettingsError
from limpid.video import FrameReader

__all__ = ["Report", "from_sidecar", "restore", "upscale"]


def upscale(
    input: str | Path,
    output: str | Path | None = None,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    work_dir: str | Path | None = None,
    keep_work: bool = False,
    dry_run: bool = False,
    calibrate: bool = True,
    on_event: Progress | None = None,
    stop: threading.Event | None = None,
    networks: KeptNetworks | None = None,
    **changes: Any,
) -> Report:
    """Restore a video or a folder of images and write it with its sound, subtitles and timestamps.

    Finished segments stay in a work folder until the output is whole: after a crash the same call goes on where it
    stopped and gives the same bytes.

    Args:
        output: file or folder; without it a name beside the input, ``film_x4.mp4`` for ``film.mp4``.
        settings, changes: options by the names of `Settings`; changes win. ``preset_look`` among them names a preset,
            see `limpid.presets.with_preset`.
        work_dir: folder for finished segments, on another disk for instance.
        dry_run: make the plan and the estimate, write nothing.
        calibrate: measure speed and size with a few frames first, if the run is long enough to be worth it.
        on_event: receives what `limpid.run.events` lists. When it raises, the run stops cleanly.
        stop: set by another thread, it stops the run cleanly, within a step of the computation.
        networks: where loaded networks stay for the next call; `limpid.Upscaler` is made of this.

    Raises:
        LimpidError: one of its kinds, with a sentence for the user; see `limpid.types`.
    """
    teller = Teller(on_event, stop)
    settings = with_prompts_read((settings or Settings()).replace(**with_preset(changes)))
    with naming_preset(settings):
        method = find_method(settings.method, settings)
        check_options(method, settings)
    teller.stage("probe")
    clip = probe_for(input, settings)
    check_clip(clip)
    tell_clip(clip, teller)
    places = choose_places(clip, output, settings, work_dir)
    check_output(places, clip, overwrite=overwrite)
    _refuse_early(clip, places, settings, method, teller)
    with (
        stopping_cleanly(stop) as interrupts,
        engine_for(settings, teller, interrupts) as engine,
        workspace(places, dry_run=dry_run, keep=keep_work) as space,
    ):
        with interrupts.interruptible():
            teller.stage("scan")
            identity = input_identity(clip)
            timeline = scan_once(clip, identity, settings, space.folder, teller)
            clip = as_shown(clip, settings)
        settings = with_texts(settings, clip, timeline, identity, space.folder, teller)
        method = _loading_from(networks, settings)
        teller.stage("plan")
        former = recall(space.folder, teller)
        session = make_session(places, settings, method, clip, timeline, identity, former, teller, engine)
        if is_complete(session, former, space):
            space.done = True
            return tell_done(finish_former(session, former, teller), teller)
        refuse_existing(places.output, overwrite=overwrite)
        return _run(session, former, space, engine, interrupts, teller, trial=calibrate, overwrite=overwrite)


def _run(
    session: Session,
    former: Journal | None,
    space: Workspace,
    engine: Engine,
    interrupts: Interrupts,
    teller: Teller,
    *,
    trial: bool,
    overwrite: bool,
) -> Report:
    """What is left to compute, and the output made of it; without a work folder only what that would be."""
    ready = computing(session.machine, keep_memory=session.method.cuts.reuses_freed_memory)
    with ready, FrameReader(session.clip, session.timeline, deinterlace=session.settings.deinterlace) as reader:
        if space.folder is None:
            return dry_run_of(session, reader.read, teller, trial=trial)
        with interrupts.interruptible():
            journal = resume_or_begin(session, former, space.folder, reader.read, teller, trial=trial)
        space.journal = journal
        resumed = len(journal.finished)
        engine.run(session, journal, reader.read, teller, interrupts)
    with interrupts.interruptible():
        report = join_segments(session, journal, teller, resumed=resumed, overwrite=overwrite)
    space.done = True
    return tell_done(report, teller)


def _loading_from(networks: KeptNetworks | None, settings: Settings) -> Method:
    """The method of the settings, which takes what is loaded already."""
    return (networks or KeptNetworks()).method(find_method(settings.method, settings), settings)


def _refuse_early(clip: Clip, places: Places, settings: Settings, method: Method, teller: Teller) -> None:
    """What needs no look at all frames is found before the input is read from end to end."""
    check_engine(method, settings)
    size = target_size(clip.width, clip.height, method.scale, settings)
    for note in check_early(clip, places.output, settings, size=size):
        teller.note(note)


def restore(
    frames: Iterable[Any],
    *,
    fps: Fraction | float | str = 25,
    cuts: Iterable[int] = (),
    settings: Settings | None = None,
    on_event: Progress | None = None,
    stop: threading.Event | None = None,
    networks: KeptNetworks | None = None,
    **changes: Any,
) -> Iterator[Any]:
    """Restore frames as they come, in bounded memory: the streaming form of `upscale`.

    Gives the pixels that `upscale` gives to its encoder, frame by frame and of the kind that came in.

    Args:
        frames: numpy arrays ``h w 3`` (uint8, uint16, or float in [0, 1]), torch tensors ``3 h w`` (float in
            [0, 1]) or RGB images of PIL, all of one kind and size.
        fps: frame rate; decides how long the segments of methods are that are not local.
        cuts: numbers of the frames with which a new shot begins, ascending; nothing is looked for.
        settings, changes: as for `upscale`, without those that are about files; a preset's are left out.
        on_event: receives the ``progress`` events of `limpid.run.events` while a frame is asked for. It may raise.
        stop: set by another thread, it ends the iteration by `limpid.types.Interrupted`, within a step.
        networks: as for `upscale`.

    Raises:
        SettingsError: at once, for an option without effect here.
        InputError: when a frame does not fit.
    """
    settings = without_files(with_prompts_read((settings or Settings()).replace(**with_preset(changes))))
    with naming_preset(settings):
        method = _loading_from(networks, settings)
        check_options(method, settings)
    teller = Teller(on_event, stop)
    meter = Meter(teller, "run")

    def on_done(done: float) -> None:
        teller.check()
        meter.update(done)

    return restore_stream(frames, method=method, settings=settings, fps=_rate(fps), cuts=cuts, on_done=on_done)


def _rate(fps: Fraction | float | str) -> Fraction:
    try:
        rate = fraction(fps)
    except ValueError as error:
        raise SettingsError(f"fps: {error}") from None
    if rate <= 0:
        raise SettingsError(f"fps is {rate}; it must be above 0")
    return rate
