"""What can be known before the input is read from end to end is told before it: minutes or hours earlier.

Everything here works without PyTorch, so that the command line can ask before it loads that.
"""

from __future__ import annotations

import contextlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from limpid.run.places import check_folder, choose_places
from limpid.settings import Settings
from limpid.types import Clip, SettingsError, Timeline
from limpid.video import choose_encoder, probe, rehearse, resolve_output

_USUAL_SCALE = 4


def probe_for(path: str | Path, settings: Settings) -> Clip:
    """The input as the settings want it read."""
    return probe(path, fps=settings.fps, video_stream=settings.video_stream)


def check_early(
    clip: Clip, output: Path, settings: Settings, *, size: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Notes on the result; raises the `LimpidError` that the run would end with after its work.

    Container, codec, preset, depth, and by a trial the sound, subtitles and the rest. ``size``: of the output, where it
    is known.
    """
    one_frame = Timeline(pts=(0,), time_base=clip.time_base, cuts=(0,), last_duration=1)
    width, height = size or _size(clip, settings)
    spec, notes = resolve_output(
        clip,
        one_frame,
        output,
        width=width,
        height=height,
        codec=settings.codec,
        crf=settings.crf,
        bit_depth=settings.bit_depth,
        threads=1,
        preset=settings.preset,
    )
    if settings.encoder != "auto":  # which "auto" takes may follow a former run, of which nothing is known yet
        spread = settings.cluster is not None
        spec, chosen = choose_encoder(spec, settings.encoder, preset=settings.preset, spread=spread)
        notes = (*notes, *chosen)
    return (*notes, *rehearse(clip, output, spec))


def look_ahead(source: str | Path, output: str | Path | None, settings: Settings) -> tuple[str, ...]:
    """`check_early` for the names on a command line."""
    check_device_name(settings.device)
    clip = probe_for(source, settings)
    places = choose_places(clip, output, settings, None)
    check_folder(places.output.parent)
    return check_early(clip, places.output, settings)


def check_device_name(device: str) -> None:
    """Raises SettingsError for a device that cannot be here, as far as names tell; the rest PyTorch says later."""
    if device.startswith("mps") and sys.platform != "darwin":
        raise SettingsError("device is mps, but this is no Apple computer; use --device cpu")
    with contextlib.suppress(PackageNotFoundError):
        if device.startswith("cuda") and version("torch").endswith("+cpu"):
            hint = "this PyTorch was built without CUDA"
            raise SettingsError(f"device is {device}, but {hint}; use --device cpu, or see `limpid doctor`")


def _size(clip: Clip, settings: Settings) -> tuple[int, int]:
    """About the size of the output, within what every codec takes: the method decides, and later."""
    scale = settings.height / clip.height if settings.height else settings.scale or _USUAL_SCALE
    width, height = (min(16384, max(16, round(side * scale))) for side in (clip.width, clip.height))
    return width, height
