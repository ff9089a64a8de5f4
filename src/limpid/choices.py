"""Words that options of a run can be, as types, and the headings of options; see `limpid.settings`."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Color = Literal["wavelet", "adain", "none"]
DType = Literal["auto", "float32", "bfloat16", "float16"]
Runtime = Literal["auto", "torch", "ncnn"]
Codec = Literal["h264", "h265", "av1", "ffv1", "prores", "images"]
Encoder = Literal["software", "auto", "nvenc", "qsv", "videotoolbox", "vaapi", "amf"]
Deinterlace = Literal["auto", "on", "off", "double"]
Caption = Literal["off", "auto"]
Flow = Literal["auto", "dis", "raft", "spynet"]
SamplerName = Literal["ddpm", "ddim", "dpm++"]
AutoencoderName = Literal["image", "video", "light"]
GuidanceName = Literal["cfg", "dssag", "sag", "pag", "none"]
AttentionName = Literal["none", "sap", "tap", "sap+tap"]
ImageEmbedding = Literal["zero", "clip"]
AskedOffload = Literal["auto", "none", "model", "group"]
AttentionKernel = Literal["auto", "flash", "efficient", "math", "cudnn"]


class Group(StrEnum):
    """Headings of options, in the order in which they are shown."""

    RESULT = "the result"
    PRIOR = "what large models are told"
    TIME = "how large models keep frames together"
    ENCODING = "encoding"
    READING = "reading the input"
    MACHINE = "the machine"


RESULT, PRIOR, TIME, ENCODING, READING, MACHINE = Group
