"""`Upscaler`: `limpid.upscale` and `limpid.restore` with networks that stay loaded from one call to the next."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from limpid.api import Report, restore, upscale
from limpid.durable.interrupt import STOPPED
from limpid.methods import find_method
from limpid.presets import naming_preset, with_preset
from limpid.priors.load.kept import KeptNetworks
from limpid.run.prepare import check_options
from limpid.run.texts import with_prompts_read
from limpid.settings import Settings
from limpid.types import Interrupted, Progress, SettingsError
from limpid.upscaler.film_run import FilmRun

AnyFrame = TypeVar("AnyFrame")
"""A numpy array ``h w 3``, a torch tensor ``3 h w`` or an RGB image of PIL; see `limpid.restore`."""
AnyClip = TypeVar("AnyClip")
"""A numpy array ``t h w 3``, a torch tensor ``t 3 h w``, or a list of frames."""
TURN_POLL_S = 0.1
"""How often a call that waits for its turn looks whether it is still wanted."""


class Upscaler:
    """A method with its settings, whose networks are loaded once and kept for many films, clips and pictures.

    It computes nothing by itself: `film` is `limpid.upscale`, the others are `limpid.restore`, so that the results
    are those of the command line. Networks are loaded by the first call that needs them, and freed by `close` or at
    the end of a ``with`` block.

    It may be used from several threads: calls take turns, in `frames` one frame after the other. Two of them at the
    same time in one process share PyTorch's number of threads; for independent work use processes.

    Args:
        settings, changes: options by the names of `limpid.Settings`, ``method`` among them; changes win. Options
            about files (``codec``, ``preview``) can only be used for films; give them to `film`.

    Raises:
        LimpidError: one of its kinds, for options that do not fit, and for weights that are not here.
    """

    def __init__(self, *, settings: Settings | None = None, **changes: Any) -> None:
        self.settings = with_prompts_read((settings or Settings()).replace(**with_preset(changes)))
        with naming_preset(self.settings):
            check_options(find_method(self.settings.method, self.settings), self.settings)
        self._networks = KeptNetworks()
        self._lock = threading.RLock()  # what is told of a film's progress may ask for a picture
        self._closed = False

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the networks, after the call that is running now; later calls are refused."""
        self._closed = True
        with self._lock:
            self._networks.drop()

    def film(
        self,
        input: str | Path,
        output: str | Path | None = None,
        *,
        overwrite: bool = False,
        work_dir: str | Path | None = None,
        keep_work: bool = False,
        dry_run: bool = False,
        calibrate: bool = True,
        on_event: Progress | None = None,
        stop: threading.Event | None = None,
        **changes: Any,
    ) -> Report:
        """Restore a video or a folder of images; see `limpid.upscale`. ``changes``: options for this film only."""
        with self._turn(stop):
            return upscale(
                input,
                output,
                settings=self.settings,
                overwrite=overwrite,
                work_dir=work_dir,
                keep_work=keep_work,
                dry_run=dry_run,
                calibrate=calibrate,
                on_event=on_event,
                stop=stop,
                networks=self._networks,
                **changes,
            )

    def film_async(self, input: str | Path, output: str | Path | None = None, **options: Any) -> FilmRun:
        """`film` in a thread, for ``async`` programs: ``async for event in run``, ``report = await run``.

        Args:
            options: those of `film`, but for ``on_event`` and ``stop``, which the run has itself.
        """
        for name in {"on_event", "stop"} & options.keys():
            raise SettingsError(f"{name} is what the run itself has: iterate over it, and call its method stop")
        return FilmRun(lambda tell, stop: self.film(input, output, on_event=tell, stop=stop, **options))

    def frames(
        self,
        frames: Iterable[AnyFrame],
        *,
        fps: Fraction | float | str = 25,
        cuts: Iterable[int] = (),
        on_event: Progress | None = None,
        stop: threading.Event | None = None,
        **changes: Any,
    ) -> Iterator[AnyFrame]:
        """Restore frames as they come, in bounded memory; see `limpid.restore`. ``changes``: options for these only."""
        restored = restore(
            frames,
            fps=fps,
            cuts=cuts,
            settings=self.settings,
            on_event=on_event,
            stop=stop,
            networks=self._networks,
            **changes,
        )
        return self._in_turns(restored, stop)

    def clip(
        self, clip: AnyClip, *, fps: Fraction | float | str = 25, cuts: Iterable[int] = (), **changes: Any
    ) -> AnyClip:
        """Restore a clip that is in memory as a whole, and give it back as the kind that it was.

        Args:
            clip: a numpy array ``t h w 3``, a torch tensor ``t 3 h w``, or a list of frames; see `limpid.restore`.
            changes: options for this clip only; ``on_event`` and ``stop`` among them are those of `frames`.

        Raises:
            InputError: the clip is none of these.
        """
        frames = list(self.frames(cast(Iterable[Any], clip), fps=fps, cuts=cuts, **changes))
        return cast(AnyClip, _put_together(clip, frames))

    def image(self, image: AnyFrame, **changes: Any) -> AnyFrame:
        """Restore one picture, an array, a tensor or an image of PIL; ``changes`` as for `clip`."""
        (restored,) = self.frames([image], **changes)
        return restored

    def _in_turns(self, restored: Iterator[AnyFrame], stop: threading.Event | None) -> Iterator[AnyFrame]:
        while True:
            with self._turn(stop):
                try:
                    frame = next(restored)
                except StopIteration:
                    return
            yield frame

    @contextmanager
    def _turn(self, stop: threading.Event | None) -> Iterator[None]:
        """Waits until no other call computes. Raises SettingsError when closed, Interrupted when ``stop`` is set."""
        while not self._lock.acquire(timeout=TURN_POLL_S):
            if stop is not None and stop.is_set():
                raise Interrupted(STOPPED)
        try:
            if self._closed:
                raise SettingsError("this Upscaler is closed; make another one")
            yield
        finally:
            self._lock.release()


def _put_together(clip: Any, frames: list[Any]) -> Any:
    if isinstance(clip, np.ndarray) and frames:
        return np.stack(frames)
    if isinstance(clip, Tensor) and frames:
        return torch.stack(frames)
    return frames if isinstance(clip, list) else clip if not frames else tuple(frames)
