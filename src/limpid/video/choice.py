"""Which encoder writes a film: the software one, or one of the graphics processor that was seen to work here.

Software is the default: its bytes are the same on every run, and go on being so after a crash. Those of hardware are
its driver's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av

from limpid.types import OutputSpec, SettingsError
from limpid.video.hardware import HARDWARE, HARDWARE_CODECS, ffmpeg_name
from limpid.video.trial import why_not, why_not_each

_DOCTOR_SIZE = (640, 360)


def choose_encoder(
    spec: OutputSpec, asked: str, *, preset: str | None = None, former: str | None = None, spread: bool = False
) -> tuple[OutputSpec, tuple[str, ...]]:
    """The spec with its encoder, and notes on the choice; ``asked`` is one of `limpid.settings.Encoder`.

    Args:
        preset: what the user asked for: a name of the software's encoders.
        former: what an earlier run of the same command has chosen; "auto" chooses it again where it still can.
        spread: whether several machines encode.

    Raises SettingsError, with what can be used, for one that was asked for by name and cannot be.
    """
    if asked == "software" or spec.codec not in HARDWARE_CODECS:
        if asked in HARDWARE:
            raise SettingsError(f"{asked} does not write {spec.codec}, it writes {_listed(HARDWARE_CODECS)}")
        return spec, ()
    if asked != "auto":
        return _asked(spec, asked, preset, spread)
    loss = _loss(spec, preset, spread)
    if loss is not None:
        return spec, (f"encoded by software: {loss}",)
    return _first(spec, former)


def _asked(spec: OutputSpec, asked: str, preset: str | None, spread: bool) -> tuple[OutputSpec, tuple[str, ...]]:
    if preset is not None:
        raise SettingsError(f"--preset {preset} has no effect with --encoder {asked}: leave one of them out")
    if spread:
        raise SettingsError(f"--encoder {asked} is for one machine, and --cluster may have several: leave one out")
    reason = _unusable(spec, asked)
    if reason is not None:
        usable = ["software", *(name for name in HARDWARE if name != asked and _unusable(spec, name) is None)]
        raise SettingsError(f"--encoder {asked} cannot be used here ({reason}); what can: {_listed(usable)}")
    return _with(spec, asked)


def _first(spec: OutputSpec, former: str | None) -> tuple[OutputSpec, tuple[str, ...]]:
    if former == "software":
        return spec, ()
    order = [former] if former in HARDWARE else []
    for name in [*order, *(name for name in HARDWARE if name != former)]:
        if _unusable(spec, name) is None:
            changed, notes = _with(spec, name)
            return changed, (f"encoded by {name}; --encoder software gives the same bytes on each run", *notes)
    size = f"{spec.width}x{spec.height}"
    return spec, (f"encoded by software: no hardware here encodes {spec.codec} of {size} (limpid doctor says why)",)


def _loss(spec: OutputSpec, preset: str | None, spread: bool) -> str | None:
    """Why "auto" stays with software: what no hardware encoder can be told."""
    if preset is not None:
        return f"--preset {preset} is one of its"
    if spread:
        return "machines of a cluster may have different hardware"
    if spec.extras.mastering or spec.extras.light_level:
        return "hardware encoders are not told of mastering display and light level (HDR10)"
    return None


def _with(spec: OutputSpec, encoder: str) -> tuple[OutputSpec, tuple[str, ...]]:
    told = spec.extras.mastering or spec.extras.light_level
    note = f"mastering display and light level (HDR10) are not carried over: {encoder} is not told of them"
    kept = spec.extras._replace(mastering=None, light_level=None) if told else spec.extras
    return replace(spec, encoder=encoder, preset=None, extras=kept), ((note,) if told else ())


def _unusable(spec: OutputSpec, encoder: str) -> str | None:
    """Why an encoder cannot write such a film; None: two frames were seen to go through it."""
    name = ffmpeg_name(spec.codec, encoder)
    if not _is_built(name):
        return f"this build of PyAV has no {name}"
    if spec.codec == "h264" and spec.bit_depth > 8:
        return "it writes h264 with 8 bits only: --codec h265 or --bit-depth 8"
    return why_not(_with(spec, encoder)[0])


def hardware_encoders() -> Iterator[tuple[str, dict[str, str | None]]]:
    """Each encoder with its codecs: None where two frames went through it, else why it cannot be used."""
    for encoder in HARDWARE:
        yield encoder, _by_codec(encoder)


def _by_codec(encoder: str) -> dict[str, str | None]:
    names = {codec: ffmpeg_name(codec, encoder) for codec in HARDWARE_CODECS}
    found: dict[str, str | None] = {
        codec: f"this build of PyAV has no {name}" for codec, name in names.items() if not _is_built(name)
    }
    there = [codec for codec in names if codec not in found]
    return found | dict(zip(there, why_not_each([_small(codec, encoder) for codec in there]), strict=True))


def _is_built(name: str) -> bool:
    return name in av.codec.codecs_available


def _small(codec: Any, encoder: str) -> OutputSpec:
    rate, (width, height) = Fraction(25), _DOCTOR_SIZE
    return OutputSpec(
        codec=codec, container="mkv", width=width, height=height, fps=rate, time_base=1 / rate, encoder=encoder
    )


def _listed(names: Any) -> str:
    return ", ".join(names)
