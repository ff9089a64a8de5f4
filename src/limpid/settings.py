"""What a user can choose for one run: `Settings`, one frozen dataclass that checks itself.

Nothing here imports torch or PyAV. Whether a choice fits the method, the machine or the input is checked where those
are known (`limpid.engine.prepare`); here only what is wrong by itself is refused.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args, get_type_hints

from limpid.types import SettingsError

Color = Literal["wavelet", "adain", "none"]
DType = Literal["auto", "float32", "bfloat16", "float16"]
Codec = Literal["h264", "h265", "av1", "ffv1", "prores", "images"]
Deinterlace = Literal["auto", "on", "off"]

MAX_HEIGHT = 16384
DEVICE_NAMES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of one run. Everything here can change the result; where files go is said to `limpid.upscale` itself.

    Raises:
        SettingsError: when a value is of the wrong kind or out of range; the sentence names the value and the limit.
    """

    method: str = "tiny"
    """Name of an entry of `limpid.METHODS`."""
    scale: float | None = None
    """Output size over input size, above 0 up to 16; None means 4, or what `height` asks for."""
    height: int | None = None
    """Height of the output in pixels, instead of `scale`; the width follows."""
    steps: int | None = None
    """Sampling steps; None takes the method's own number."""
    seed: int = 0
    """Seed of all noise, 0 to 2**63 - 1."""
    strength: float = 1.0
    """1 starts from pure noise; less starts from the noised upscaled input and changes less of it. Above 0."""
    color: Color = "wavelet"
    """How colours are corrected towards the input's."""
    device: str = "auto"
    """"auto" (cuda, then mps, then cpu), "cpu", "mps", "cuda" or "cuda:N"."""
    dtype: DType = "auto"
    """Number format of the network; "auto" takes bfloat16 where the machine is fast at it."""
    tile_px: int | None = None
    """Edge of a tile in input pixels; None lets the memory budget decide."""
    segment_frames: int | None = None
    """Frames of a segment, the unit that is kept after a crash; None: 2 s or more."""
    window_frames: int | None = None
    """Frames that the network sees at once; None takes the method's own number."""
    codec: Codec | None = None
    """None chooses by the name of the output."""
    crf: int = 16
    """Constant rate factor of the encoder, 0 (largest, best) to 63; unused by ffv1, prores and images."""
    bit_depth: int | None = None
    """8 or 10; None keeps that of the source up to 10 where the codec can."""
    preset: str | None = None
    """Preset of the encoder, "medium" for instance; None takes Limpid's own."""
    deinterlace: Deinterlace = "auto"
    fps: Fraction | None = None
    """Frame rate of a folder of images."""
    preview: str | None = None
    """A part of the input, "00:01-00:03": hours:minutes:seconds.parts, minutes:seconds or seconds."""
    detect_cuts: bool = True
    """Look for scene cuts, which no window crosses. False takes the input as one shot."""
    compile: bool = False
    """Compile the denoiser with torch.compile: the first segment starts later, everything runs faster."""
    threads: int | None = None
    """Threads of computing and of the encoder; None takes the processors that this process may use."""

    def __post_init__(self) -> None:
        _check_types(self)
        if self.scale is not None and self.height is not None:
            raise SettingsError(f"choose scale ({self.scale:g}) or height ({self.height}), not both")
        _check_range("scale", self.scale, above=0, most=16)
        _check_range("height", self.height, least=16, most=MAX_HEIGHT)
        _check_range("steps", self.steps, least=1, most=1000)
        _check_range("seed", self.seed, least=0, most=2**63 - 1)
        _check_range("strength", self.strength, above=0, most=1)
        _check_range("tile_px", self.tile_px, least=16)
        _check_range("segment_frames", self.segment_frames, least=1)
        _check_range("window_frames", self.window_frames, least=1)
        _check_range("crf", self.crf, least=0, most=63)
        _check_range("threads", self.threads, least=1, most=256)
        _check_range("fps", self.fps, above=0, most=1000)
        if self.bit_depth not in (None, 8, 10):
            raise SettingsError(f"bit_depth is {self.bit_depth}; it can be 8 or 10")
        if not DEVICE_NAMES.fullmatch(self.device):
            raise SettingsError(f"device is {self.device!r}; it can be auto, cpu, mps, cuda or cuda:N")
        if self.preview is not None:
            parse_preview(self.preview)

    def replace(self, **changes: Any) -> Settings:
        """A copy with some options changed. Raises SettingsError for a name that is no option."""
        _refuse_unknown(changes)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, in the order of the fields; `from_dict` turns them back."""
        values = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Fraction) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from JSON values as `to_dict` gives them. Raises SettingsError for unknown names or bad values."""
        _refuse_unknown(values)
        return cls(**values)


def parse_preview(text: str) -> tuple[Fraction, Fraction]:
    """``"00:01-00:03.5"`` -> ``(1, 7/2)``, in seconds from the first frame shown. Raises SettingsError."""
    parts = text.split("-")
    if len(parts) != 2:
        raise SettingsError(f"preview is {text!r}; write it as START-STOP, for instance 00:01-00:03")
    start, stop = (parse_time(part) for part in parts)
    if start >= stop:
        raise SettingsError(f"preview {text!r} is empty: its start must be before its stop")
    return start, stop


def parse_time(text: str) -> Fraction:
    """``"01:02:03.5"``, ``"02:03.5"`` or ``"3.5"`` -> seconds, exactly. Raises SettingsError."""
    fields = text.strip().split(":")
    whole, last = fields[:-1], fields[-1]
    good = all(re.fullmatch(r"\d+", f) for f in whole) and re.fullmatch(r"\d+(\.\d*)?|\.\d+", last)
    if len(fields) > 3 or not good:
        raise SettingsError(f"{text!r} is not a time; write hours:minutes:seconds, for instance 00:01:02.5")
    seconds = Fraction(0)
    for value in fields:
        seconds = seconds * 60 + Fraction(value.removesuffix("."))
    return seconds


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    known = [f.name for f in dataclasses.fields(Settings)]
    for name in values:
        if name not in known:
            raise SettingsError(f"{name!r} is not an option; the options are {', '.join(known)}")


def _check_range(
    name: str,
    value: float | Fraction | None,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
) -> None:
    if value is None or (value >= least and above < value <= most):
        return
    low = f"above {above:g}" if above > -math.inf else f"{least:g} or more"
    high = f" and at most {most:g}" if most < math.inf else ""
    raise SettingsError(f"{name} is {value}; it must be {low}{high}")


def _check_types(settings: Settings) -> None:
    """Give numbers their declared kind, and refuse others: values also come from JSON and keywords."""
    for name, kind in get_type_hints(Settings).items():
        value = getattr(settings, name)
        if value is None and type(None) in get_args(kind):
            continue
        object.__setattr__(settings, name, _as_kind(name, value, kind))


def _as_kind(name: str, value: Any, kind: Any) -> Any:
    kinds = [k for k in get_args(kind) or (kind,) if k is not type(None)]
    choices = [c for k in kinds for c in (get_args(k) or ((k,) if isinstance(k, str) else ()))]
    if choices:
        if value not in choices:
            raise SettingsError(f"{name} is {value!r}; it can be {', '.join(map(str, choices))}")
        return value
    return _as_plain(name, value, kinds[0])


def _as_plain(name: str, value: Any, kind: type) -> Any:
    wrong = SettingsError(f"{name} is {value!r}; a value of kind {kind.__name__} is needed")
    if kind in (str, bool):
        if not isinstance(value, kind):
            raise wrong
        return value
    if isinstance(value, bool) or (isinstance(value, str) and kind is not Fraction):
        raise wrong
    try:
        number = kind(value)
    except (TypeError, ValueError, ArithmeticError):
        raise wrong from None
    if number != value and kind is not Fraction:
        raise wrong
    return number
