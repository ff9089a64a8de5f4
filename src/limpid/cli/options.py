"""The options of ``limpid upscale`` that are `Settings`: names, kinds, choices and defaults come from there.

Only what a person reads on a screen, the grouping and the short help, is written here. A test holds the two together.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal, get_args, get_origin, get_type_hints

from limpid.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """How one field of `Settings` looks in the help."""

    group: str
    help: str
    metavar: str | None = None


RESULT, ENCODING, READING, MACHINE = "the result", "encoding", "reading the input", "the machine"
PRIOR, TIME = "what large models are told", "how large models keep frames together"

SHOWN: dict[str, Shown] = {
    "method": Shown(group=RESULT, metavar="NAME", help="what restores the frames; see limpid methods"),
    "scale": Shown(group=RESULT, metavar="X", help="output size over input size, above 0 up to 16 (default: 4)"),
    "height": Shown(group=RESULT, metavar="PX", help="height of the output instead of --scale; the width follows"),
    "steps": Shown(group=RESULT, metavar="N", help="sampling steps (default: the method's own)"),
    "sampler": Shown(group=RESULT, help="how noise is taken away (default: the method's own way)"),
    "seed": Shown(group=RESULT, metavar="N", help="seed of all noise; the same seed gives the same bytes"),
    "strength": Shown(group=RESULT, metavar="X", help="1 restores freely, less stays closer to the input; above 0"),
    "color": Shown(group=RESULT, help="how colours are held to the input's (default: the method's own way)"),
    "weights": Shown(group=PRIOR, metavar="PATH", help="weights of the method (default: see limpid weights list)"),
    "prompt": Shown(group=PRIOR, metavar="TEXT", help="what is in the picture"),
    "negative_prompt": Shown(group=PRIOR, metavar="TEXT", help="what should not be in it (default: the method's own)"),
    "prompts": Shown(group=PRIOR, metavar="FILE", help="one text per shot, lines such as 3: a street at night"),
    "caption": Shown(group=PRIOR, help="auto: an image-to-text model describes each shot"),
    "caption_model": Shown(group=PRIOR, metavar="NAME", help="that model, a folder or a name on the Hugging Face hub"),
    "noise_level": Shown(
        group=PRIOR, metavar="N", help="noise on the input, 0 to 350; more lets the model invent more"
    ),
    "guidance": Shown(group=PRIOR, help="what predictions are driven away from (default: the method's own)"),
    "guidance_scale": Shown(group=PRIOR, metavar="W", help="weight of guidance (the text with cfg), 1 (off) to 30"),
    "autoencoder": Shown(group=PRIOR, help="decoder of the image model, for video, or a small one that you trained"),
    "decoder_weight": Shown(group=PRIOR, metavar="W", help="how strongly the decoder follows the input, 0 to 1"),
    "released": Shown(group=PRIOR, help="compute what the released code does where it differs from the paper"),
    "image_embedding": Shown(group=PRIOR, help="what a video model is told of the whole picture"),
    "attention": Shown(group=TIME, help="what tiles see of others (sap), and of earlier and later ones (tap)"),
    "attention_rate": Shown(group=TIME, metavar="X", help="share of a tile that others see with sap, above 0 up to 1"),
    "attention_frames": Shown(group=TIME, metavar="N", help="frames of a tile that others see with tap"),
    "consistency": Shown(
        group=TIME, metavar="NAMES", help="none, or propagation, noise, transition, motion joined by +"
    ),
    "propagation_steps": Shown(group=TIME, metavar="LIST", help="loop indices (24,26,28) or fractions (0.8,0.9)"),
    "flow": Shown(group=TIME, help="estimator of optical flow"),
    "motion_guidance": Shown(group=TIME, metavar="X", help="weight of motion in --consistency (default: 10)"),
    "joint_frames": Shown(group=TIME, metavar="N", help="frames in which two segments of a shot are merged"),
    "codec": Shown(group=ENCODING, help="default: by the name of the output"),
    "crf": Shown(group=ENCODING, metavar="N", help="quality, 0 (best, largest) to 51, on the scale of x264"),
    "bit_depth": Shown(group=ENCODING, metavar="8|10", help="default: as the source, at most 10"),
    "preset": Shown(group=ENCODING, metavar="NAME", help="the encoder's preset, medium for instance"),
    "deinterlace": Shown(group=READING, help="one frame out per frame in; double: two, 50i becomes 50p"),
    "video_stream": Shown(group=READING, metavar="N", help="which video stream, where a file has several"),
    "fps": Shown(group=READING, metavar="RATE", help="frame rate of a folder of images: 25, 29.97 or 30000/1001"),
    "preview": Shown(group=READING, metavar="A-B", help="only this part: 00:01-00:03 (minutes:seconds, or seconds)"),
    "detect_cuts": Shown(group=READING, help="look for scene cuts, which nothing crosses (default: yes)"),
    "device": Shown(group=MACHINE, metavar="NAME", help="auto, cpu, mps, cuda or cuda:N"),
    "dtype": Shown(group=MACHINE, help="number format of the network"),
    "tile_px": Shown(group=MACHINE, metavar="N", help="edge of a tile in input pixels (default: from the free memory)"),
    "segment_frames": Shown(group=MACHINE, metavar="N", help="frames of a segment, the unit kept after a crash"),
    "window_frames": Shown(group=MACHINE, metavar="N", help="frames seen at once (default: the method's own)"),
    "offload": Shown(group=MACHINE, help="keep only one network, or a few layers, on the device at a time"),
    "compile": Shown(group=MACHINE, help="torch.compile the denoiser: a slow start, then faster"),
    "threads": Shown(group=MACHINE, metavar="N", help="processor threads (default: all that may be used)"),
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one option per field of `Settings`; those not given are absent from the parsed namespace."""
    kinds = get_type_hints(Settings)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, shown in SHOWN.items():
        if shown.group not in groups:
            groups[shown.group] = parser.add_argument_group(shown.group)
        _add(groups[shown.group], name, kinds[name], shown)


def given_settings(namespace: argparse.Namespace) -> dict[str, Any]:
    """The options that were said on the command line, by the names of `Settings`."""
    return {f.name: getattr(namespace, f.name) for f in fields(Settings) if hasattr(namespace, f.name)}


def _add(group: argparse._ArgumentGroup, name: str, kind: Any, shown: Shown) -> None:
    flag = "--" + name.replace("_", "-")
    default = next(f.default for f in fields(Settings) if f.name == name)
    inner = _inner(kind)
    if inner is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=shown.help)
        return
    choices = get_args(inner) if get_origin(inner) is Literal else None
    group.add_argument(
        flag,
        default=argparse.SUPPRESS,
        metavar=shown.metavar or "|".join(choices or ()),
        help=shown.help if default is None else f"{shown.help} (default: {default})",
        type=_reader(str if choices else inner),
    )


def _inner(kind: Any) -> Any:
    """``int | None`` -> ``int``."""
    if get_origin(kind) is Literal:
        return kind
    return next((k for k in get_args(kind) if k is not type(None)), kind)


def _reader(kind: type) -> Callable[[str], Any]:
    """Text -> value, with a sentence for a person instead of the name of a Python type."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except (ValueError, ArithmeticError):
            raise argparse.ArgumentTypeError(f"{text!r} is not {WORDS[kind]}") from None

    return read


WORDS = {
    int: "a whole number",
    float: "a number",
    Fraction: "a frame rate such as 25, 29.97 or 30000/1001",
    str: "text",
}
