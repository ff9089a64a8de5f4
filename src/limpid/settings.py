"""What a user can choose for one run: `Settings`, one frozen dataclass that checks itself.

It is the only table of options: the command line, the JSON Schema and the refusals come from what is said of each field
here and of those of the machine in `limpid.machine_options`, see `limpid.options`. Nothing here imports torch or PyAV.
Whether a choice fits the method, the machine or the input is checked where those are known (`limpid.run.prepare`); here
only what is wrong by itself is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from limpid import choices
from limpid.choices import ENCODING, PRIOR, READING, RESULT, TIME
from limpid.codec_names import CODEC_NAMES, ENCODER_NAMES
from limpid.machine_options import MachineOptions
from limpid.options.declare import Needs, option
from limpid.options.schema import schema_of
from limpid.spellings import parse_consistency, parse_preview, parse_steps

MAX_HEIGHT = 16384
MAX_NOISE_LEVEL = 350
"""Rows of the noise-level embedding of the SD x4 upscaler that were trained."""


@dataclass(frozen=True, kw_only=True)
class Settings(MachineOptions):
    """The options of one run. Everything here can change the result; where files go is said to `limpid.upscale` itself.

    Raises:
        SettingsError: when a value is of the wrong kind or out of range; the sentence names the value and the limit.
    """

    # Default, heading, where it has an effect, help; then limits, and what it needs.
    method: str = option("small", RESULT, "always", "what restores the frames; see limpid methods", metavar="NAME")
    preset_name: str | None = option(
        None, RESULT, "always", "name of the preset that was taken", metavar="NAME", shown=False, in_key=False
    )
    """What `limpid.presets.with_preset` took them from: for sidecars and lists of jobs."""
    scale: float | None = option(
        None,
        RESULT,
        "always",
        "output size over input size, above 0 up to 16 (default: 4)",
        above=0,
        most=16,
        in_key=False,
    )
    """None means the method's own scale, or what `height` asks for."""
    height: int | None = option(
        None,
        RESULT,
        "always",
        "height of the output instead of --scale; the width follows",
        metavar="PX",
        least=16,
        most=MAX_HEIGHT,
        in_key=False,
        needs=Needs("choose scale ({scale:g}) or height ({height}), not both", {"scale": (None,)}),
    )
    steps: int | None = option(None, RESULT, "engine", "sampling steps (default: the method's own)", least=1, most=1000)
    sampler: choices.SamplerName | None = option(
        None, RESULT, "method", "how noise is taken away (default: the method's own way)"
    )
    seed: int = option(
        0, RESULT, "engine", "seed of all noise; the same seed gives the same bytes", least=0, most=2**63 - 1
    )
    strength: float = option(
        1.0, RESULT, "engine", "1 restores freely, less stays closer to the input; above 0", above=0, most=1
    )
    """1 starts from pure noise; less starts from the noised upscaled input and changes less of it."""
    detail: float | None = option(
        None, RESULT, "method", "0 is faithful, 1 is vivid (default: the method's own)", least=0, most=1
    )
    """Place of the weights of small or tiny between those of their two ends."""
    denoise: float | None = option(
        None,
        RESULT,
        "method",
        "1 takes blocks and noise away, 0 leaves them (default: the method's own)",
        least=0,
        most=1,
    )
    """Share of what tiny's cleaner would change of the frames before the network sees them."""
    color: choices.Color | None = option(
        None, RESULT, "engine", "how colours are held to the input's (default: the method's own way)"
    )
    weights: str | None = option(
        None, PRIOR, "method", "weights of the method (default: see limpid weights list)", metavar="PATH", in_key=False
    )
    """Folder, or file for small and tiny; None looks where ``limpid weights`` puts them."""
    prompt: str | None = option(None, PRIOR, "method", "what is in the picture", metavar="TEXT")
    negative_prompt: str | None = option(
        None, PRIOR, "method", "what should not be in it (default: the method's own)", metavar="TEXT"
    )
    prompts: str | None = option(
        None, PRIOR, "method", "one text per shot, lines such as 3: a street at night", metavar="FILE"
    )
    """A file, or its contents; see docs/cli.md."""
    caption: choices.Caption = option(
        "off", PRIOR, "files", "auto: an image-to-text model describes each shot", in_key=False
    )
    """Each that has no text."""
    caption_model: str | None = option(
        None,
        PRIOR,
        "files",
        "that model, a folder or a name on the Hugging Face hub",
        metavar="NAME",
        in_key=False,
        needs=Needs(
            "caption_model has no effect without caption auto; leave it out, or say --caption auto",
            {"caption": ("auto",)},
        ),
    )
    noise_level: int | None = option(
        None, PRIOR, "method", "noise on the input, 0 to 350; more lets the model invent", least=0, most=MAX_NOISE_LEVEL
    )
    guidance: choices.GuidanceName | None = option(
        None, PRIOR, "method", "what predictions are driven away from (default: the method's own)"
    )
    """Away from one without the prompt (cfg), or with weaker self-attention (dssag, sag, pag, each with cfg where the
    method has a prompt)."""
    guidance_scale: float | None = option(
        None,
        PRIOR,
        "method",
        "weight of guidance (the text with cfg), 1 (off) to 30",
        metavar="W",
        least=1,
        most=30,
        needs=Needs(
            "guidance_scale {guidance_scale:g} has no effect with guidance none; leave one of them out",
            {"guidance": ("cfg", "dssag", "sag", "pag")},
        ),
    )
    """w of ``weak + w (strong - weak)``; papers that write s mean w - 1."""
    attention: choices.AttentionName | None = option(
        None, TIME, "method", "what tiles see of others (sap), and of earlier and later ones (tap)"
    )
    """What tiles are told of each other through self-attention: those of the same frames (sap), those of the frames
    before or after (tap), in turn by step; None takes the method's own."""
    attention_rate: float | None = option(
        None,
        TIME,
        "method",
        "share of a tile that others see with sap, above 0 up to 1",
        above=0,
        most=1,
        needs=Needs(
            "attention_rate has no effect with attention {attention}; add sap, or leave it out", {"attention": ("sap",)}
        ),
    )
    attention_frames: int | None = option(
        None,
        TIME,
        "method",
        "frames of a tile that others see with tap",
        least=1,
        most=64,
        needs=Needs(
            "attention_frames has no effect with attention {attention}; add tap, or leave it out",
            {"attention": ("tap",)},
        ),
    )
    image_embedding: choices.ImageEmbedding | None = option(
        None, PRIOR, "method", "what a video model is told of the whole picture"
    )
    """Nothing, or CLIP's embedding of the first frame it sees."""
    consistency: str | None = option(
        None,
        TIME,
        "method",
        "none, or propagation, noise, transition, motion, filter joined by +",
        metavar="NAMES",
        parse=parse_consistency,
    )
    """What holds windows together; None takes the method's own."""
    propagation_steps: str | None = option(
        None,
        TIME,
        "method",
        "loop indices (24,26,28) or fractions (default: 0.8,0.867,0.934)",
        metavar="LIST",
        parse=parse_steps,
        needs=Needs(
            "propagation_steps has no effect without propagation; add it to consistency",
            {"consistency": ("propagation",)},
        ),
    )
    """Steps at which latents are propagated along the flow."""
    motion_guidance: float | None = option(
        None,
        TIME,
        "method",
        "weight of motion in --consistency (default: 10)",
        above=0,
        most=1000,
        needs=Needs(
            "motion_guidance has no effect without motion; add it to consistency", {"consistency": ("motion",)}
        ),
    )
    """How strongly the noisy latents are drawn along the motion of the input; 10 is the paper's."""
    motion_guidance_limit: float | None = option(
        None,
        TIME,
        "method",
        "most change by motion in a step, in parts of its noise; 0: no limit (default: the method's own)",
        least=0,
        most=100,
        needs=Needs(
            "motion_guidance_limit has no effect without motion; add it to consistency", {"consistency": ("motion",)}
        ),
    )
    """And nothing is moved that would raise the warping error; without a limit it is the paper's equation alone."""
    joint_frames: int | None = option(
        None, TIME, "method", "frames in which two segments of a shot are merged", least=0, most=64
    )
    flow: choices.Flow = option(
        "auto",
        TIME,
        "method",
        "estimator of optical flow; auto: raft if installed",
        needs=Needs(
            "flow has no effect without propagation or motion; leave it out, or add one to consistency",
            {"consistency": ("propagation", "motion")},
        ),
    )
    """"auto" takes RAFT where its weights are, in the method's folder or installed; "spynet" is for research only."""
    autoencoder: choices.AutoencoderName | None = option(
        None, PRIOR, "method", "decoder of the image model, for video, or a small one that you trained"
    )
    decoder_weight: float | None = option(
        None,
        PRIOR,
        "method",
        "how strongly the decoder follows the input, 0 to 1",
        metavar="W",
        least=0,
        most=1,
        needs=Needs(
            "decoder_weight has no effect with autoencoder image, which does not look at the input",
            {"autoencoder": ("video", "light")},
        ),
    )
    released: bool = option(
        False,
        PRIOR,
        "method",
        "compute what the released code does where it differs from the paper",
        needs=Needs(
            "autoencoder light and released do not go together: the released code has no such decoder",
            {"autoencoder": (None, "image", "video")},
        ),
    )
    codec: choices.Codec | None = option(
        None, ENCODING, "files", "default: by the name of the output", known_as=CODEC_NAMES
    )
    encoder: choices.Encoder = option(
        "software",
        ENCODING,
        "files",
        "or one of the graphics processor's; auto: the first that works here",
        in_key=False,
        known_as=ENCODER_NAMES,
        needs=Needs("encoder has no effect with {codec}", {"codec": ("h264", "h265", "av1")}),
    )
    """Software repeats its bytes; hardware is not asked to, so it is never taken unasked."""
    crf: int = option(
        16,
        ENCODING,
        "files",
        "quality, 0 (best, largest) to 51, on the scale of x264",
        least=0,
        most=51,
        needs=Needs("crf has no effect with {codec}", {"codec": ("h264", "h265", "av1")}),
    )
    bit_depth: int | None = option(
        None, ENCODING, "files", "default: as the source, at most 10", metavar="8|10", among=(8, 10)
    )
    preset: str | None = option(None, ENCODING, "files", "the encoder's preset, medium for instance", metavar="NAME")
    deinterlace: choices.Deinterlace = option(
        "auto",
        READING,
        "files",
        "one frame out per frame in; double: two, 50i becomes 50p",
        needs=Needs("deinterlace has no effect on a folder of images", {"input": ("video",)}),
    )
    """"auto" deinterlaces what is marked, "on" everything, "double" makes a frame of each field."""
    video_stream: int | None = option(
        None, READING, "files", "which video stream, where a file has several", least=0, most=10_000
    )
    """Its number, as `limpid probe` shows it; None takes the best."""
    fps: Fraction | None = option(
        None,
        READING,
        "files",
        "frame rate of a folder of images: 25, 29.97 or 30000/1001",
        metavar="RATE",
        above=0,
        most=1000,
        in_key=False,
    )
    preview: str | None = option(
        None,
        READING,
        "files",
        "only this part: 00:01-00:03 (minutes:seconds, or seconds)",
        metavar="A-B",
        parse=parse_preview,
        in_key=False,
    )
    detect_cuts: bool = option(
        True, READING, "files", "look for scene cuts, which nothing crosses (default: yes)", in_key=False
    )
    """False takes the input as one shot."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse(scale=self.scale, height=self.height)


def schema() -> dict[str, Any]:
    """The JSON Schema of the values that `Settings.from_dict` takes; see `limpid.options.schema.schema_of`.

    Two things it cannot say: the form of texts that are parsed (``preview``), and what goes with which method.
    """
    return schema_of(Settings, title="Settings of limpid upscale")
