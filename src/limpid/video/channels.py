"""How many channels a sound stream has and in which order, read without the crash that PyAV has in store for some.

A layout with an order of its own (the ``chan`` box of QuickTime files, where every channel may have any label) owns
memory. PyAV 18 copies the struct without that memory and frees it with the copy, once for every look at ``layout`` or
``channels`` and once for every decoded frame: the process ends with a corrupt heap. So the first look is kept alive for
good, and the decoder is given a plain layout of as many channels before it sees a packet.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any

import av

STANDARD = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's own choice of a layout for so many channels."""
_ORDER = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()  # noqa: SIM905
"""Channels in the order in which every other layout has them (bits 0 to 17 of FFmpeg's masks)."""


@dataclass(frozen=True, kw_only=True)
class Channels:
    """``layout``: a name that FFmpeg's filters take. ``order``: which stored channel comes first, second and so on, for
    streams with an order of their own; empty for all others."""

    count: int
    layout: str
    order: tuple[int, ...] = ()


def plain_channels(stream: Any) -> Channels:
    """The channels of an audio stream whose decoder was not opened yet; it can be decoded without danger after that."""
    context = stream.codec_context
    layout = context.layout
    _keep_for_good(layout)
    if not layout.nb_channels:  # sound that begins so late that FFmpeg has seen nothing of it
        return Channels(count=2, layout=STANDARD[2])
    count, name = int(layout.nb_channels), _name(layout)
    if not re.match(r"\d+ channels \(", name):
        return Channels(count=count, layout=name)
    context.layout = f"{count} channels"
    labels = re.findall(r"[^()+\s]+", name[name.index("(") :])
    if len(set(labels)) == len(labels) == count and set(labels) <= set(_ORDER):
        ordered = sorted(labels, key=_ORDER.index)
        return Channels(count=count, layout="+".join(ordered), order=tuple(map(labels.index, ordered)))
    return Channels(count=count, layout=f"{count} channels")


def aac_layout(channels: Channels) -> str:
    """The layout in which FFmpeg's AAC encoder keeps all channels; stereo where it has none (9 and more)."""
    if channels.count in (1, 2, 6, 8):
        return STANDARD[channels.count]
    if channels.count > max(STANDARD):
        return "stereo"
    return next((name for name in (channels.layout, STANDARD[channels.count]) if _encodes(name)), "stereo")


def _encodes(layout: str) -> bool:
    context: Any = av.CodecContext.create("aac", "w")
    try:
        context.layout, context.sample_rate, context.format = layout, 48000, "fltp"
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _name(layout: Any) -> str:
    try:
        return str(layout.name)
    except (UnicodeDecodeError, RuntimeError):
        return f"{layout.nb_channels} channels (unknown)"


def _keep_for_good(layout: Any) -> None:
    """One reference more than there are: the object is never freed, and so neither is what it does not own."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
