"""What a user can choose for one run: `Settings`, one frozen dataclass that checks itself.

Nothing here imports torch or PyAV. Whether a choice fits the method, the machine or the input is checked where those
are known (`limpid.run.prepare`); here only what is wrong by itself is refused.
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
Deinterlace = Literal["auto", "on", "off", "double"]

Caption = Literal["off", "auto"]
Flow = Literal["auto", "dis", "raft"]
SamplerName = Literal["ddpm", "ddim", "dpm++"]
Autoencoder = Literal["image", "video", "light"]
GuidanceName = Literal["cfg", "dssag", "sag", "pag", "none"]
AttentionName = Literal["none", "sap", "tap", "sap+tap"]
ImageEmbedding = Literal["zero", "clip"]
Offload = Literal["auto", "none", "model", "group"]

MAX_HEIGHT = 16384
MAX_NOISE_LEVEL = 350
CONSISTENCY = ("none", "propagation", "noise", "transition", "motion")
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
    sampler: SamplerName | None = None
    """How noise is taken away, for methods that leave the choice; None takes the method's own."""
    seed: int = 0
    """Seed of all noise, 0 to 2**63 - 1."""
    strength: float = 1.0
    """1 starts from pure noise; less starts from the noised upscaled input and changes less of it. Above 0."""
    color: Color | None = None
    """How colours are corrected towards the input's; None takes the method's own way, which is wavelet for most."""
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
    weights: str | None = None
    """Folder (or file, for tiny) with the weights; None looks where ``limpid weights`` puts them."""
    prompt: str | None = None
    """What is in the picture, for methods that are told so by a text."""
    negative_prompt: str | None = None
    """What should not be in the picture; None takes the method's own words."""
    prompts: str | None = None
    """One text per shot: a file, or its contents; see docs/cli.md."""
    caption: Caption = "off"
    """"auto" has an image-to-text model describe every shot that has no text."""
    caption_model: str | None = None
    """Folder or hub name of that model."""
    noise_level: int | None = None
    """How much noise is added to the LR frames, 0 to 350: more lets the model invent more."""
    guidance: GuidanceName | None = None
    """What a prediction is driven away from: one without the prompt (cfg), or with weaker self-attention (dssag, sag,
    pag, each with cfg where the method has a prompt); None takes the method's own."""
    guidance_scale: float | None = None
    """Weight w of guidance, ``weak + w (strong - weak)``, 1 (off) to 30; papers that write s mean w - 1."""
    attention: AttentionName | None = None
    """What tiles are told of each other through self-attention: those of the same frames (sap), those of the frames
    before or after (tap), in turn by step; None takes the method's own."""
    attention_rate: float | None = None
    """Share of a tile's tokens that others see with sap, above 0 up to 1."""
    attention_frames: int | None = None
    """How many frames of a tile others see with tap, 1 to 64."""
    image_embedding: ImageEmbedding | None = None
    """What a video model is told of the whole picture: nothing, or CLIP's embedding of the first frame it sees."""
    consistency: str | None = None
    """What holds windows together: none, or propagation, noise, transition, motion joined by "+"; None: the method's
    own."""
    propagation_steps: str | None = None
    """Steps at which latents are propagated along the flow: loop indices ("24,26,28") or fractions ("0.8,0.9")."""
    motion_guidance: float | None = None
    """How strongly the noisy latents are drawn along the motion of the input; None: 10, the paper's."""
    joint_frames: int | None = None
    """Frames in which neighbouring segments of a shot are merged; None takes the method's own number."""
    flow: Flow = "auto"
    """Estimator of optical flow; "auto" takes RAFT where its weights are."""
    autoencoder: Autoencoder | None = None
    """Which decoder: that of the image model, the one trained on video, or a small one that was distilled from it; None
    takes the method's own."""
    decoder_weight: float | None = None
    """How strongly a decoder that can follow the input does so, 0 to 1; None takes the method's own number."""
    released: bool = False
    """Compute what the released code computes where it differs from the paper, for comparisons with it."""
    codec: Codec | None = None
    """None chooses by the name of the output."""
    crf: int = 16
    """Constant rate factor of the encoder, 0 (largest, best) to 63; unused by ffv1, prores and images."""
    bit_depth: int | None = None
    """8 or 10; None keeps that of the source up to 10 where the codec can."""
    preset: str | None = None
    """Preset of the encoder, "medium" for instance; None takes Limpid's own."""
    deinterlace: Deinterlace = "auto"
    """"auto" deinterlaces what is marked, "on" everything, "double" makes two frames of each: 50i becomes 50p."""
    video_stream: int | None = None
    """Number of the video stream, as `limpid probe` shows it, in a file that has several; None takes the best."""
    fps: Fraction | None = None
    """Frame rate of a folder of images."""
    preview: str | None = None
    """A part of the input, "00:01-00:03": hours:minutes:seconds.parts, minutes:seconds or seconds."""
    detect_cuts: bool = True
    """Look for scene cuts, which no window crosses. False takes the input as one shot."""
    offload: Offload = "auto"
    """Keep only one network, or only a few layers, on the device at a time; "auto" decides by its memory."""
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
        _check_range("video_stream", self.video_stream, least=0, most=10_000)
        _check_range("tile_px", self.tile_px, least=16)
        _check_range("segment_frames", self.segment_frames, least=1)
        _check_range("window_frames", self.window_frames, least=1)
        _check_range("crf", self.crf, least=0, most=63)
        _check_range("threads", self.threads, least=1, most=256)
        _check_range("noise_level", self.noise_level, least=0, most=MAX_NOISE_LEVEL)
        _check_range("guidance_scale", self.guidance_scale, least=1, most=30)
        _check_range("joint_frames", self.joint_frames, least=0, most=64)
        _check_range("decoder_weight", self.decoder_weight, least=0, most=1)
        _check_range("attention_rate", self.attention_rate, above=0, most=1)
        _check_range("attention_frames", self.attention_frames, least=1, most=64)
        _check_range("motion_guidance", self.motion_guidance, above=0, most=1000)
        _check_range("fps", self.fps, above=0, most=1000)
        if self.bit_depth not in (None, 8, 10):
            raise SettingsError(f"bit_depth is {self.bit_depth}; it can be 8 or 10")
        if not DEVICE_NAMES.fullmatch(self.device):
            raise SettingsError(f"device is {self.device!r}; it can be auto, cpu, mps, cuda or cuda:N")
        if self.preview is not None:
            parse_preview(self.preview)
        if self.consistency is not None:
            parse_consistency(self.consistency)
        if self.propagation_steps is not None:
            parse_steps(self.propagation_steps)

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


def parse_consistency(text: str) -> frozenset[str]:
    """``"noise+transition"`` -> those names, ``"none"`` -> nothing. Raises SettingsError."""
    names = [name.strip() for name in text.split("+")]
    if any(name not in CONSISTENCY for name in names) or ("none" in names and len(names) > 1):
        raise SettingsError(f"consistency is {text!r}; it can be none, or {', '.join(CONSISTENCY[1:])} joined by +")
    return frozenset(names) - {"none"}


def parse_steps(text: str) -> tuple[int | float, ...]:
    """``"24,26,28"`` -> loop indices, ``"0.8,0.9"`` -> fractions of the schedule in [0, 1). Raises SettingsError."""
    steps: list[int | float] = []
    for part in (p.strip() for p in text.split(",") if p.strip()):
        if re.fullmatch(r"\d+", part):
            steps.append(int(part))
        elif re.fullmatch(r"0?\.\d+", part):
            steps.append(float(part))
        else:
            raise SettingsError(f"{part!r} is not a step; write loop indices (24,26,28) or fractions (0.8,0.9)")
    return tuple(steps)


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
